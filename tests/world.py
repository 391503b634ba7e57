"""
A wired gateway for tests: a real store, real seals and a real PKI; partners that answer for real.

Two systems ask and answer: `zsm` (role om) and `landelijk`; `gcos` pulls from its postbus, and `dji`
may send nothing. They write the canonical message as JSON (`JsonAdapter`), so that a test of the core
depends on no mapping.
"""

from __future__ import annotations

import atexit
import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import orjson

from gateway.core.accept import Accepted, Acceptor
from gateway.core.deliver import Deliverer
from gateway.core.gebieden import Gebieden
from gateway.core.ids import instant
from gateway.core.parts import Parts
from gateway.core.policy import Policy
from gateway.core.postbus import Postbus
from gateway.core.retry import Retry
from gateway.errors import InvalidDocument, PartnerUnavailable
from gateway.model import lees, schrijf
from gateway.model.envelop import Bericht, source_of, type_of
from gateway.model.partner import Partner
from gateway.ports import Answer, DeliveryRecord, Outcome, Parsed, Receipt, Rendered, Sealer, Taken
from gateway.resources import folder
from gateway.security.identity import CertificateChecker
from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair, PartnerCertificates
from gateway.security.vault import FileVault
from gateway.store import open_store, upgrade

from .pki import dev_pki_module

GATEWAY_OIN = "00000099000000000001"
HOUSE_OIN = "00000099000000002000"
HOUSE = "zvh-debaronie"
DIALECT = "json/1"

_ZSM = Partner(
    name="zsm",
    oin="00000099000000001000",
    systeem="zsm",
    role="om",
    houses=frozenset({"*"}),
    dialects={"*": DIALECT},
    sends=frozenset({"bekendheidsverzoek"}),
    receives=frozenset({"bekendheidsuitslag"}),
    transport="push",
    url="https://localhost/zsm",
)
_LANDELIJK = replace(
    _ZSM,
    name="landelijk",
    oin="00000099000000003000",
    systeem="landelijk",
    role="landelijk",
    sends=_ZSM.receives,
    receives=_ZSM.sends,
    url="https://localhost/landelijk",
)
_GCOS = replace(
    _LANDELIJK,
    name="gcos",
    oin="00000099000000004000",
    systeem="gcos",
    role="zvh",
    houses=frozenset({"zvh-elders"}),
    transport="postbus",
    url="",
)
_DJI = replace(_GCOS, name="dji", oin="00000099000000005000", systeem="dji", role="dji")
_DJI = replace(_DJI, sends=frozenset(), receives=frozenset())
SELF = replace(_ZSM, name="gateway", oin=GATEWAY_OIN, systeem="zvh-gateway", role="landelijk")

_GPS = replace(_ZSM, name="gps", systeem="gps", receives=frozenset())  # of the OM too
PARTNERS = (_ZSM, _LANDELIJK, _GCOS, _DJI, _GPS)


@cache
def pki() -> Path:
    """Certificates for the gateway and every partner; made once a process."""
    module = dev_pki_module()
    parties = [module.Party(p.name, p.oin, p.name) for p in (SELF, *PARTNERS)]
    target = Path(mkdtemp(prefix="zvh-pki-"))
    atexit.register(shutil.rmtree, target)
    module.make_pki(target, parties)
    return target


def _pair(name: str, use: str) -> KeyPair:
    return KeyPair(pki() / f"{name}-{use}.crt", pki() / f"{name}-{use}.key")


def _certificates(name: str) -> PartnerCertificates:
    return PartnerCertificates((pki() / f"{name}-sign.crt",), pki() / f"{name}-enc.crt")


class TestClock:
    """Stands still until a test moves it."""

    __test__ = False

    def __init__(self) -> None:
        self.at = datetime.now(UTC)

    def now(self) -> datetime:
        return self.at

    def forward(self, **how: float) -> None:
        self.at += timedelta(**how)


class JsonAdapter:
    """A dialect that is the canonical message itself, as JSON; counts its renderings."""

    def __init__(self) -> None:
        self.name, self.rendered = DIALECT, 0

    def load(self) -> None:
        """Nothing to compile."""

    def recognises(self, document: bytes) -> str | None:
        return "json" if document.startswith(b"{") else None

    def validate(self, document: bytes) -> None:
        self.parse(document)

    def parse(self, document: bytes) -> Parsed:
        try:
            bericht = lees(orjson.loads(document))
        except orjson.JSONDecodeError as error:
            raise InvalidDocument("Het document is geen JSON.") from error
        return Parsed(self.name, bericht.soort, bericht, ())

    def render(self, bericht: Bericht, root: str = "") -> Rendered:
        self.rendered += 1
        document = {**schrijf(bericht), "subject": f"rendering {self.rendered}"}
        return Rendered(self.name, bericht.soort, "application/json", orjson.dumps(document), ())


@dataclass
class Wire:
    """
    `ports.Transport` to receivers that open, keep and acknowledge for real.

    `script` holds what happens to the next pushes instead: an Answer, or an error to raise; to the
    partners in `down` every push fails.
    `ledger` is what each receiver took in: (partner, id) to digest; a repeat is no second entry.
    """

    sealer_of: Callable[[str], Sealer]
    clock: TestClock
    script: list[Answer | BaseException] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    ledger: dict[tuple[str, str], str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)  # message ids as received, repeats left out
    digests: list[str] = field(default_factory=list)  # of every push, repeats too
    documents: dict[tuple[str, str], bytes] = field(default_factory=dict)  # what was taken in

    def push(self, partner: Partner, sealed: bytes) -> Answer:
        sealer = self.sealer_of(partner.name)
        opened = sealer.open(sealed, now=self.clock.now())
        self.digests.append(opened.digest)
        if partner.name in self.down:
            raise PartnerUnavailable()
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, BaseException):
                raise step
            return step
        key = partner.name, opened.envelope["id"]
        if self.ledger.setdefault(key, opened.digest) != opened.digest:
            return Answer(409, b"", "id-hergebruikt")
        self.documents[key] = opened.document
        message_id = orjson.loads(opened.document)["id"]
        if message_id not in self.order:
            self.order.append(message_id)
        return Answer(202, sealer.sign_receipt(self.receipt(partner, key[1], opened.digest)))

    def announce(self, partner: Partner, event: bytes) -> Answer:
        raise AssertionError("nobody here is told of events")

    def fetch(self, partner: Partner, url: str) -> bytes:
        raise AssertionError("nobody here offers anything to read")

    def receipt(
        self, partner: Partner, delivery_id: str, digest: str, *, code: str = ""
    ) -> Receipt:
        return Receipt(
            id=delivery_id,
            digest=digest,
            outcome="geweigerd" if code else "geaccepteerd",
            time=instant(self.clock.now()),
            issuer=partner.oin,
            audience=GATEWAY_OIN,
            code=code,
        )

    def close(self) -> None:
        """Nothing is held."""


class World:
    """The gateway with everything around it; parts may be replaced before first use."""

    def __init__(self, path: Path) -> None:
        url = f"sqlite:///{path / 'gateway.db'}"
        upgrade(url)
        self.clock = TestClock()
        self.partners = {partner.name: partner for partner in PARTNERS}
        self.adapter = JsonAdapter()
        self.policy = Policy.read((folder("mappings") / "doelbinding.toml").read_text())
        self.store = open_store(url)
        self.vault = FileVault(path / "keys")
        self._sealers: dict[str, Sealer] = {}
        self.sealer = self.sealer_of("gateway")
        self.wire = Wire(self.sealer_of, self.clock)
        self.retry = Retry(pause_s=0.0)
        self.numbers = itertools.count(1)
        self.wire_up()

    def wire_up(self, **instead: Any) -> None:
        """(Re)build the core; `instead` replaces `store`, `sealer`, `vault` or `transport`."""
        transport = instead.pop("transport", self.wire)
        parts = Parts(
            oin=GATEWAY_OIN,
            systeem="zvh-gateway",
            partners=self.partners,
            policy=self.policy,
            dialects={self.adapter.name: self.adapter},
            store=self.store,
            sealer=self.sealer,
            vault=self.vault,
            now=self.clock.now,
            lane_key=b"l" * 32,
            gebieden=Gebieden.read(folder("mappings") / "routing"),
            acknowledges={},
        )
        parts = replace(parts, **instead)
        self.acceptor = Acceptor(parts, houses=lambda _: {HOUSE_OIN: HOUSE})
        self.deliverer = Deliverer(parts, transport, self.retry)
        self.postbus = Postbus(parts)

    def sealer_of(self, name: str) -> Sealer:
        """The seal of a partner, or of the gateway itself."""
        if name not in self._sealers:
            self._sealers[name] = self.make_sealer(name)
        return self._sealers[name]

    def make_sealer(
        self, name: str, *, knows: Sequence[Partner] = (), also_opens: Sequence[str] = ()
    ) -> Sealer:
        """A partner knows the gateway (and `knows`), the gateway its partners."""
        party = next(p for p in (SELF, *PARTNERS) if p.name == name)
        others = self.partners if party is SELF else {p.name: p for p in (SELF, *knows)}
        return JoseSealer(
            KeyMaterial(
                oin=party.oin,
                signing=_pair(name, "sign"),
                encryption=tuple(_pair(one, "enc") for one in (name, *also_opens)),
                bus_key=b"b" * 32 if party is SELF else None,
            ),
            directory={name: _certificates(name) for name in others},
            partners=others,
            checker=CertificateChecker(ca=pki() / "ca.crt", crl=pki() / "crl.pem"),
        )

    def partner(self, name: str) -> Partner:
        return self.partners[name]

    def question(self, **changes: Any) -> dict[str, Any]:
        """A bekendheidsverzoek of ZSM to the house, as its document; `zaak` and `extra` may differ."""
        zaak, extra = changes.pop("zaak", "zaak-1"), changes.pop("extra", [])
        return {
            "specversion": "1.0",
            "id": f"vraag-{next(self.numbers)}",
            "source": source_of(_ZSM.oin, _ZSM.systeem),
            "type": type_of("bekendheidsverzoek"),
            "time": instant(self.clock.now()),
            "data": {
                "afzender": {"organisatie": _ZSM.oin, "applicatie": "ZSM"},
                "ontvanger": {"organisatie": HOUSE_OIN, "applicatie": "ZVH"},
                "verzoek": {
                    "identificatie": zaak,
                    "soortVerzoeker": "zsm-raadpleger",
                    "persoon": {"bsn": "999990342", "geslachtsnaam": "Testpersoon"},
                    "extra": extra,
                },
            },
            **changes,
        }

    def answer(self, question_id: str, **changes: Any) -> dict[str, Any]:
        """A bekendheidsuitslag of the national system, written for the house."""
        return {
            "specversion": "1.0",
            "id": f"antwoord-{next(self.numbers)}",
            "source": source_of(_LANDELIJK.oin, _LANDELIJK.systeem),
            "type": type_of("bekendheidsuitslag"),
            "time": instant(self.clock.now()),
            "antwoordop": question_id,
            "data": {
                "afzender": {"organisatie": HOUSE_OIN, "applicatie": "ZVH"},
                "ontvanger": {"organisatie": _ZSM.oin, "applicatie": "ZSM"},
                "uitslagen": [
                    {"identificatie": "a-1", "verzoekidentificatie": "zaak-1", "bekend": True}
                ],
            },
            **changes,
        }

    def seal(
        self,
        event: dict[str, Any],
        *,
        sender: str = "zsm",
        body: bytes | None = None,
        sealer: Sealer | None = None,
        receiver: Partner = SELF,
        **envelope: Any,
    ) -> bytes:
        """A document sealed by its sender; `envelope` changes attributes."""
        system = self.partner(sender)
        head = {
            "specversion": "1.0",
            "id": event["id"],
            "source": source_of(system.oin, system.systeem),
            "type": event["type"],
            "time": event["time"],
            "datacontenttype": "application/json",
            **envelope,
        }
        return (sealer or self.sealer_of(sender)).seal(
            orjson.dumps(event) if body is None else body,
            envelope=head,
            receiver=receiver,
            now=self.clock.now(),
        )

    def send(
        self, event: dict[str, Any] | None = None, *, sender: str = "zsm", **how: Any
    ) -> Accepted:
        """Seal and hand in, as the API does."""
        sealed = self.seal(event or self.question(), sender=sender, **how)
        return self.acceptor.accept(sealed, tls_oin=self.partner(sender).oin)

    def run(self) -> list[Outcome]:
        """Deliver what is due until nothing is, without a bus in between."""
        outcomes = []
        while claimed := self.deliverer.claim(10):
            for delivery_id in claimed:
                taken = Taken(delivery_id, self.deliverer.pack(delivery_id), None)
                if outcome := self.deliverer.deliver(taken):  # else another carried it
                    outcomes.append(outcome)
        return outcomes

    def delivery(self, accepted: Accepted) -> DeliveryRecord:
        """The only delivery of what was accepted."""
        assert accepted.internal_id, accepted.error
        (one,) = self.store.deliveries_of(accepted.internal_id)
        return one

    def delivery_by_id(self, delivery_id: str) -> DeliveryRecord:
        """The delivery as it stands."""
        record = self.store.delivery(delivery_id)
        assert record
        return record

    def receipt(self, accepted: Accepted, *, reader: str = "zsm") -> Receipt:
        """The receipt as its reader verifies it."""
        return self.sealer_of(reader).verify_receipt(
            accepted.receipt, partner=SELF, now=self.clock.now()
        )
