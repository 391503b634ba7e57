"""A gateway's edge to test against: real parts of the product on a throw-away PKI."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import httpx2
from fastapi import FastAPI

from gateway import resources
from gateway.api import Services
from gateway.api.app import create_app, create_management_app
from gateway.api.metrics import Metrics
from gateway.api.server import Server, Servers
from gateway.bus.table import TableBus
from gateway.core.accept import Acceptor
from gateway.core.events import Events
from gateway.core.gebieden import Gebieden
from gateway.core.ids import instant, new_id
from gateway.core.outgoing import keep
from gateway.core.parts import Parts
from gateway.core.policy import Policy
from gateway.core.postbus import Postbus
from gateway.formats import jsondoc
from gateway.formats.stufjz import STUF_JZ as ADAPTER
from gateway.formats.stufjz import acknowledgement
from gateway.model.envelop import source_of, type_of
from gateway.model.partner import Partner
from gateway.ports import (
    Dialect,
    Loss,
    NewDelivery,
    NewMessage,
    Outcome,
    Receipt,
    Rendered,
    State,
)
from gateway.security.identity import CertificateChecker, load_certificate
from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair, PartnerCertificates
from gateway.security.tls import TlsFiles, server_context
from gateway.security.tls import client_context as outward_context
from gateway.security.vault import FileVault
from gateway.store import open_store, upgrade
from gateway.transport import HttpsTransport

from .pki import dev_pki_module

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
GATEWAY_PARTNER = replace(ZSM, name="gateway", oin=GATEWAY, systeem="gateway", role="landelijk")
STRANGER = "00000099000000009000"
VCOB = Path(__file__).parent / "examples/stuf-jz/valid/vcobDi01.xml"


@dataclass
class Running:
    """A gateway's edge with everything behind it, on a free port."""

    pki: Path
    services: Services
    app: FastAPI
    api: Server
    operators: Server
    refused_handshakes: list[str]
    transport: HttpsTransport

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.api.port}"

    @property
    def management(self) -> str:
        return f"http://127.0.0.1:{self.operators.port}"

    def client(self, name: str | None) -> httpx2.Client:
        return httpx2.Client(
            base_url=self.url, verify=client_context(self.pki, name), trust_env=False
        )


def client_context(pki: Path, name: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    if name:
        context.load_cert_chain(pki / f"{name}-tls.crt", pki / f"{name}-tls.key")
    return context


def tls_files(pki: Path, name: str) -> TlsFiles:
    certificate, key = pki / f"{name}-tls.crt", pki / f"{name}-tls.key"
    return TlsFiles(certificate, key, ca=pki / "ca.crt", crl=pki / "crl.pem")


def sealer_of(pki: Path, name: str, oin: str, *others: Partner) -> JoseSealer:
    """The sealer of one party, who knows the others."""

    def pair(use: str) -> KeyPair:
        return KeyPair(pki / f"{name}-{use}.crt", pki / f"{name}-{use}.key")

    return JoseSealer(
        KeyMaterial(oin, signing=pair("sign"), encryption=(pair("enc"),), bus_key=b"b" * 32),
        directory={
            p.name: PartnerCertificates((pki / f"{p.name}-sign.crt",), pki / f"{p.name}-enc.crt")
            for p in others
        },
        partners={p.name: p for p in others},
        checker=CertificateChecker(ca=pki / "ca.crt", crl=pki / "crl.pem"),
    )


def make_pki(folder: Path) -> Path:
    """Certificates for the gateway, two partners and a stranger, and broken ones."""
    maker = dev_pki_module()
    parties = [
        maker.Party("gateway", GATEWAY, "Gateway"),
        maker.Party("zsm", ZSM.oin, "Arrondissementsparket Test"),
        maker.Party("zsm-twee", ZSM.oin, "Arrondissementsparket Test"),
        maker.Party("stranger", STRANGER, "Iemand anders"),
        maker.Party("landelijk", NATIONAL.oin, "Landelijk systeem Test"),
    ]
    maker.make_pki(folder, parties, broken=True)
    return folder


@contextmanager
def running(
    pki: Path,
    folder: Path,
    *,
    among: Sequence[Partner] = (ZSM, ZSM_TWO, NATIONAL),
    dialects: Sequence[Dialect] = (ADAPTER,),
) -> Iterator[Running]:
    """The edge with a store, core and dialects behind it, on free ports."""
    url = f"sqlite:///{folder}/gateway.db"
    upgrade(url)
    store, vault = open_store(url), FileVault(folder)
    partners = {p.name: p for p in among}
    sealer = sealer_of(pki, "gateway", GATEWAY, *partners.values())
    checker = CertificateChecker(ca=pki / "ca.crt", crl=pki / "crl.pem")
    policy = Policy.read((resources.folder("mappings") / "doelbinding.toml").read_text())
    now = partial(datetime.now, UTC)
    areas = Gebieden.read(resources.folder("mappings") / "routing")
    parts = Parts(
        GATEWAY,
        "gateway",
        partners,
        policy,
        {dialect.name: dialect for dialect in dialects},
        store,
        sealer,
        vault,
        now,
        b"k" * 32,
        areas,
        {ADAPTER.name: acknowledgement},
        "https://gateway.example",
    )
    transport = HttpsTransport(outward_context(tls_files(pki, "gateway")))
    acceptor = Acceptor(parts, houses=lambda _: {})
    services = Services(
        acceptor=acceptor,
        postbus=Postbus(parts),
        store=store,
        bus=TableBus(source=None),  # type: ignore[arg-type]  # nothing is taken from it here
        partners=partners,
        oin_of=lambda der: checker.check(load_certificate(der), now=now()),
        metrics=Metrics(store),
        events=Events(parts, acceptor, lambda p, url: jsondoc.read(transport.fetch(p, url))),
    )
    refused: list[str] = []
    app = create_app(services)
    api = Server(app, server_context(tls_files(pki, "gateway"), on_refused=refused.append))
    operators = Server(create_management_app(services))
    with Servers(api, operators):
        yield Running(pki, services, app, api, operators, refused, transport)
    transport.close()
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
    now, destroy_by = datetime.now(UTC), date(2099, 1, 1)
    _, wrapped = edge.services.postbus.parts.vault.new_key(destroy_by)
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
        destroy_by=destroy_by,
        wrapped_key=wrapped,
        sealed_jws=b"jws",
        sealed_document=b"document",
        sealed_canonical=b"canonical",
        receipt=b"het-ontvangstbewijs",
        loss=(Loss("data.opmerking", "vrije-tekst"),),
        grounds="",
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
    record = store.delivery(delivery_id)
    assert record
    made = Rendered("landelijk/1.0", "bekendheidsverzoek", "application/json", b"het document", ())
    keep(edge.services.postbus.parts, record, made)
    store.settle(delivery_id, Outcome(State.ONDERWEG, "ligt in de postbus"), now=now)


def problem_code(answer: httpx2.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert answer.status_code == problem["status"]
    assert problem["type"] == f"urn:zvh:fout:{problem['code']}"
    assert problem["title"] and problem["detail"] and problem["advies"]
    return str(problem["code"])


def vcob(message_id: str) -> bytes:
    """A bekendheidsverzoek of ZSM."""
    document = VCOB.read_text()
    found = re.search("<StUF:referentienummer>([^<]*)<", document)
    assert found
    return document.replace(found[1], message_id).encode()


def sealed_vcob(edge: Running, message_id: str, *, tail: bytes = b"") -> bytes:
    """The same, ready to send."""
    now = datetime.now(UTC)
    said = {
        "specversion": "1.0",
        "id": message_id,
        "source": source_of(ZSM.oin, ZSM.systeem),
        "type": type_of("bekendheidsverzoek"),
        "time": instant(now),
        "datacontenttype": "application/xml",
    }
    return sealer_of(edge.pki, "zsm", ZSM.oin, GATEWAY_PARTNER).seal(
        vcob(message_id) + tail, envelope=said, receiver=GATEWAY_PARTNER, now=now
    )


def receipt_for(edge: Running, delivery_id: str) -> bytes:
    """What the national system signs for a delivery of `render`."""
    record = edge.services.store.delivery(delivery_id)
    assert record
    outcome, time = "geaccepteerd", instant(datetime.now(UTC))
    receipt = Receipt(delivery_id, record.digest, outcome, time, NATIONAL.oin, GATEWAY)
    return sealer_of(edge.pki, "landelijk", NATIONAL.oin, GATEWAY_PARTNER).sign_receipt(receipt)
