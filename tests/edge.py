"""A gateway's edge to test against: real TLS, real store, real core; only the seal is left open."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx2
from cryptography import x509
from cryptography.x509.oid import NameOID
from fastapi import FastAPI

from adapters.zsm import ADAPTER
from gateway import resources
from gateway.api import Services
from gateway.api.app import create_app, create_management_app
from gateway.api.metrics import Metrics
from gateway.api.server import Servers
from gateway.bus.table import TableBus
from gateway.core.accept import Acceptor
from gateway.core.ids import digest_of, new_id
from gateway.core.outgoing import Outgoing
from gateway.core.policy import Policy
from gateway.core.postbus import Postbus
from gateway.core.routing import Routing
from gateway.errors import BadSeal, CertificateRefused, ReceiptInvalid
from gateway.model.envelop import source_of, type_of
from gateway.model.partner import Partner
from gateway.ports import Loss, NewDelivery, NewMessage, Outcome, Receipt, State, Unsealed
from gateway.store import open_store, upgrade

GATEWAY = "00000099000000002000"
ZSM = Partner(
    name="zsm",
    oin="00000099000000001000",
    systeem="gps",
    role="om",
    houses=frozenset("*"),
    dialects={"*": "stuf-jz/1.0.9"},
    sends=frozenset({"bekendheidsverzoek"}),
    receives=frozenset({"bekendheidsuitslag"}),
)
ZSM_TWO = replace(
    ZSM, name="zsm-twee", systeem="tweede"
)  # a second system of the same organisation
NATIONAL = replace(
    ZSM,
    name="landelijk",
    oin="00000099000000003000",
    role="landelijk",
    sends=frozenset({"bekendheidsuitslag"}),
    receives=frozenset({"bekendheidsverzoek"}),
)
STRANGER = "00000099000000009000"
VCOB = Path(__file__).parent / "examples/stuf-jz/valid/vcobDi01.xml"


class OpenSeal:
    """
    The Sealer and Vault ports in plain sight: here the HTTP edge is tested, and the seal elsewhere.
    A token is base64 of JSON; what is not, is refused as the real one does.
    """

    def open(self, token: bytes, *, now: datetime) -> Unsealed:
        try:
            said = json.loads(base64.urlsafe_b64decode(token))
            document = base64.b64decode(said["document"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BadSeal() from error
        digest = digest_of(document)
        return Unsealed(ZSM, said["envelop"], token, document, digest)

    def seal(
        self, document: bytes, *, envelope: dict[str, Any], receiver: Partner, now: datetime
    ) -> bytes:
        said = {**envelope, "aud": receiver.oin, "iat": int(now.timestamp())}
        return token({"envelop": said, "document": base64.b64encode(document).decode()})

    def sign_receipt(self, receipt: Receipt) -> bytes:
        return token({name: getattr(receipt, name) for name in Receipt.__slots__})

    def verify_receipt(self, token: bytes, *, partner: Partner, now: datetime) -> Receipt:
        try:
            return Receipt(**json.loads(base64.urlsafe_b64decode(token)))
        except (ValueError, TypeError) as error:
            raise ReceiptInvalid() from error

    def sign(self, payload: bytes) -> bytes:
        return payload

    verify_own = wrap_for_bus = unwrap_from_bus = sign


class OpenVault:
    """See `OpenSeal`."""

    def new_key(self, destroy_by: date) -> tuple[bytes, bytes]:
        return b"key", b"wrapped"

    def unwrap(self, wrapped: bytes, destroy_by: date) -> bytes:
        return b"key"

    def seal(self, key: bytes, plaintext: bytes, *, context: str) -> bytes:
        return plaintext

    def open(self, key: bytes, sealed: bytes, *, context: str) -> bytes:
        return sealed


def token(said: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(said).encode())


def opened(token: str | bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token))
    return found


class Known:
    """The Partners port over a list."""

    def __init__(self, *partners: Partner) -> None:
        self._partners = partners

    def by_name(self, name: str) -> Partner | None:
        return next((p for p in self._partners if p.name == name), None)

    def by_oin(self, oin: str) -> Sequence[Partner]:
        return [p for p in self._partners if p.oin == oin]

    def all(self) -> Iterator[Partner]:
        return iter(self._partners)


class Now:
    def now(self) -> datetime:
        return datetime.now(UTC)


def dev_pki() -> ModuleType:
    path = str(resources.folder("certs") / "make_dev_pki.py")
    spec = importlib.util.spec_from_file_location("make_dev_pki", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Running:
    """A gateway's edge with everything behind it, on a free port."""

    pki: Path
    services: Services
    app: FastAPI
    servers: Servers
    refused_handshakes: list[str]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.servers.port}"

    @property
    def management(self) -> str:
        return f"http://127.0.0.1:{self.servers.mgmt_port}"

    def client(self, name: str | None) -> httpx2.Client:
        return httpx2.Client(
            base_url=self.url, verify=client_context(self.pki, name), trust_env=False
        )


def client_context(pki: Path, name: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    if name:
        context.load_cert_chain(pki / f"{name}-tls.crt", pki / f"{name}-tls.key")
    return context


def server_context(pki: Path, refused: list[str], name: str = "gateway") -> ssl.SSLContext:
    class Audited(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except ssl.SSLWantReadError:
                raise
            except ssl.SSLError as error:
                refused.append(getattr(error, "verify_message", "") or str(error.reason))
                raise

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = Audited
    context.load_cert_chain(pki / f"{name}-tls.crt", pki / f"{name}-tls.key")
    context.load_verify_locations(pki / "ca.crt")
    context.load_verify_locations(pki / "crl.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_X509_STRICT
    return context


def oin_of(der: bytes) -> str:
    subject = x509.load_der_x509_certificate(der).subject
    found = subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    if not found:
        raise CertificateRefused("Het certificaat noemt geen OIN.")
    return str(found[0].value)


def make_pki(folder: Path) -> Path:
    """Certificates for the gateway, two partners and a stranger, and broken ones."""
    maker = dev_pki()
    parties = [
        maker.Party("gateway", GATEWAY, "Gateway"),
        maker.Party("zsm", ZSM.oin, "Arrondissementsparket Test"),
        maker.Party("stranger", STRANGER, "Iemand anders"),
        maker.Party("landelijk", NATIONAL.oin, "Landelijk systeem Test"),
    ]
    maker.make_pki(folder, parties, broken=True)
    return folder


@contextmanager
def running(pki: Path, folder: Path) -> Iterator[Running]:
    """The edge with a store, core and adapter behind it, on free ports."""
    url = f"sqlite:///{folder}/gateway.db"
    upgrade(url)
    store, clock, sealer, vault = open_store(url), Now(), OpenSeal(), OpenVault()
    partners = Known(ZSM, ZSM_TWO, NATIONAL)
    policy = Policy.read((resources.folder("mappings") / "doelbinding.toml").read_text())
    outgoing = Outgoing(store=store, sealer=sealer, vault=vault, own_oin=GATEWAY, systeem="gateway")
    services = Services(
        acceptor=Acceptor(
            store=store,
            sealer=sealer,
            vault=vault,
            partners=partners,
            adapters=[ADAPTER],
            routing=Routing(partners=partners, store=store, policy=policy),
            policy=policy,
            clock=clock,
            own_oin=GATEWAY,
            lane_key=b"k" * 32,
            houses={},
        ),
        postbus=Postbus(store=store, outgoing=outgoing, clock=clock),
        store=store,
        bus=TableBus(source=None),  # type: ignore[arg-type]  # nothing is taken from it here
        partners=partners,
        clock=clock,
        oin_of=oin_of,
        version="0.1.0",
    )
    refused: list[str] = []
    metrics = Metrics(store=store, clock=clock)
    app = create_app(services, metrics)
    with Servers(
        app,
        create_management_app(services, metrics),
        ssl_context=server_context(pki, refused),
    ) as servers:
        yield Running(pki, services, app, servers, refused)
    store.close()


JOSE = {"Content-Type": "application/jose"}


def put(
    edge: Running,
    *,
    sender: Partner = ZSM,
    receiver: Partner = NATIONAL,
    conversation: str = "gesprek",
) -> NewMessage:
    """A message in the store, waiting in its receiver's postbus."""
    now = datetime.now(UTC)
    message = NewMessage(
        id=new_id(now),
        message_id=f"b-{new_id(now)[-12:]}",
        signer_oin=sender.oin,
        sender=sender.name,
        digest="digest",
        kind="bekendheidsverzoek",
        dialect="stuf-jz/1.0.9",
        root="vcobDi01",
        house=None,
        conversation=conversation,
        answers=None,
        source="urn:test",
        received_at=now,
        destroy_by=date(2030, 1, 1),
        wrapped_key=b"wrapped",
        sealed_jws=b"jws",
        sealed_document=b"document",
        sealed_canonical=b"canonical",
        receipt=b"het-ontvangstbewijs",
        loss=(Loss("data.opmerking", "vrije-tekst"),),
        deliveries=(
            NewDelivery(new_id(now), receiver.name, "landelijk/1.0", new_id(now), 72, True),
        ),
    )
    assert edge.services.store.accept(message) is None
    return message


def render(edge: Running, delivery_id: str) -> None:
    """What a worker does with a delivery for a postbus."""
    store, now = edge.services.store, datetime.now(UTC)
    store.claim(limit=100, lease_s=60, now=now)
    store.save_rendered(
        delivery_id,
        sealed=b"het document",
        digest="digest-eruit",
        root="bekendheidsverzoek",
        content_type="application/json",
        loss=(),
        now=now,
    )
    store.settle(delivery_id, Outcome(State.ONDERWEG, "ligt in de postbus"), now=now)


def problem_code(answer: httpx2.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert answer.status_code == problem["status"]
    assert problem["type"] == f"urn:zvh:fout:{problem['code']}"
    assert problem["title"] and problem["detail"] and problem["advies"]
    return str(problem["code"])


def sealed_vcob(message_id: str, *, tail: bytes = b"") -> bytes:
    """A bekendheidsverzoek of ZSM, ready to send."""
    document = VCOB.read_text()
    found = re.search("<[^>]*referentienummer[^>]*>([^<]*)<", document)
    assert found
    document = document.replace(found[1], message_id)
    said = {
        "specversion": "1.0",
        "id": message_id,
        "source": source_of(ZSM.oin, ZSM.systeem),
        "type": type_of("bekendheidsverzoek"),
        "datacontenttype": "application/xml",
    }
    seal = OpenSeal().seal
    return seal(
        document.encode() + tail,
        envelope=said,
        receiver=replace(ZSM, oin=GATEWAY),
        now=datetime.now(UTC),
    )


def receipt_for(delivery_id: str) -> bytes:
    """What the national system signs for a delivery of `render`."""
    outcome, time = "geaccepteerd", "2026-01-01T00:00:00Z"
    receipt = Receipt(delivery_id, "digest-eruit", outcome, time, NATIONAL.oin, GATEWAY)
    return OpenSeal().sign_receipt(receipt)
