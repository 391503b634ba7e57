"""The composition root: the only place where parts are chosen and joined."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Self

import structlog

from gateway.errors import Misconfigured
from gateway.model.partner import Partner
from gateway.ports import Adapter, Bus, Store
from gateway.resources import folder
from gateway.settings import Settings, read_secret

if TYPE_CHECKING:  # parts are imported when they are built: `gateway check` needs none of them
    from gateway.api.server import Servers
    from gateway.security.identity import CertificateChecker
    from gateway.security.seal import JoseSealer
    from gateway.security.tls import TlsFiles
    from gateway.worker import Worker

RELOAD_S = 10.0  # a renewed certificate or list is in use that soon; lists are renewed hourly

log = structlog.get_logger()


def load_adapters(normative: Path | None = None) -> list[Adapter]:
    """The installed adapters; they check by the owners' schemas where that folder is given."""
    points = sorted(entry_points(group="gateway.adapters"), key=lambda point: point.name)
    found = [point.load() for point in points]
    swap = "with_schemas"
    return [getattr(a, swap)(normative) if normative and hasattr(a, swap) else a for a in found]


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class Register:
    """The partners of the configuration."""

    def __init__(self, partners: Iterable[Partner]) -> None:
        self._partners = {partner.name: partner for partner in partners}

    def by_name(self, name: str) -> Partner | None:
        return self._partners.get(name)

    def by_oin(self, oin: str) -> Sequence[Partner]:
        return [partner for partner in self._partners.values() if partner.oin == oin]

    def all(self) -> Iterable[Partner]:
        return self._partners.values()


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of one process, joined; nothing runs yet, and `listen` binds the ports."""

    store: Store
    bus: Bus
    worker: Worker
    listen: Callable[[], Servers]
    _opened: ExitStack[None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()


def build(settings: Settings) -> Gateway:
    """
    Join all parts of a gateway.

    Raises:
        Misconfigured: a key, certificate, mapping or schema is missing or unusable.
    """
    from gateway.api import Services
    from gateway.api.app import create_app, create_management_app
    from gateway.api.metrics import Metrics
    from gateway.api.server import Server, Servers
    from gateway.bus import open_bus
    from gateway.core.accept import Acceptor
    from gateway.core.deliver import Deliverer
    from gateway.core.outgoing import Outgoing
    from gateway.core.policy import Policy
    from gateway.core.postbus import Postbus
    from gateway.core.retry import Retry
    from gateway.core.routing import Routing
    from gateway.security import identity, tls
    from gateway.security.vault import FileVault
    from gateway.store import open_store
    from gateway.transport import HttpsTransport
    from gateway.worker import Worker

    at, clock = settings.at, SystemClock()
    ca, crl = at(settings.ca_certificates), at(settings.crl)
    opened: ExitStack[None] = ExitStack()
    with opened:
        partners = Register(settings.partner)
        checker = identity.CertificateChecker(ca=ca, crl=crl)
        sealer = _sealer(settings, checker=checker, partners=partners)
        vault = FileVault(at(settings.body_keys))
        adapters = load_adapters(settings.schema_folder and at(settings.schema_folder))
        for adapter in adapters:
            adapter.load()
        policy = Policy.read((folder("mappings") / "doelbinding.toml").read_text("utf-8"))
        store = open_store(settings.database_url)
        opened.callback(store.close)
        files = tls.TlsFiles(at(settings.tls.certificate), at(settings.tls.key), ca, crl)
        inward = tls.server_context(
            files, on_refused=lambda reason: log.warning("handshake_refused", reason=reason)
        )
        outward = tls.client_context(files)
        opened.callback(_keep_fresh(files, inward, outward).set)
        transport = HttpsTransport(outward)
        opened.callback(transport.close)
        outgoing = Outgoing(
            store=store, sealer=sealer, vault=vault, own_oin=settings.oin, systeem=settings.systeem
        )
        deliverer = Deliverer(
            store=store,
            outgoing=outgoing,
            partners=partners,
            adapters=adapters,
            policy=policy,
            transport=transport,
            clock=clock,
            retry=Retry(settings.retry_ladder),
        )
        names = [partner.name for partner in partners.all()]
        bus = open_bus(settings.bus_url, source=deliverer, partners=names)
        opened.callback(bus.close)
        acceptor = Acceptor(
            store=store,
            sealer=sealer,
            vault=vault,
            partners=partners,
            adapters=adapters,
            routing=Routing(partners=partners, store=store, policy=policy),
            policy=policy,
            clock=clock,
            own_oin=settings.oin,
            lane_key=read_secret(at(settings.lane_key)),
            houses={h.oin: h.code for h in settings.huis if h.exists_on(clock.now().date())},
        )

        def oin_of(der: bytes) -> str:
            return checker.check(identity.load_certificate(der), now=clock.now())

        postbus = Postbus(store=store, outgoing=outgoing, clock=clock)
        metrics = Metrics(store=store, clock=clock)
        services = Services(acceptor, postbus, store, bus, partners, clock, oin_of, metrics)
        worker = Worker(
            bus=bus, deliverer=deliverer, store=store, clock=clock, threads=settings.worker_threads
        )

        def listen() -> Servers:
            api = Server(create_app(services), inward, settings.host, settings.port)
            management = Server(create_management_app(services), port=settings.management_port)
            return Servers(api, management)

        return Gateway(store, bus, worker, listen, opened.pop_all())


def _sealer(settings: Settings, *, checker: CertificateChecker, partners: Register) -> JoseSealer:
    from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair, PartnerCertificates

    at = settings.at
    signing, *encryption = (
        KeyPair(at(keys.certificate), at(keys.key)) for keys in (settings.sign, *settings.enc)
    )
    bus_key = read_secret(at(settings.bus_key))
    own = KeyMaterial(settings.oin, signing, tuple(encryption), bus_key)
    directory = {
        entry.name: PartnerCertificates(
            tuple(map(at, entry.sign_certificates)), at(entry.enc_certificate)
        )
        for entry in settings.partner
    }
    return JoseSealer(own, directory, partners, checker)


def _keep_fresh(files: TlsFiles, *contexts: ssl.SSLContext) -> threading.Event:
    """Take the files into living contexts again and again, until the event is set."""
    from gateway.security import tls

    stopping = threading.Event()

    def repeat() -> None:
        while not stopping.wait(RELOAD_S):
            try:
                for context in contexts:
                    tls.reload(context, files)
            except Misconfigured:
                log.warning("certificates_unusable")  # half-copied; what was there is still used

    threading.Thread(target=repeat, name="certificates", daemon=True).start()
    return stopping
