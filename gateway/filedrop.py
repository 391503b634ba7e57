"""
Folders for partners without HTTP: `bestanden/<partner>/` with `in`, `verwerkt`, `geweigerd`, `uit`.

The partner makes a file visible in `in/` by renaming it; names that begin with a dot or end in .tmp
or .part are left alone. The gateway answers with a receipt beside the file: in `verwerkt/`, or in
`geweigerd/` with the reason. What is for the partner appears whole in `uit/`; moving it to
`uit/opgehaald/` is the receipt; what is in neither is given again, under the same name. Every step
can be repeated: after a crash the next round goes on.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG

import structlog

from gateway.core.accept import Acceptor
from gateway.core.ids import digest_of
from gateway.core.postbus import Postbus
from gateway.errors import BodyDestroyed, Misconfigured, NotFound, Refused, StoreUnavailable
from gateway.model.partner import Partner
from gateway.ports import MAX_DOCUMENT

POLL_S = 1.0
A_ROUND = 100  # files a partner may have handled before it is the next one's turn
MAX_NAME = 180  # bytes; what is added to a name must fit in the 255 of a file system

IN, BUSY, DONE, REFUSED = "in", ".bezig", "verwerkt", "geweigerd"
OUT, TAKEN = "uit", "uit/opgehaald"
RECEIPT, REASON = ".ontvangstbewijs", ".reden.txt"
UNFINISHED = (".tmp", ".part")
SUFFIXES = {"application/xml": ".xml", "application/json": ".json", "application/zip": ".zip"}

log = structlog.get_logger()


class Folder:
    """The folder of one partner. Every method is safe to repeat; all raise OSError."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self) -> None:
        for name in (IN, BUSY, DONE, REFUSED, TAKEN):
            os.makedirs(self.root / name, mode=0o770, exist_ok=True)

    @contextmanager
    def mine(self) -> Iterator[bool]:
        """Whether no other process watches this folder; the lock ends with the process."""
        lock = os.open(self.root / ".slot", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(lock)

    def names(self, where: str) -> list[str]:
        """The finished files that lie there, the oldest first; no links and no folders."""
        found = []
        with os.scandir(self.root / where) as entries:
            for entry in entries:
                hidden = entry.name.startswith(".") or entry.name.endswith(UNFINISHED)
                if not hidden and entry.is_file(follow_symlinks=False):
                    found.append((entry.stat(follow_symlinks=False).st_mtime_ns, entry.name))
        return [name for _, name in sorted(found)]

    def has(self, where: str, name: str) -> bool:
        return os.path.lexists(self.root / where / name)

    def claim(self, name: str) -> None:
        """Out of reach of a partner that would put another file in its place."""
        os.replace(self.root / IN / name, self.root / BUSY / name)

    def read(self, where: str, name: str) -> bytes:
        """At most one byte more than a document may have; empty for what is no plain file."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(self.root / where / name, flags)
        try:
            parts, left = [], MAX_DOCUMENT + 1
            if not S_ISREG(os.fstat(file).st_mode):
                return b""
            while left and (part := os.read(file, min(left, 1 << 20))):
                parts.append(part)
                left -= len(part)
            return b"".join(parts)
        finally:
            os.close(file)

    def write(self, where: str, name: str, content: bytes) -> None:
        """Durable and whole before it is visible under its name."""
        place = self.root / where
        hidden = place / f".{name}.tmp"
        file = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o660)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(file, view) :]
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(hidden, place / name)
        self._sync(where)

    def move(self, name: str, where: str, to: str) -> None:
        """A file that was handled to where it stays."""
        os.replace(self.root / BUSY / name, self.root / where / to)
        self._sync(where)
        self._sync(BUSY)

    def remove(self, where: str, name: str) -> None:
        with suppress(FileNotFoundError):  # the partner was first
            os.unlink(self.root / where / name)

    def free(self, where: str, name: str, digest: str) -> str:
        """A name that is not taken there: its own, or with the digest before it."""
        if len(os.fsencode(name)) > MAX_NAME:
            name = digest + os.path.splitext(name)[1][:20]
        return f"{digest}-{name}" if self.has(where, name) else name

    def _sync(self, where: str) -> None:
        folder = os.open(self.root / where, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class FileDrop:
    """
    Watches the folders of `partners` below `root`; `watch` does one round.

    A file is never without a place: it lies in `in/`, in `.bezig/` while it is handled, or with
    its receipt in `verwerkt/` or `geweigerd/`. Raises Misconfigured when the folders cannot be made.
    """

    def __init__(
        self, acceptor: Acceptor, postbus: Postbus, partners: Sequence[Partner], root: Path
    ) -> None:
        self._acceptor, self._postbus = acceptor, postbus
        self._folders = [(partner, Folder(root / partner.name)) for partner in partners]
        try:
            for _, folder in self._folders:
                folder.make()
        except OSError as error:
            raise Misconfigured(f"{root} cannot be used: {error.strerror}") from error

    def watch(self) -> float:
        """One round over all folders; how long to pause. Raises what the store or a bug raises."""
        failure: Exception | None = None
        for partner, folder in self._folders:
            try:
                with folder.mine() as mine:
                    if mine:
                        self._inward(partner, folder)
                        self._outward(partner, folder)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 (the folder of another partner goes on)
                log.warning("folder_waits", partner=partner.name, error=type(error).__name__)
                failure = error
        if failure:
            raise failure
        return POLL_S

    def _inward(self, partner: Partner, folder: Folder) -> None:
        for name in folder.names(BUSY):  # left by a crash, and accepted or not
            self._handle(partner, folder, name)
        for name in folder.names(IN)[:A_ROUND]:
            folder.claim(name)
            self._handle(partner, folder, name)

    def _handle(self, partner: Partner, folder: Folder, name: str) -> None:
        """Accept or refuse; then the receipt, and last the file, so that the file tells all is there."""
        document = folder.read(BUSY, name)
        accepted = self._acceptor.accept_file(document, partner=partner)
        where = REFUSED if accepted.error else DONE
        to = folder.free(where, name, digest_of(document))
        if accepted.error:
            folder.write(where, to + REASON, _reason(accepted.error).encode())
        folder.write(where, to + RECEIPT, accepted.receipt)
        folder.move(name, where, to)

    def _outward(self, partner: Partner, folder: Folder) -> None:
        lying = {}
        for record in self._postbus.list(partner, limit=A_ROUND):
            lying[record.id + SUFFIXES.get(record.content_type, ".dat")] = record.id
        out = set(folder.names(OUT))  # before TAKEN is looked at: a file on its way is in one
        for name, delivery_id in lying.items():
            try:
                if folder.has(TAKEN, name):
                    digest = digest_of(folder.read(TAKEN, name))
                    if not self._postbus.taken(partner, delivery_id, digest):
                        log.warning("taken_file_differs", delivery=delivery_id)
                elif name not in out:
                    folder.write(OUT, name, self._postbus.document(partner, delivery_id))
            except (NotFound, BodyDestroyed):
                continue  # settled meanwhile; or destroyed, and then its deadline ends it
        for name in out - lying.keys():
            if self._postbus.over(partner, os.path.splitext(name)[0]):
                folder.remove(OUT, name)


def _reason(error: Refused) -> str:
    """What the partner must change; names of the schema only, never a value."""
    place = f"Plaats: {error.path}\n" if error.path else ""
    return f"{error.titel}.\n{error.detail}\n{place}Code: {error.code}\n\n{error.advies}\n"
