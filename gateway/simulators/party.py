"""What every simulated partner does: own certificates, own connection, and a memory on disk."""

from __future__ import annotations

import json
import os
import re
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from gateway.bootstrap import Register
from gateway.client import GatewayClient, Sent
from gateway.core.ids import digest_of, instant
from gateway.errors import EnvelopeMismatch, GatewayError, IdReused, NotFound, WrongAudience
from gateway.model.partner import Partner
from gateway.ports import Receipt, Unsealed
from gateway.security.identity import CertificateChecker
from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair, PartnerCertificates
from gateway.security.tls import TlsFiles, client_context
from gateway.settings import Settings

POLL_S = 0.2  # a person watches


class Party:
    """
    A partner with a folder that holds all it received and sent.

    What is in `ledger.jsonl` was accepted: the line is written, with fsync, after the document and
    before the receipt goes out. So a repeat, after a crash too, gets the same receipt bytes.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        """Raises NotFound: the configuration has no such partner."""
        found = [entry for entry in settings.partner if entry.name == name]
        if not found:
            raise NotFound(f"{name} is geen partner in de configuratie.")
        self.partner = found[0].partner()
        self._settings, self._pki = settings, settings.at(settings.ca_certificates).parent
        self._gateway = Partner(
            name="gateway",
            oin=settings.oin,
            systeem=settings.systeem,
            role="",
            houses=frozenset(),
            dialects={},
            sends=frozenset(),
            receives=frozenset(),
        )
        self.sealer = self._sealer(f"{name}-sign")
        self.client = self.connection()
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

    def connection(self, *, tls: str = "", sign: str = "") -> GatewayClient:
        """A connection with our own certificates, or with others of the same PKI."""
        settings = self._settings
        return GatewayClient(
            f"https://{settings.host}:{settings.port}",
            ssl_context=client_context(self.tls_files(tls)),
            sealer=self._sealer(sign) if sign else self.sealer,
            partner=self.partner,
            gateway=self._gateway,
        )

    def tls_files(self, name: str = "") -> TlsFiles:
        """Our own TLS certificate, or another of the same PKI."""
        pair = self._pair(name or f"{self.partner.name}-tls")
        ca, crl = self._settings.ca_certificates, self._settings.crl
        return TlsFiles(pair.certificate, pair.key, self._settings.at(ca), self._settings.at(crl))

    def _sealer(self, sign: str) -> JoseSealer:
        settings = self._settings
        theirs = PartnerCertificates(
            (settings.at(settings.sign.certificate),), settings.at(settings.enc[0].certificate)
        )
        keys = KeyMaterial(
            self.partner.oin, self._pair(sign), (self._pair(f"{self.partner.name}-enc"),)
        )
        return JoseSealer(
            keys,
            directory={"gateway": theirs},
            partners=Register([self._gateway]),
            checker=CertificateChecker(
                ca=settings.at(settings.ca_certificates), crl=settings.at(settings.crl)
            ),
        )

    def _pair(self, name: str) -> KeyPair:
        return KeyPair(self._pki / f"{name}.crt", self._pki / f"{name}.key")

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

    def refusal(self, body: bytes, code: str) -> bytes:
        """A signed refusal of what could not be accepted."""
        return self.sealer.sign_receipt(
            self._receipt("", digest_of(body), outcome="geweigerd", code=code)
        )

    def _receipt(self, id: str, digest: str, *, outcome: str, code: str = "") -> Receipt:
        return Receipt(
            id=id,
            digest=digest,
            outcome=outcome,
            time=instant(datetime.now(UTC)),
            issuer=self.partner.oin,
            audience=self._gateway.oin,
            code=code,
        )

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
