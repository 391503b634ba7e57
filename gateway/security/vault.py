"""
Bodies at rest: a data key per message, wrapped by a key per destroy-by date.

The date keys lie in a folder outside the database. Destroying one destroys every body of that date,
in tables, write-ahead log and backups alike.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from gateway.errors import BadSeal, BodyDestroyed, StoreUnavailable

KEY_BYTES = 32
NONCE_BYTES = 12  # 96 bits, random: safe, as a data key seals only the few parts of one message


class FileVault:
    """`ports.Vault` on a folder with `<YYYY-MM-DD>.key` files. Safe for several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._durable: set[date] = set()  # dates whose key is known to survive a power cut

    def new_key(self, destroy_by: date) -> tuple[bytes, bytes]:
        """`(data key, wrapped key)` (RFC 3394). Raises StoreUnavailable (disk)."""
        with _ours():
            if destroy_by not in self._durable or not self._path(destroy_by).exists():
                self._make(destroy_by)
        key = secrets.token_bytes(KEY_BYTES)
        return key, aes_key_wrap(self._date_key(destroy_by), key)

    def unwrap(self, wrapped: bytes, destroy_by: date) -> bytes:
        """Raises BodyDestroyed, BadSeal (not wrapped by this key), StoreUnavailable."""
        try:
            return aes_key_unwrap(self._date_key(destroy_by), wrapped)
        except (InvalidUnwrap, ValueError) as error:
            raise BadSeal("De sleutel van de opgeslagen inhoud is beschadigd.") from error

    def seal(self, key: bytes, plaintext: bytes, *, context: str) -> bytes:
        """Nonce and AES-256-GCM ciphertext; `context` is authenticated, not stored."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(key).encrypt(nonce, plaintext, context.encode())

    def open(self, key: bytes, sealed: bytes, *, context: str) -> bytes:
        """Raises BadSeal when the bytes or the context are not what was sealed."""
        nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, context.encode())
        except (InvalidTag, ValueError) as error:
            raise BadSeal("De opgeslagen inhoud is beschadigd.") from error

    def destroy(self, until: date) -> list[date]:
        """
        Remove the keys of all dates up to and including `until`; which ones. Irreversible.

        Raises:
            StoreUnavailable: the folder cannot be changed.
        """
        with _ours():
            days = sorted(date.fromisoformat(p.stem) for p in self._folder.glob("????-??-??.key"))
            gone = [day for day in days if day <= until]
            for day in gone:
                self._path(day).unlink(missing_ok=True)
            self._sync()
        return gone

    def _date_key(self, day: date) -> bytes:
        with _ours():
            try:
                return self._path(day).read_bytes()
            except FileNotFoundError as error:
                raise BodyDestroyed() from error

    def _make(self, day: date) -> None:
        """Whole and on disk, or not there; of two makers at once the first wins."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._path(day).exists():
            with NamedTemporaryFile(dir=self._folder, prefix=".") as fresh:  # mode 0600
                fresh.write(secrets.token_bytes(KEY_BYTES))
                fresh.flush()
                os.fsync(fresh.fileno())
                with suppress(FileExistsError):
                    os.link(fresh.name, self._path(day))  # unlike rename never over a key in use
        self._sync()
        self._durable.add(day)

    def _sync(self) -> None:
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def _path(self, day: date) -> Path:
        return self._folder / f"{day}.key"


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable("De sleutelmap is niet beschikbaar.") from error
