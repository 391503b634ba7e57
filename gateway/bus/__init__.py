"""The bus: brings due deliveries from the store to workers. The URL picks the back end."""

import ssl
from dataclasses import dataclass

from gateway.bus.topology import Topology, User, definitions
from gateway.errors import Misconfigured, TopologyMismatch
from gateway.ports import Bus, Source

__all__ = ["Address", "User", "boot_definitions", "check", "declare", "open_bus"]

# Back ends are imported where they are chosen: who uses `table` never loads an AMQP client.


@dataclass(frozen=True, slots=True)
class Address:
    """
    Where the bus is: `table`, `amqp://…` or `amqps://…` (several nodes with a comma).

    `tls` says whom to trust and who we are; `management` is the URL of the broker's management API,
    or empty. `partners` are the names of the receivers that are pushed to.
    """

    url: str
    partners: tuple[str, ...]
    tls: ssl.SSLContext | None = None
    management: str = ""


def open_bus(at: Address, *, source: Source) -> Bus:
    """Connects on first use; raises Misconfigured."""
    if at.url == "table":
        from .table import TableBus

        return TableBus(source)
    if at.url.startswith(("amqp://", "amqps://")):
        from .rabbitmq import RabbitBus

        topology = Topology.load()
        return RabbitBus(at.url, source=source, topology=topology, partners=at.partners, tls=at.tls)
    raise Misconfigured('"bus" is "table" of begint met amqp:// of amqps://')


def declare(at: Address) -> None:
    """Make what the broker lacks. Raises TopologyMismatch when it has another shape there."""
    if at.url != "table":
        from . import rabbitmq

        rabbitmq.declare(at.url, Topology.load(), at.partners, at.tls)


def check(at: Address) -> bool:
    """
    Raises TopologyMismatch with every difference from queue/topology.toml, BusUnavailable.

    False when only the names could be looked at: the user may not configure, and there is no
    management API to ask.
    """
    if at.url == "table":
        return True
    if not at.management:
        from . import rabbitmq

        return rabbitmq.check(at.url, Topology.load(), at.partners, at.tls)
    from . import management

    found = management.differences(at.management, at.url, Topology.load(), at.partners, at.tls)
    if found:
        raise TopologyMismatch("; ".join(found))
    return True


def boot_definitions(at: Address, user: User | None = None) -> str:
    """What RabbitMQ imports at boot: exchanges, queues, bindings, and the user of the gateway."""
    return definitions(Topology.load(), at.partners, [user] if user else [])
