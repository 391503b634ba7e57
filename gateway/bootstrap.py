"""The composition root: the only place where parts are chosen and joined."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Self

from gateway import __version__
from gateway.model.partner import Partner
from gateway.ports import Adapter, Bus, Store
from gateway.resources import folder
from gateway.settings import Settings, read_secret

if TYPE_CHECKING:  # what a command does not use is not imported: `gateway --help` is quick
    from gateway.api.server import Servers
    from gateway.client import GatewayClient
    from gateway.core.deliver import Deliverer
    from gateway.core.outgoing import Outgoing
    from gateway.core.policy import Policy
    from gateway.security.identity import CertificateChecker
    from gateway.security.seal import JoseSealer
    from gateway.security.tls import TlsFiles
    from gateway.security.vault import FileVault
    from gateway.worker import Worker


def load_adapters(normative: Path | None = None) -> Iterator[Adapter]:
    """The installed adapters; they check by the owners' schemas where that folder is given."""
    for point in sorted(entry_points(group="gateway.adapters"), key=lambda point: point.name):
        adapter = point.load()
        swap = getattr(adapter, "with_schemas", None)
        yield swap(normative) if swap and normative else adapter


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


@dataclass(frozen=True)
class Gateway:
    """
    The parts of one process, each made when first asked for; `with` closes those that were made.

    Asking for a part raises Misconfigured.
    """

    settings: Settings
    clock: SystemClock = field(default_factory=SystemClock)
    _opened: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @cached_property
    def store(self) -> Store:
        from gateway.store import open_store

        store = open_store(self.settings.database_url)
        self._opened.callback(store.close)
        return store

    @cached_property
    def partners(self) -> Register:
        return Register(entry.partner() for entry in self.settings.partner)

    @cached_property
    def adapters(self) -> list[Adapter]:
        schemas = self.settings.schema_folder
        return list(load_adapters(schemas and self.settings.at(schemas)))

    @cached_property
    def checker(self) -> CertificateChecker:
        from gateway.security.identity import CertificateChecker

        return CertificateChecker(
            ca=self.settings.at(self.settings.ca_certificates),
            crl=self.settings.at(self.settings.crl),
        )
