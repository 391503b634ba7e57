"""Takes from the queues of all partners, for as long as nobody closes it."""

from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from random import uniform
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, NamedTuple

import pika
import structlog
from pika import exceptions

from gateway.ports import Taken

from .connection import Tls, call, parameters

PREFETCH = 16  # parcels of one partner waiting in a worker: hides the way, hoards nothing
AGAIN_S = 2.0  # before asking again for a broker or a queue that was not there
LEAVE_S = 2.0

log = structlog.get_logger()


class Handle(NamedTuple):
    """Where a parcel came from, to answer for it."""

    channel: Any
    tag: int


class Consumer:
    """
    A thread with a connection of its own, which comes back after every loss.

    Workers take and answer from threads of theirs; only the connection's thread talks to the broker,
    so that a long delivery never silences its heartbeat.
    """

    def __init__(self, url: str, queues: Sequence[str], tls: Tls | None) -> None:
        self._url, self._queues, self._tls = url, queues, tls
        self._starting, self._closed = Lock(), Event()
        self._thread = Thread(target=self._run, name="bus", daemon=True)
        self._connection: Any = None
        self._arrived: SimpleQueue[Taken] = SimpleQueue()

    def take(self, *, wait_s: float) -> Taken | None:
        with self._starting:
            if self._thread.ident is None and not self._closed.is_set():
                self._thread.start()
        deadline = monotonic() + wait_s
        while True:
            try:
                taken = self._arrived.get(timeout=max(0.0, deadline - monotonic()))
            except Empty:
                return None
            if self._closed.is_set():
                return None
            if taken.handle.channel.is_open:  # else the broker has given it to another
                return taken

    def acknowledge(self, taken: Taken) -> None:
        self._answer(taken.handle, taken.handle.channel.basic_ack)

    def give_back(self, taken: Taken) -> None:
        self._answer(taken.handle, taken.handle.channel.basic_nack)

    def close(self) -> None:
        """
        Leave within LEAVE_S; what was taken and not acknowledged goes to another worker.

        With a broker that hangs the thread stays until its heartbeat ends it; it hands out nothing.
        """
        with self._starting:
            self._closed.set()
        if self._connection is not None:
            call(self._connection, self._connection.close)
        if self._thread.ident is not None:
            self._thread.join(LEAVE_S)

    def _answer(self, handle: Handle, answer: Callable[[int], None]) -> None:
        def in_thread_of_connection() -> None:
            if handle.channel.is_open:
                answer(handle.tag)

        call(handle.channel.connection, in_thread_of_connection)

    def _run(self) -> None:
        told = False  # once an outage
        while not self._closed.is_set():
            try:
                nodes = parameters(self._url, self._tls)
                with pika.BlockingConnection(nodes) as self._connection:
                    told = False
                    self._take_from(self._connection)
            except Exception as error:  # noqa: BLE001 (a dead thread would silence the bus for good)
                if not (told or self._closed.is_set()):
                    log.warning("bus_connection_lost", error=type(error).__name__)
                told = True
            self._closed.wait(AGAIN_S * uniform(0.5, 1.0))

    def _take_from(self, connection: Any) -> None:
        """A channel for each queue: one that is missing must not stop the others."""
        channels: dict[str, Any] = {}
        while not self._closed.is_set():
            for queue in self._queues:
                if queue not in channels or channels[queue].is_closed:
                    channels[queue] = self._subscribe(connection, queue)
            connection.sleep(AGAIN_S)  # in which everything arrives and is answered

    def _subscribe(self, connection: Any, name: str) -> Any:
        channel = connection.channel()
        channel.add_on_cancel_callback(lambda _frame: channel.close())  # its queue was deleted
        channel.basic_qos(prefetch_count=PREFETCH)
        try:
            channel.basic_consume(name, self._arrive)
        except exceptions.ChannelClosedByBroker as error:
            log.warning("bus_queue_lost", queue=name, error=type(error).__name__)
        return channel

    def _arrive(self, channel: Any, method: Any, properties: Any, token: bytes) -> None:
        handle = Handle(channel, method.delivery_tag)
        self._arrived.put(Taken(properties.message_id or "", token, handle))
