"""What every simulated partner does: own certificates, own connection, and a memory on disk."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from gateway.client import GatewayClient, Sent
from gateway.core.ids import instant
from gateway.errors import EnvelopeMismatch, GatewayError, IdReused, WrongAudience
from gateway.ports import Receipt, Unsealed
from gateway.settings import PartnerEntry, Settings

POLL_S = 0.2  # a person watches


class Party:
    """
    A partner with a folder that holds all it received and sent.

    What is in `ledger.jsonl` was accepted: the line is written, with fsync, after the document and
    before the receipt goes out. So a repeat, after a crash too, gets the same receipt bytes.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self.folder = settings.directory / "simulators" / name
        for part in ("received", "sent"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self._ledger = self.folder / "ledger.jsonl"
        self._ledger.touch()
        self._accepted: dict[str, str] = {}
        for line in self._ledger.read_text("utf-8").splitlines():
            entry = json.loads(line)
            self._accepted[entry["id"]] = entry["digest"]
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    def step(self) -> None:
        """One round of what this partner does by itself."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self.client.close()

    def _loop(self) -> None:
        while not self._stopping.wait(POLL_S):
            try:
                self.step()
            except GatewayError:
                continue  # the gateway is away, or refused; what was not done is tried again

    def receive(self, unsealed: Unsealed) -> bytes:
        """
        Accept a message and return the signed receipt; of a repeat, the same bytes.

        Raises:
            WrongAudience, EnvelopeMismatch, IdReused: nothing is kept.
        """
        id, now = str(unsealed.envelope.get("id")), instant(datetime.now(UTC))
        if unsealed.envelope.get("aud") != self.partner.oin:
            raise WrongAudience
        if not re.fullmatch(r"[0-9A-Za-z-]{1,40}", id):  # it becomes the name of a file
            raise EnvelopeMismatch(path="envelop.id")
        files = self.folder / "received" / id
        with self._lock:
            if known := self._accepted.get(id):
                if known != unsealed.digest:
                    raise IdReused
                return files.with_suffix(".receipt").read_bytes()
            receipt = self.sealer.sign_receipt(
                self._receipt(id, unsealed.digest, outcome="geaccepteerd")
            )
            _write(files.with_suffix(".document"), unsealed.document)
            _write(files.with_suffix(".envelope"), json.dumps(unsealed.envelope).encode())
            _write(files.with_suffix(".receipt"), receipt)
            line = json.dumps({"id": id, "digest": unsealed.digest, "time": now})
            _write(self._ledger, f"{line}\n".encode(), mode="ab")
            self._accepted[id] = unsealed.digest
        return receipt

    def send(self, document: bytes, *, message_id: str, kind: str, content_type: str) -> Sent:
        """Offer a document; kept before it goes, so that a repeat is the same document."""
        files = self.folder / "sent" / message_id
        if not (kept := files.with_suffix(".document")).exists():
            _write(kept, document)
        sent = self.client.send(
            kept.read_bytes(), message_id=message_id, kind=kind, content_type=content_type
        )
        _write(files.with_suffix(".receipt"), sent.raw_receipt)
        return sent


def _write(file: Path, content: bytes, *, mode: str = "wb") -> None:
    with file.open(mode) as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
