"""The bus on RabbitMQ: confirmed publishing, acknowledged taking; both come back by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, SimpleQueue
from random import uniform
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, NamedTuple

import pika
import structlog
from pika import exceptions

from gateway.errors import BusUnavailable, GatewayError, TopologyMismatch, Unavailable
from gateway.ports import QueueStatus, Source, Taken

from .topology import Queue, Topology

_WINDOW = 100  # publishes under way at once; confirms get little faster beyond it
_PREFETCH = 16  # parcels of one partner waiting in a worker: hides the way, hoards nothing
_CONFIRM_S = 10.0  # a quorum queue confirms within milliseconds, a lease lasts minutes
_OPEN_S = 2.0
_PAUSE_S = (0.1, 5.0)  # before connecting again, first and longest
_AGAIN_S = 2.0  # before asking for a missing queue again
_DEFAULTS = {"heartbeat": 30, "blocked_connection_timeout": 30, "socket_timeout": 5}
_OTHER_SHAPE = (404, 406)  # AMQP 0-9-1 §1.2: not-found, precondition-failed

_REASONS: dict[type[BaseException], str] = {
    exceptions.AuthenticationError: "De broker weigert de aanmelding.",
    exceptions.ProbableAuthenticationError: "De broker weigert de aanmelding.",
    exceptions.ProbableAccessDeniedError: "De broker geeft geen toegang tot de vhost.",
    exceptions.ConnectionBlockedTimeout: "De broker neemt niets aan: geheugen of schijf is vol.",
    exceptions.AMQPConnectionError: "De broker is niet bereikbaar.",
    exceptions.AMQPChannelError: "De broker heeft het kanaal gesloten.",
    exceptions.AMQPError: "De broker houdt zich niet aan het protocol.",
    OSError: "De broker is niet bereikbaar.",
}

log = structlog.get_logger()


def translate(error: BaseException | None) -> GatewayError:
    """BusUnavailable, in words by its nearest ancestor; TopologyMismatch if so the broker says."""
    if isinstance(error, exceptions.ChannelClosed) and error.reply_code in _OTHER_SHAPE:
        return TopologyMismatch(error.reply_text)
    known = (_REASONS[kind] for kind in type(error).__mro__ if kind in _REASONS)
    return BusUnavailable(next(known, "De broker bevestigt niet."))


class RabbitBus:
    """Offers due deliveries to one queue a partner, and takes them from all."""

    def __init__(
        self, url: str, *, source: Source, topology: Topology, partners: Iterable[str]
    ) -> None:
        self._url, self._source, self._topology = url, source, topology
        self._queues = topology.queues(partners)
        self._pumping = Lock()
        self._publisher = _Publisher(url, topology.partner.exchange)
        self._consumer = _Link(url, self._subscribe_all)
        self._arrived: SimpleQueue[Taken] = SimpleQueue()
        self._held: Counter[str] = Counter()

    def pump(self) -> int:
        """
        Offer one window of what is due; how many the broker confirmed.

        Raises BusUnavailable; what was not confirmed is due again at once. Raises TopologyMismatch
        when a queue is missing: its deliveries wait their lease, and hold up no other partner.
        """
        with self._pumping:
            self._publisher.wait_open()
            ids = self._source.claim(_WINDOW)
            window = _Window(lost=set(ids))
            try:
                parcels = [parcel for parcel in map(self._parcel, ids) if parcel]
                window.lost.intersection_update(parcel.delivery_id for parcel in parcels)
                self._publisher.publish(parcels, window)
            finally:
                if lost := [delivery_id for delivery_id in ids if delivery_id in window.lost]:
                    self._source.unclaim(lost)
        if window.unroutable:
            names = sorted(self._topology.partner.of(name).name for name in window.unroutable)
            raise TopologyMismatch(f"Op de broker ontbreekt: {', '.join(names)}.")
        if lost:
            raise translate(window.error) from window.error
        self._source.offered([parcel.delivery_id for parcel in parcels])
        return len(parcels)

    def take(self, *, wait_s: float) -> Taken | None:
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
        self._settle(taken.handle, lambda channel, tag: channel.basic_ack(tag))

    def give_back(self, taken: Taken) -> None:
        """Back into its queue; counts towards the delivery limit."""
        self._settle(taken.handle, lambda channel, tag: channel.basic_nack(tag, requeue=True))

    def status(self) -> list[QueueStatus]:
        """
        The queues of the partners, and the dead letters. Raises as `check` does.

        `unacknowledged` is what this process holds: AMQP does not tell of others.
        """
        with _dialogue(self._url) as connection:
            channel = connection.channel()
            found = [_queue(channel, queue, passive=True).method for queue in self._queues]
        return [
            QueueStatus(f.queue, f.message_count, self._held[f.queue], f.consumer_count)
            for f in found
        ]

    def ping(self) -> None:
        ping(self._url)

    def close(self) -> None:
        """Leave the broker; what was taken and not acknowledged goes to another worker."""
        self._publisher.close()
        self._consumer.close()

    def _parcel(self, delivery_id: str) -> _Parcel | None:
        try:
            receiver = self._source.receiver_of(delivery_id)
            return _Parcel(delivery_id, receiver, self._source.pack(delivery_id))
        except Unavailable:
            raise
        except GatewayError as error:  # keeps its claim, so that it holds up nobody
            log.error("delivery_not_packed", delivery_id=delivery_id, code=error.code)
            return None

    def _subscribe_all(self, connection: Any) -> None:
        for queue in self._queues[:-1]:  # the last holds the dead letters: for a person
            self._subscribe(connection, queue.name)

    def _subscribe(self, connection: Any, name: str) -> None:
        """A channel for each queue: one that is missing must not stop the others."""

        def opened(channel: Any) -> None:
            channel.add_on_close_callback(closed)
            channel.add_on_cancel_callback(lambda _frame: channel.close())
            channel.basic_qos(prefetch_count=_PREFETCH)
            channel.basic_consume(name, arrived)

        def arrived(channel: Any, method: Any, properties: Any, token: bytes) -> None:
            self._held[name] += 1
            handle = _Handle(channel, method.delivery_tag, name)
            self._arrived.put(Taken(properties.message_id or "", token, handle))

        def closed(_channel: Any, reason: BaseException) -> None:
            self._held[name] = 0
            if connection.is_open:
                log.warning("bus_queue_lost", queue=name, error=type(reason).__name__)
                again = partial(self._subscribe, connection, name)
                connection.ioloop.call_later(_AGAIN_S, again)

        if connection.is_open:
            connection.channel(on_open_callback=opened)

    def _settle(self, handle: _Handle, answer: Callable[[Any, int], None]) -> None:
        def in_thread_of_connection() -> None:
            if handle.channel.is_open:
                answer(handle.channel, handle.tag)
                self._held[handle.queue] -= 1

        self._consumer.call(in_thread_of_connection)


def ping(url: str) -> None:
    """Connect, log in and leave. Raises BusUnavailable."""
    with _dialogue(url):
        pass


def declare(url: str, topology: Topology, partners: Iterable[str]) -> None:
    """Make what is missing, for development; production imports queue/definitions.json."""
    with _dialogue(url) as connection:
        channel = connection.channel()
        for queue in topology.queues(partners):
            _exchange(channel, queue, passive=False)
            _queue(channel, queue, passive=False)
            channel.queue_bind(queue.name, queue.exchange, queue.routing_key)


def check(url: str, topology: Topology, partners: Iterable[str]) -> None:
    """
    Raises TopologyMismatch naming every queue and exchange that is missing or of another shape.

    Needs the permission to configure. AMQP cannot ask for bindings: `pump` finds a missing one.
    """
    differences: dict[str, None] = {}
    with _dialogue(url) as connection:
        for queue in topology.queues(partners):
            for make in (_exchange, _queue):
                try:
                    with connection.channel() as channel:
                        make(channel, queue, passive=True)  # fails on what is absent
                        make(channel, queue, passive=False)  # so this makes nothing: it compares
                except exceptions.ChannelClosedByBroker as error:
                    if not isinstance(translate(error), TopologyMismatch):
                        raise
                    differences[error.reply_text] = None
    if differences:
        raise TopologyMismatch("; ".join(differences))


def _exchange(channel: Any, queue: Queue, *, passive: bool) -> Any:
    return channel.exchange_declare(queue.exchange, queue.type, passive=passive, durable=True)


def _queue(channel: Any, queue: Queue, *, passive: bool) -> Any:
    arguments = queue.arguments
    return channel.queue_declare(queue.name, passive=passive, durable=True, arguments=arguments)


def _parameters(url: str) -> Any:
    parameters = pika.URLParameters(url)
    for name, value in _DEFAULTS.items():
        if f"{name}=" not in url:
            setattr(parameters, name, value)
    return parameters


@contextmanager
def _dialogue(url: str) -> Iterator[Any]:
    try:
        with pika.BlockingConnection(_parameters(url)) as connection:
            yield connection
    except tuple(_REASONS) as error:
        raise translate(error) from error


class _Handle(NamedTuple):
    channel: Any
    tag: int
    queue: str


class _Parcel(NamedTuple):
    delivery_id: str
    receiver: str
    token: bytes


@dataclass(slots=True)
class _Window:
    """Publishes under way; the broker's answers shrink `lost`."""

    lost: set[str]
    waiting: dict[int, str] = field(default_factory=dict)  # number of the publish: delivery
    unroutable: set[str] = field(default_factory=set)
    settled: Event = field(default_factory=Event)
    error: BaseException | None = None


class _Link:
    """A connection in a thread of its own, made again until it is closed."""

    def __init__(self, url: str, on_open: Callable[[Any], None]) -> None:
        self._parameters, self._on_open = _parameters(url), on_open
        self._lock, self._ended = Lock(), Event()
        self._connection: Any = None
        self._thread: Thread | None = None
        self._pause = _PAUSE_S[0]
        self.error: BaseException | None = None

    def start(self) -> None:
        with self._lock:
            if self._thread is None and not self._ended.is_set():
                self._thread = Thread(target=self._run, name="bus", daemon=True)
                self._thread.start()

    def call(self, action: Callable[[], None]) -> None:
        """Have it done in the thread of the connection; forgotten when there is none."""
        with self._lock:
            if self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(action)

    def close(self) -> None:
        self._ended.set()
        self.call(self._leave)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            ends = dict.fromkeys(("on_open_error_callback", "on_close_callback"), self._lost)
            connection = pika.SelectConnection(self._parameters, self._opened, **ends)
            with self._lock:
                self._connection = connection
            try:
                connection.ioloop.start()
            except Exception:  # a thread that dies would silence the bus for good
                log.exception("bus_connection_failed")
            with self._lock:
                self._connection = None
                connection.ioloop.close()
            self._ended.wait(self._pause * uniform(0.5, 1.0))
            self._pause = min(self._pause * 2, _PAUSE_S[1])

    def _opened(self, connection: Any) -> None:
        self._pause, self.error = _PAUSE_S[0], None
        self._on_open(connection)
        if self._ended.is_set():
            connection.close()

    def _lost(self, connection: Any, error: BaseException) -> None:
        if not self._ended.is_set():
            log.warning("bus_connection_lost", error=type(error).__name__)
        self.error = error
        connection.ioloop.stop()

    def _leave(self) -> None:
        if not (self._connection.is_closing or self._connection.is_closed):
            self._connection.close()


class _Publisher(_Link):
    """Publishes a window and waits until the broker has answered for all of it."""

    def __init__(self, url: str, exchange: str) -> None:
        super().__init__(url, self._open_channel)
        self._exchange, self._ready = exchange, Event()
        self._channel: Any = None
        self._published = 0
        self._window = _Window(set())

    def wait_open(self) -> None:
        """Raises BusUnavailable."""
        self.start()
        if not self._ready.wait(_OPEN_S):
            raise translate(self.error) from self.error

    def publish(self, parcels: list[_Parcel], window: _Window) -> None:
        """`window` tells the outcome; never raises."""
        self._window = window
        if parcels and self._ready.is_set():
            self.call(partial(self._send, parcels, window))
            window.settled.wait(_CONFIRM_S)

    def _open_channel(self, connection: Any) -> None:
        def opened(channel: Any) -> None:
            self._channel, self._published = channel, 0
            channel.add_on_close_callback(partial(self._closed, connection))
            channel.add_on_return_callback(self._returned)
            channel.confirm_delivery(self._answered, callback=lambda _frame: self._ready.set())

        connection.channel(on_open_callback=opened)

    def _send(self, parcels: list[_Parcel], window: _Window) -> None:
        for delivery_id, receiver, token in parcels:
            if not self._channel.is_open:
                return window.settled.set()
            self._published += 1
            window.waiting[self._published] = delivery_id
            lasting = pika.BasicProperties(message_id=delivery_id, delivery_mode=2)
            self._channel.basic_publish(self._exchange, receiver, token, lasting, mandatory=True)

    def _answered(self, frame: Any) -> None:
        answer, window = frame.method, self._window
        for number in [n for n in window.waiting if n <= answer.delivery_tag]:
            if number == answer.delivery_tag or answer.multiple:
                delivery_id = window.waiting.pop(number)
                if isinstance(answer, pika.spec.Basic.Ack):
                    window.lost.discard(delivery_id)
        if not window.waiting:
            window.settled.set()

    def _returned(self, _channel: Any, method: Any, _properties: Any, _token: bytes) -> None:
        self._window.unroutable.add(method.routing_key)

    def _closed(self, connection: Any, _channel: Any, reason: BaseException) -> None:
        self._ready.clear()
        self._window.error = reason
        self._window.settled.set()
        if connection.is_open:
            connection.close()
