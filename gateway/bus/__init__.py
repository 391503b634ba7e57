"""The bus: brings due deliveries from the store to workers. The URL picks the back end."""

from collections.abc import Iterable

from gateway.bus.topology import Topology
from gateway.errors import Misconfigured
from gateway.ports import Bus, Source

# Back ends are imported where they are chosen: who uses `table` never loads an AMQP client.


def open_bus(url: str, *, source: Source, partners: Iterable[str]) -> Bus:
    """
    `table`, `amqp://…` or `amqps://…`. Connects on first use; raises Misconfigured.

    `partners` are the names of the receivers that are pushed to.
    """
    if url == "table":
        from .table import TableBus

        return TableBus(source)
    if url.startswith(("amqp://", "amqps://")):
        from .rabbitmq import RabbitBus

        return RabbitBus(url, source=source, topology=Topology.load(), partners=partners)
    raise Misconfigured('"bus" is "table" of begint met amqp:// of amqps://')


def declare(url: str, *, partners: Iterable[str]) -> None:
    """Make what the broker lacks. Raises TopologyMismatch when it has another shape there."""
    if url != "table":
        from . import rabbitmq

        rabbitmq.declare(url, Topology.load(), partners)


def check(url: str, *, partners: Iterable[str]) -> None:
    """Raises TopologyMismatch with every difference from queue/topology.toml, BusUnavailable."""
    if url != "table":
        from . import rabbitmq

        rabbitmq.check(url, Topology.load(), partners)
