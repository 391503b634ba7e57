"""The bus on RabbitMQ: confirmed publishing, acknowledged taking; both come back by themselves."""

import ssl
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from random import uniform
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, NamedTuple

import pika
import structlog
from pika import exceptions

from gateway.errors import GatewayError, TopologyMismatch, Unavailable
from gateway.ports import Source, Taken

from ..topology import Topology
from .connection import call, dialogue, parameters, translate
from .publisher import LEAVE_S, WINDOW, Parcel, Publisher
from .shape import check, declare, ping, queue_at

__all__ = ["RabbitBus", "check", "declare", "ping", "translate"]

_PREFETCH = 16  # parcels of one partner waiting in a worker: hides the way, hoards nothing
_AGAIN_S = 2.0  # before asking again for a broker or a queue that was not there

log = structlog.get_logger()


class _Handle(NamedTuple):
    channel: Any
    tag: int


class RabbitBus:
    """Offers due deliveries to one queue a partner, and takes them from all."""

    def __init__(
        self,
        url: str,
        *,
        source: Source,
        topology: Topology,
        partners: Iterable[str],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url, self._source, self._topology, self._tls = url, source, topology, tls
        self._queues = topology.queues(partners)
        self._pumping, self._taking, self._closed = Lock(), Lock(), Event()
        self._publisher = Publisher(url, topology.partner.exchange, tls)
        self._consumer = Thread(target=self._consume, name="bus", daemon=True)
        self._connection: Any = None  # of the consumer
        self._arrived: SimpleQueue[Taken] = SimpleQueue()

    def pump(self) -> int:
        """
        Offer one window of what is due; how many the broker confirmed.

        Raises BusUnavailable; what the broker said nothing of is due again at once. Deliveries for a
        queue that is full, or missing (TopologyMismatch), wait their lease: claimed again at once
        they would hold up all other partners.
        """
        publisher = self._publisher
        with self._pumping:
            publisher.open()
            ids = self._source.claim(WINDOW)
            lost = set(ids)
            try:
                parcels = [parcel for parcel in map(self._parcel, ids) if parcel]
                lost = publisher.publish(parcels)
            finally:
                if lost:
                    self._source.unclaim(list(lost))
            passed = lost | publisher.refused
            taken = [
                id for id, to, _ in parcels if not (id in passed or to in publisher.unroutable)
            ]
            self._source.offered(taken)
            if publisher.refused:
                full = {receiver for id, receiver, _ in parcels if id in publisher.refused}
                log.warning("bus_queue_full", partners=sorted(full))
            if publisher.unroutable:
                of = self._topology.partner.of
                names = sorted(of(receiver).name for receiver in publisher.unroutable)
                raise TopologyMismatch(f"Op de broker ontbreekt: {', '.join(names)}.")
            if lost:
                raise translate(publisher.error) from publisher.error
            return len(taken)

    def take(self, *, wait_s: float) -> Taken | None:
        with self._taking:
            if self._consumer.ident is None and not self._closed.is_set():
                self._consumer.start()
        deadline = monotonic() + wait_s
        while True:
            try:
                taken = self._arrived.get(timeout=max(0.0, deadline - monotonic()))
            except Empty:
                return None
            if taken.handle.channel.is_open:  # else the broker has given it to another
                return taken

    def done(self, taken: Taken) -> None:
        self._answer(taken.handle, taken.handle.channel.basic_ack)

    def give_back(self, taken: Taken) -> None:
        """Back into its queue; counts towards the delivery limit."""
        self._answer(taken.handle, taken.handle.channel.basic_nack)

    def status(self) -> dict[str, int]:
        """The queues of the partners, and the dead letters. Raises as `check` does."""
        with dialogue(self._url, self._tls) as connection:
            channel = connection.channel()
            found = [queue_at(channel, queue, passive=True).method for queue in self._queues]
        return {queue.queue: queue.message_count for queue in found}

    def ping(self) -> None:
        ping(self._url, self._tls)

    def close(self) -> None:
        """Leave the broker; what was taken and not acknowledged goes to another worker."""
        with self._pumping:
            self._publisher.close()
        self._closed.set()
        if self._connection is not None:
            call(self._connection, self._connection.close)
        if self._consumer.ident is not None:
            self._consumer.join(LEAVE_S)

    def _parcel(self, delivery_id: str) -> Parcel | None:
        try:
            receiver = self._source.receiver_of(delivery_id)
            return delivery_id, receiver, self._source.pack(delivery_id)
        except Unavailable:
            raise
        except GatewayError as error:  # keeps its claim, so that it holds up nobody
            log.error("delivery_not_packed", delivery_id=delivery_id, code=error.code)
            return None

    def _answer(self, handle: _Handle, answer: Callable[[int], None]) -> None:
        def in_thread_of_connection() -> None:
            if handle.channel.is_open:
                answer(handle.tag)

        call(handle.channel.connection, in_thread_of_connection)

    def _consume(self) -> None:
        while not self._closed.is_set():
            try:
                with pika.BlockingConnection(parameters(self._url, self._tls)) as self._connection:
                    self._take_from(self._connection)
            except Exception as error:  # noqa: BLE001 (a dead thread would silence the bus for good)
                if not self._closed.is_set():
                    log.warning("bus_connection_lost", error=type(error).__name__)
            self._closed.wait(_AGAIN_S * uniform(0.5, 1.0))

    def _take_from(self, connection: Any) -> None:
        """A channel for each queue: one that is missing must not stop the others."""
        channels: dict[str, Any] = {}
        while not self._closed.is_set():
            for queue in self._queues[:-1]:  # the last holds the dead letters: for a person
                if queue.name not in channels or channels[queue.name].is_closed:
                    channels[queue.name] = self._subscribe(connection, queue.name)
            connection.sleep(_AGAIN_S)  # in which everything arrives and is answered

    def _subscribe(self, connection: Any, name: str) -> Any:
        channel = connection.channel()
        channel.add_on_cancel_callback(lambda _frame: channel.close())
        channel.basic_qos(prefetch_count=_PREFETCH)
        try:
            channel.basic_consume(name, self._arrive)
        except exceptions.ChannelClosedByBroker as error:
            log.warning("bus_queue_lost", queue=name, error=type(error).__name__)
        return channel

    def _arrive(self, channel: Any, method: Any, properties: Any, token: bytes) -> None:
        handle = _Handle(channel, method.delivery_tag)
        self._arrived.put(Taken(properties.message_id or "", token, handle))
