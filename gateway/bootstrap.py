"""The composition root: the only place where parts are chosen and joined."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from gateway.errors import BadSeal, BodyDestroyed, Misconfigured
from gateway.ports import Adapter, Bus, Dialect, Query, Store, Vault
from gateway.resources import folder
from gateway.settings import Keys, Settings, read_secret, read_text

if TYPE_CHECKING:  # parts are imported when they are built: `gateway check` needs none of them
    from gateway.api.server import Servers
    from gateway.bus import Address
    from gateway.security.identity import CertificateChecker
    from gateway.security.seal import JoseSealer
    from gateway.security.tls import TlsFiles
    from gateway.worker import Worker

RELOAD_S = 10.0  # a renewed certificate or list is in use that soon; lists are renewed hourly

log = structlog.get_logger()


def load_dialects(normative: Path | None = None) -> dict[str, Dialect]:
    """
    The dialects of the installed adapters by name, each once.

    Where the folder is given, they check by the schemas of their owners. Raises Misconfigured for
    an adapter that cannot be imported, and for two dialects with one name: a plug-in brings its own.
    """
    from gateway.formats.dialect import XmlDialect

    points = sorted(entry_points(group="gateway.adapters"), key=lambda point: point.name)
    found: dict[str, Dialect] = {}
    for point in points:
        try:
            adapter: Adapter = point.load()
        except (ImportError, AttributeError) as error:
            raise Misconfigured(f"adapter {point.name} cannot be loaded: {error}") from error
        for dialect in adapter.dialects:
            if found.setdefault(dialect.name, dialect) is not dialect:
                raise Misconfigured(f"adapter {point.name} brings {dialect.name}, which is there")
    if normative:
        for name, dialect in found.items():
            if isinstance(dialect, XmlDialect):
                found[name] = dialect.with_schemas(normative)
    return found


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of one process, joined; nothing runs yet, and `listen` binds the ports."""

    store: Store
    bus: Bus
    worker: Worker
    listen: Callable[[], Servers]


@contextmanager
def build(settings: Settings) -> Iterator[Gateway]:
    """
    Join all parts of a gateway; what they opened is closed on leaving.

    Raises:
        Misconfigured: a key, certificate, mapping or schema is missing or unusable.
    """
    from gateway.api import Services, app, metrics, server
    from gateway.bus import open_bus
    from gateway.core import (
        accept,
        deliver,
        events,
        gebieden,
        parts,
        policy,
        postbus,
        repair,
        retry,
    )
    from gateway.filedrop import FileDrop
    from gateway.formats import jsondoc
    from gateway.formats.stufjz import STUF_JZ, acknowledgement
    from gateway.security import identity, tls, vault
    from gateway.store import open_store
    from gateway.transport import HttpsTransport
    from gateway.worker import Worker

    at, now = settings.at, partial(datetime.now, UTC)
    ca, crl = at(settings.ca_certificates), at(settings.crl)
    partners = {entry.name: entry for entry in settings.partner}
    with ExitStack() as opened:
        checker = identity.CertificateChecker(ca=ca, crl=crl)
        dialects = load_dialects(settings.schema_folder and at(settings.schema_folder))
        for dialect in dialects.values():
            dialect.load()
        store = open_store(settings.database_url)
        opened.callback(store.close)
        rules = policy.Policy.read((folder("mappings") / "doelbinding.toml").read_text("utf-8"))
        areas = gebieden.Gebieden.read(folder("mappings") / "routing")
        if settings.doelbinding:
            rules = rules.extended(read_text(at(settings.doelbinding)))
        sealer, bodies = _sealer(settings, checker), vault.FileVault(at(settings.body_keys))
        _same_keys(store, bodies)
        core = parts.Parts(
            *(settings.oin, settings.systeem, partners, rules, dialects, store, sealer, bodies),
            *(now, read_secret(at(settings.lane_key)), areas, {STUF_JZ.name: acknowledgement}),
            settings.own_address,
        )
        files = tls.TlsFiles(at(settings.tls.certificate), at(settings.tls.key), ca, crl)
        inward = tls.server_context(
            files, on_refused=lambda reason: log.warning("handshake_refused", reason=reason)
        )
        outward = tls.client_context(files)
        opened.callback(_keep_fresh(files, inward, outward).set)
        transport = HttpsTransport(outward)
        opened.callback(transport.close)
        deliverer = deliver.Deliverer(core, transport, retry.Retry(settings.retry_ladder))
        bus = open_bus(bus_address(settings), source=deliverer)
        opened.callback(bus.close)
        acceptor = accept.Acceptor(core, settings.houses)

        def oin_of(der: bytes) -> str:
            return checker.check(identity.load_certificate(der), now=now())

        box = postbus.Postbus(core)
        counters = metrics.Metrics(store)
        told = events.Events(core, acceptor, lambda p, url: jsondoc.read(transport.fetch(p, url)))
        services = Services(acceptor, box, store, bus, partners, oin_of, counters, told)

        def listen() -> Servers:
            api = server.Server(app.create_app(services), inward, settings.host, settings.port)
            management = app.create_management_app(services)
            health = server.Server(management, port=settings.management_port)
            wait_s = settings.drain_seconds
            return server.Servers(api, health, draining=services.draining, drain_s=wait_s)

        folders = [partner for partner in settings.partner if partner.transport == "map"]
        drop = FileDrop(acceptor, box, folders, at(Path("bestanden")))
        mending = repair.Repairs(store, now, settings.four_eyes_above)
        also = [mending.advance, *([drop.watch] if folders else [])]
        worker = Worker(bus, deliverer, threads=settings.worker_threads, also=also)
        yield Gateway(store, bus, worker, listen)


def bus_address(settings: Settings) -> Address:
    """Where the bus of this configuration is. Raises Misconfigured."""
    from gateway.bus import Address
    from gateway.security.tls import broker_context

    tls, at, context = settings.bus_tls, settings.at, None
    if tls:
        own = (at(tls.certificate), at(tls.key)) if tls.certificate and tls.key else None
        context = partial(broker_context, at(tls.ca_certificates), own)
        context()  # said at the start, not at the first connection
    partners = tuple(partner.name for partner in settings.partner)
    return Address(settings.bus_url, partners, context, settings.bus_management)


def _same_keys(store: Store, vault: Vault) -> None:
    """
    Raises Misconfigured when the newest body cannot be opened: all nodes share one key folder.

    Else deliveries would die here, for want of keys that another node holds.
    """
    for message in store.search(Query(limit=1)):
        for delivery in store.deliveries_of(message.id):
            wrapped = store.bodies(delivery.id).wrapped_key
            try:
                vault.unwrap(wrapped, message.destroy_by)
            except (BodyDestroyed, BadSeal) as error:
                if message.destroy_by >= datetime.now(UTC).date():
                    raise Misconfigured(
                        '"body-keys" is not the folder with the keys of this database'
                    ) from error


def _sealer(settings: Settings, checker: CertificateChecker) -> JoseSealer:
    from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair, PartnerCertificates

    at = settings.at

    def pair(keys: Keys) -> KeyPair:
        return KeyPair(at(keys.certificate), at(keys.key))

    encryption, bus_key = tuple(map(pair, settings.enc)), read_secret(at(settings.bus_key))
    own = KeyMaterial(settings.oin, pair(settings.sign), encryption, bus_key)
    directory = {
        p.name: PartnerCertificates(tuple(map(at, p.sign_certificates)), at(p.enc_certificate))
        for p in settings.partner
        if p.enc_certificate
    }
    partners = {entry.name: entry for entry in settings.partner}
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
