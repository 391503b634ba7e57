"""The shape of the broker: what must be there, made or compared over AMQP."""

from collections.abc import Iterable
from typing import Any

from pika import exceptions

from gateway.errors import TopologyMismatch

from ..topology import Queue, Topology
from .connection import Tls, dialogue, translate

_REFUSED = 403  # AMQP 0-9-1 §1.2: access-refused


def ping(url: str, tls: Tls | None = None) -> None:
    """Connect, log in and leave. Raises BusUnavailable."""
    with dialogue(url, tls):
        pass


def declare(url: str, topology: Topology, partners: Iterable[str], tls: Tls | None = None) -> None:
    """Make what is missing, for development; production imports queue/definitions.json."""
    with dialogue(url, tls) as connection:
        channel = connection.channel()
        for queue in topology.queues(partners):
            exchange(channel, queue, passive=False)
            queue_at(channel, queue, passive=False)
            channel.queue_bind(queue.name, queue.exchange, queue.routing_key)


def differences(
    url: str, topology: Topology, partners: Iterable[str], tls: Tls | None = None
) -> tuple[list[str], bool]:
    """
    What is missing or of another shape, in the words of the broker; and whether shapes were compared.

    They are for a user with the permission to configure only, and then the first difference of each
    queue. AMQP cannot ask for bindings at all. Raises BusUnavailable.
    """
    found: dict[str, None] = {}
    compared = True
    with dialogue(url, tls) as connection:
        for queue in topology.queues(partners):
            for make in (exchange, queue_at):
                try:
                    with connection.channel() as channel:
                        make(channel, queue, passive=True)  # fails on what is absent
                        make(channel, queue, passive=False)  # so this makes nothing: it compares
                except exceptions.ChannelClosedByBroker as error:
                    if error.reply_code == _REFUSED:
                        compared = False
                    elif isinstance(translate(error), TopologyMismatch):
                        found[error.reply_text] = None
                    else:
                        raise
    return list(found), compared


def exchange(channel: Any, queue: Queue, *, passive: bool) -> Any:
    return channel.exchange_declare(queue.exchange, queue.type, passive=passive, durable=True)


def queue_at(channel: Any, queue: Queue, *, passive: bool) -> Any:
    arguments = queue.arguments
    return channel.queue_declare(queue.name, passive=passive, durable=True, arguments=arguments)
