"""A partner's side: its certificates and connection, and what every simulated partner does."""

from __future__ import annotations

import json
import os
import re
import threading
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from gateway.client import GatewayClient, Sent
from gateway.core.ids import instant
from gateway.errors import EnvelopeMismatch, GatewayError, IdReused, NotFound, WrongAudience
from gateway.ports import Receipt, Unsealed
from gateway.security.identity import CertificateChecker
from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair, PartnerCertificates
from gateway.security.tls import TlsFiles, client_context
from gateway.settings import Settings

POLL_S = 0.2  # a person watches


class Party:
    """A partner of the configuration, with its certificates and its connection to the gateway."""

    def __init__(self, settings: Settings, name: str, *, tls: str = "", sign: str = "") -> None:
        """
        `tls` and `sign` name other certificates of the same PKI than the partner's own.

        Raises:
            NotFound: the configuration has no such partner.
        """
        partner = next((entry for entry in settings.partner if entry.name == name), None)
        if partner is None:
            raise NotFound(f"{name} is geen partner in de configuratie.")
        self.partner, at = partner, settings.at
        self.gateway = replace(
            self.partner, name="gateway", oin=settings.oin, systeem=settings.systeem
        )
        ca, crl = at(settings.ca_certificates), at(settings.crl)

        def pair(name: str) -> KeyPair:
            return KeyPair(ca.with_name(f"{name}.crt"), ca.with_name(f"{name}.key"))

        own = pair(tls or f"{name}-tls")
        self.tls = TlsFiles(own.certificate, own.key, ca, crl)
        theirs = PartnerCertificates(
            (at(settings.sign.certificate),), at(settings.enc[0].certificate)
        )
        self.sealer = JoseSealer(
            KeyMaterial(self.partner.oin, pair(sign or f"{name}-sign"), (pair(f"{name}-enc"),)),
            directory={"gateway": theirs},
            partners={"gateway": self.gateway},
            checker=CertificateChecker(ca=ca, crl=crl),
        )
        self.client = GatewayClient(
            f"https://{settings.host}:{settings.port}",
            ssl_context=client_context(self.tls),
            sealer=self.sealer,
            partner=self.partner,
            gateway=self.gateway,
        )


class Simulator(Party, ABC):
    """
    A partner that acts by itself, with a folder that holds all it received and sent.

    What is in `ledger.jsonl` was accepted: the line is written, with fsync, after the document and
    before the receipt goes out. So a repeat, after a crash too, gets the same receipt bytes.
    """

    def __init__(self, settings: Settings, name: str, **certificates: str) -> None:
        super().__init__(settings, name, **certificates)
        self.folder = settings.directory / "simulators" / name
        for part in ("received", "sent"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        self._ledger = self.folder / "ledger.jsonl"
        self._ledger.touch()
        lines = map(json.loads, self._ledger.read_text("utf-8").splitlines())
        self._accepted: dict[str, str] = {line["id"]: line["digest"] for line in lines}
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._loop, name=name, daemon=True)

    @abstractmethod
    def step(self) -> None:
        """One round of what this partner does by itself."""

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
        id, digest = str(unsealed.envelope.get("id")), unsealed.digest
        if unsealed.envelope.get("aud") != self.partner.oin:
            raise WrongAudience
        if not re.fullmatch(r"[0-9A-Za-z-]{1,40}", id):  # it becomes the name of a file
            raise EnvelopeMismatch(path="envelop.id")
        files = self.folder / "received" / id
        with self._lock:
            if known := self._accepted.get(id):
                if known != digest:
                    raise IdReused
                return files.with_suffix(".receipt").read_bytes()
            receipt = self.receipt(id, digest)
            _write(files.with_suffix(".document"), unsealed.document)
            _write(files.with_suffix(".envelope"), json.dumps(unsealed.envelope).encode())
            _write(files.with_suffix(".receipt"), receipt)
            line = json.dumps({"id": id, "digest": digest, "time": instant(datetime.now(UTC))})
            _write(self._ledger, f"{line}\n".encode(), mode="ab")
            self._accepted[id] = digest
        return receipt

    def receipt(self, id: str, digest: str, code: str = "") -> bytes:
        """A signed receipt; with a code it is a refusal."""
        told = Receipt(
            id=id,
            digest=digest,
            outcome="geweigerd" if code else "geaccepteerd",
            time=instant(datetime.now(UTC)),
            issuer=self.partner.oin,
            audience=self.gateway.oin,
            code=code,
        )
        return self.sealer.sign_receipt(told)

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
