"""The bus: brings due deliveries from the store to workers. The URL picks the back end."""

from collections.abc import Callable
from dataclasses import dataclass
from ssl import SSLContext
from typing import TYPE_CHECKING, NamedTuple

from gateway.bus.topology import Topology, User, definitions
from gateway.errors import Misconfigured
from gateway.ports import Bus, Source

if TYPE_CHECKING:
    from gateway.bus.rabbitmq import DeadLetter

__all__ = [
    "Address",
    "Findings",
    "User",
    "boot_definitions",
    "check",
    "dead_letters",
    "declare",
    "loads",
    "open_bus",
]

# Back ends are imported where they are chosen: who uses `table` never loads an AMQP client.


@dataclass(frozen=True, slots=True)
class Address:
    """
    Where the bus is: `table`, `amqp://…` or `amqps://…` (several nodes with a comma).

    `tls` makes the context of a connection: whom to trust, and who we are. `management` is the URL
    of the broker's management API, or empty. `partners` are the names of the receivers.
    """

    url: str
    partners: tuple[str, ...]
    tls: Callable[[], SSLContext] | None = None
    management: str = ""


class Findings(NamedTuple):
    """In what the broker differs from queue/topology.toml, a sentence each."""

    differences: list[str]
    complete: bool  # else only names were looked at: the user may not configure


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


def check(at: Address) -> Findings:
    """Compare the broker with queue/topology.toml. Raises BusUnavailable, Misconfigured."""
    if at.url == "table":
        return Findings([], True)
    if at.management:
        from .management import Management

        with Management(at.management, at.url, at.tls) as management:
            return Findings(management.differences(Topology.load(), at.partners), True)
    from . import rabbitmq

    return Findings(*rabbitmq.differences(at.url, Topology.load(), at.partners, at.tls))


def loads(at: Address) -> dict[str, dict[str, int]]:
    """Of each queue what only the management API tells: `unacked` and `consumers`; empty without it."""
    if at.url == "table" or not at.management:
        return {}
    from .management import Management

    with Management(at.management, at.url, at.tls) as management:
        return management.loads(Topology.load(), at.partners)


def dead_letters(at: Address, *, limit: int) -> "list[DeadLetter]":
    """What lies among the dead letters, oldest first. Raises BusUnavailable, TopologyMismatch."""
    if at.url == "table":
        return []
    from . import rabbitmq

    return rabbitmq.dead_letters(at.url, Topology.load(), at.tls, limit=limit)


def boot_definitions(at: Address, user: User | None = None) -> str:
    """What RabbitMQ imports at boot: exchanges, queues, bindings, and the user of the gateway."""
    return definitions(Topology.load(), at.partners, [user] if user else [])
