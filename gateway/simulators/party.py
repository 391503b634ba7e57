"""A partner's side: its certificates and connection, and what every simulated partner does."""

import json
import os
import re
import threading
import traceback
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from fastapi import Body, FastAPI, Response

from gateway import errors
from gateway.api.server import Server, Servers
from gateway.client import GatewayClient, Sent
from gateway.core.ids import digest_of, instant
from gateway.ports import Unsealed
from gateway.security.identity import CertificateChecker
from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair, PartnerCertificates
from gateway.security.tls import TlsFiles, client_context, server_context
from gateway.settings import Settings

STUF_TIME = ZoneInfo("Europe/Amsterdam")  # StUF 03.01 tijdstip has no zone: Dutch legal time
POLL_S = 0.2  # a person watches
CLOSE = {"Connection": "close"}  # so that `stop` has nobody to wait for


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
            raise errors.NotFound(f"{name} is geen partner in de configuratie.")
        self.partner, at = partner, settings.at
        self.gateway = replace(partner, name="gateway", oin=settings.oin, systeem=settings.systeem)
        ca, crl = at(settings.ca_certificates), at(settings.crl)

        def pair(name: str) -> KeyPair:
            return KeyPair(ca.with_name(f"{name}.crt"), ca.with_name(f"{name}.key"))

        self.tls = TlsFiles(*pair(tls or f"{name}-tls"), ca, crl)
        own = KeyMaterial(partner.oin, pair(sign or f"{name}-sign"), (pair(f"{name}-enc"),))
        signs, enc = at(settings.sign.certificate), at(settings.enc[0].certificate)
        theirs = {"gateway": PartnerCertificates((signs,), enc)}
        checker = CertificateChecker(ca=ca, crl=crl)
        self.sealer = JoseSealer(own, theirs, {"gateway": self.gateway}, checker)
        url, context = f"https://{settings.host}:{settings.port}", client_context(self.tls)
        self.client = GatewayClient(
            url, context, sealer=self.sealer, partner=partner, gateway=self.gateway
        )


class Simulator(Party):
    """
    A partner that acts by itself, with a folder that holds all it received and sent.

    It gets its messages as agreed in the configuration: on an endpoint of its own, or from its
    postbus. A subclass says who it is, what it makes of a document (`read`) and what it answers
    (`answer`).

    What is in `ledger.jsonl` was accepted: the line is written, with fsync, after the document and
    before the receipt goes out. So a repeat, after a crash too, gets the same receipt bytes.
    """

    name: ClassVar[str]  # in the configuration
    kind: ClassVar[str]  # of what it sends
    content_type: ClassVar[str] = "application/json"

    def __init__(self, settings: Settings, **certificates: str) -> None:
        super().__init__(settings, self.name, **certificates)
        self.known = {partner.name: partner for partner in settings.partner}
        self.house = settings.huis[0].oin
        self.folder = settings.directory / "simulators" / self.name
        self._received, self._sent = self.folder / "received", self.folder / "sent"
        for folder in (self._received, self._sent):
            folder.mkdir(parents=True, exist_ok=True)
        self._ledger = self.folder / "ledger.jsonl"
        self._ledger.touch()
        lines = map(json.loads, self._ledger.read_text("utf-8").splitlines())
        self._accepted: dict[str, str] = {line["id"]: line["digest"] for line in lines}
        self._unanswered, self._told = set(self._accepted), set[str]()
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._loop, name=self.name, daemon=True)
        self._listening = ExitStack()

    def read(self, document: bytes) -> None:
        """Look into a document before it is accepted, a repeat too. Raises Refused to refuse it."""

    def answer(self, document: bytes, id: str) -> tuple[str, bytes] | None:
        """The answer to an accepted document, to be sent under this id: its kind and document."""
        return None

    def fill(self, template: str, id: str, *, to: str = "", **values: str) -> bytes:
        """
        A document from a template beside this module, from us to a partner (empty: the house).

        `values` fill what it leaves open beside the sender, the receiver and the times.
        """
        now, receiver = datetime.now(UTC), self.known.get(to)
        texts = {
            "reference": id,
            "oin": self.partner.oin,
            "systeem": self.partner.systeem,
            "to": receiver.oin if receiver else self.house,
            "tosysteem": receiver.systeem if receiver else "ZVH",
            "time": f"{now.astimezone(STUF_TIME):%Y%m%d%H%M%S%f}"[:17],  # to the millisecond
            "moment": instant(now),
        }
        form = "xml" if self.content_type.endswith("xml") else "json"
        text = (files("gateway.simulators") / f"{template}.{form}").read_text("utf-8")
        return (
            Template(text).substitute({k: escape(v) for k, v in (texts | values).items()}).encode()
        )

    def tell(self, template: str, *, kind: str = "", to: str = "", **values: str) -> Sent:
        """Fill a template and offer it under a new id."""
        id = str(uuid.uuid4())
        return self.offer(self.fill(template, id, to=to, **values), id, kind)

    def heard(self, text: str) -> bool:
        """Whether a document that holds this text was accepted."""
        return any(text.encode() in file.read_bytes() for file in self._received.glob("*.document"))

    def __enter__(self) -> Self:
        self.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._stopping.set()
        self._thread.join()
        self.client.close()

    def start(self) -> None:
        """Listen, if the agreement has an address to send to."""
        if self.partner.url:
            app, address = FastAPI(openapi_url=None), urlsplit(self.partner.url)
            app.post(address.path)(self._take)
            tls = server_context(self.tls, on_refused=lambda _: None)
            server = Server(app, tls, address.hostname or "", address.port or 443)
            self._listening.enter_context(Servers(server))

    def stop(self) -> None:
        """Be down: nobody can connect until `start`."""
        self._listening.close()

    def _take(self, body: Annotated[bytes, Body()]) -> Response:
        """One sealed message: 202 with our receipt, or a refusal that is signed too."""
        try:
            unsealed = self.sealer.open(body, now=datetime.now(UTC))
            return Response(self.receive(unsealed), 202, CLOSE, "application/jose")
        except errors.GatewayError as error:
            receipt = self.client.receipt("", digest_of(body), error.code)
            problem = {"code": error.code, "ontvangstbewijs": receipt.decode()}
            return Response(json.dumps(problem), error.status, CLOSE, "application/problem+json")

    def _loop(self) -> None:
        while not self._stopping.wait(POLL_S):
            with suppress(errors.Unavailable), self._going_on("a round"):
                self.step()

    def step(self) -> None:
        """One round: empty the postbus, and answer what has no answer yet."""
        if self.partner.transport != "push":
            for item in self.client.inbox():
                with self._going_on(item["id"]):
                    self._fetch(item["id"])
        for id in sorted(self._unanswered.copy()):  # one step, while another thread may add to it
            with self._going_on(id):
                self._answer(id)

    @contextmanager
    def _going_on(self, what: str) -> Iterator[None]:
        """A fault with one message is told (once), tried again, and holds up no other message."""
        try:
            yield
        except errors.Unavailable:
            raise  # the gateway is away: everything waits
        except Exception as error:  # noqa: BLE001 (a thread that dies silences the partner)
            if (fault := f"{what}: {error!r}") not in self._told:
                self._told.add(fault)
                error.add_note(f"{self.name}: {what}")
                traceback.print_exception(error)

    def _fetch(self, id: str) -> None:
        unsealed, refuse = self.client.fetch(id), ""
        try:
            self.receive(unsealed)
        except errors.Refused as error:
            refuse = error.code
        self.client.confirm(id, unsealed.digest, refuse=refuse)

    def _answer(self, id: str) -> None:
        """The id of an answer follows from that of the question: it is given once."""
        own = str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:antwoord:{id}"))
        if not (self._sent / f"{own}.receipt").exists():
            answer = self.answer((self._received / f"{id}.document").read_bytes(), own)
            if answer:
                self.offer(answer[1], own, answer[0])
        self._unanswered.remove(id)

    def receive(self, unsealed: Unsealed) -> bytes:
        """
        Accept a message and return the signed receipt; of a repeat, the same bytes.

        Raises:
            Refused: nothing is kept.
        """
        id, digest = str(unsealed.envelope.get("id")), unsealed.digest
        if unsealed.envelope.get("aud") != self.partner.oin:
            raise errors.WrongAudience
        if not re.fullmatch(r"[0-9A-Za-z-]{1,40}", id):  # it becomes the name of a file
            raise errors.EnvelopeMismatch(path="envelop.id")
        self.read(unsealed.document)
        with self._lock:
            if known := self._accepted.get(id):
                if known != digest:
                    raise errors.IdReused
                return (self._received / f"{id}.receipt").read_bytes()
            receipt = self.client.receipt(id, digest)
            write(self._received / f"{id}.document", unsealed.document)
            write(self._received / f"{id}.envelope", json.dumps(unsealed.envelope).encode())
            write(self._received / f"{id}.receipt", receipt)
            line = {"id": id, "digest": digest, "time": instant(datetime.now(UTC))}
            _to_disk(self._ledger, f"{json.dumps(line)}\n".encode(), mode="ab")
            self._accepted[id] = digest
            self._unanswered.add(id)
        return receipt

    def offer(self, document: bytes, id: str, kind: str = "") -> Sent:
        """Send any document; kept before it goes, so that a repeat is the same document."""
        kept = self._sent / f"{id}.document"
        if not kept.exists():
            write(kept, document)
        sent = self.client.send(
            kept.read_bytes(),
            message_id=id,
            kind=kind or self.kind,
            content_type=self.content_type,
        )
        write(kept.with_suffix(".receipt"), sent.raw_receipt)
        return sent


def write(file: Path, content: bytes) -> None:
    """Whole or not at all: another thread may look into the folder at any moment."""
    fresh = file.with_name(f".{file.name}.tmp")
    _to_disk(fresh, content, mode="wb")
    fresh.replace(file)


def _to_disk(file: Path, content: bytes, *, mode: str) -> None:
    with file.open(mode) as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
