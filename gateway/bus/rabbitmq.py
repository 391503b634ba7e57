"""The bus on RabbitMQ: confirmed publishing, acknowledged taking; both come back by themselves."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from queue import Empty, SimpleQueue
from random import uniform
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, NamedTuple

import pika
import structlog
from pika import exceptions

from gateway.errors import BusUnavailable, GatewayError, TopologyMismatch, Unavailable
from gateway.ports import Source, Taken

from .topology import Queue, Topology

_WINDOW = 100  # publishes under way at once; confirms get little faster beyond it
_PREFETCH = 16  # parcels of one partner waiting in a worker: hides the way, hoards nothing
_CONFIRM_S = 10.0  # a quorum queue confirms within milliseconds, a lease lasts minutes
_OPEN_S = _LEAVE_S = 2.0
_AGAIN_S = 2.0  # before asking again for a broker or a queue that was not there
_DEFAULTS = {"heartbeat": 30, "blocked_connection_timeout": 30, "socket_timeout": 5}
_OTHER_SHAPE = (404, 406)  # AMQP 0-9-1 §1.2: not-found, precondition-failed

_REASONS: dict[type[BaseException], str] = {
    exceptions.AuthenticationError: "De broker weigert de aanmelding.",
    exceptions.ProbableAuthenticationError: "De broker weigert de aanmelding.",
    exceptions.ProbableAccessDeniedError: "De broker geeft geen toegang tot de vhost.",
    exceptions.ConnectionBlockedTimeout: "De broker neemt niets aan: geheugen of schijf is vol.",
    exceptions.AMQPConnectionError: "De broker is niet bereikbaar.",
    exceptions.AMQPError: "De broker weigert wat de gateway vraagt.",
    OSError: "De broker is niet bereikbaar.",
}

log = structlog.get_logger()

Parcel = tuple[str, str, bytes]  # delivery, receiver, token


class _Handle(NamedTuple):
    channel: Any
    tag: int


def translate(error: BaseException | None) -> GatewayError:
    """BusUnavailable, in words by its nearest ancestor; TopologyMismatch if so the broker says."""
    if isinstance(error, exceptions.ChannelClosed) and error.reply_code in _OTHER_SHAPE:
        return TopologyMismatch(error.reply_text)
    known = (_REASONS[kind] for kind in type(error).__mro__ if kind in _REASONS)
    return BusUnavailable(next(known, "De broker bevestigt niet."))


class _Publisher:
    """
    Publishes, and waits until the broker has answered for everything.

    Its connection lives on between the calls but works only during them: a pump is never far off.
    """

    def __init__(self, url: str, exchange: str) -> None:
        self._parameters, self._exchange = _parameters(url), exchange
        self._connection: Any = None
        self._channel: Any = None  # when it is ready
        self._numbers = count(1)  # of what is published on this channel; the broker answers by it
        self._waiting: dict[int, str] = {}
        self._lost: set[str] = set()
        self.unroutable: set[str] = set()
        self.error: BaseException | None = None

    def open(self) -> None:
        """Connect, or find that we still are. Raises BusUnavailable."""
        if self._channel is not None:
            self._work(0.0)  # hears what happened since
        if self._connection is None or self._connection.is_closed:
            self.close()
            self._connection = pika.SelectConnection(
                self._parameters, self._opened, self._ended, self._ended
            )
        if self._channel is None:
            self._work(_OPEN_S)
        if self._channel is None:
            raise translate(self.error) from self.error

    def publish(self, parcels: list[Parcel]) -> set[str]:
        """The deliveries the broker did not confirm; `error` says why, `unroutable` for whom."""
        self._lost = {delivery_id for delivery_id, _, _ in parcels}
        self._waiting, self.unroutable = {}, set()
        for delivery_id, receiver, token in parcels:
            self._waiting[next(self._numbers)] = delivery_id
            lasting = pika.BasicProperties(message_id=delivery_id, delivery_mode=2)
            self._channel.basic_publish(self._exchange, receiver, token, lasting, mandatory=True)
        if parcels:
            self._work(_CONFIRM_S)
        return self._lost

    def close(self) -> None:
        if self._connection is not None:
            if not (self._connection.is_closing or self._connection.is_closed):
                self._connection.close()
                self._work(_LEAVE_S)
            self._connection.ioloop.close()
            self._connection = None

    def _work(self, seconds: float) -> None:
        """Have the connection do its work until a callback stops it, no longer than this."""
        loop = self._connection.ioloop
        end = loop.call_later(seconds, loop.stop)
        loop.start()
        loop.remove_timeout(end)

    def _opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._channel_opened)

    def _channel_opened(self, channel: Any) -> None:
        channel.add_on_close_callback(self._channel_closed)
        channel.add_on_return_callback(self._returned)
        channel.confirm_delivery(self._answered, callback=partial(self._confirming, channel))

    def _confirming(self, channel: Any, _frame: Any) -> None:
        self._channel, self._numbers, self.error = channel, count(1), None
        self._connection.ioloop.stop()

    def _answered(self, frame: Any) -> None:
        answer = frame.method
        for number in [n for n in self._waiting if n <= answer.delivery_tag]:
            if number == answer.delivery_tag or answer.multiple:
                delivery_id = self._waiting.pop(number)
                if isinstance(answer, pika.spec.Basic.Ack):
                    self._lost.discard(delivery_id)
        if not self._waiting:
            self._connection.ioloop.stop()

    def _returned(self, _channel: Any, method: Any, _properties: Any, _token: bytes) -> None:
        self.unroutable.add(method.routing_key)

    def _channel_closed(self, _channel: Any, reason: BaseException) -> None:
        self._channel, self.error = None, reason
        if self._connection.is_open:
            self._opened(self._connection)  # another channel, for the next window
            self._connection.ioloop.stop()

    def _ended(self, connection: Any, error: BaseException) -> None:
        self._channel, self.error = None, error
        connection.ioloop.stop()


class RabbitBus:
    """Offers due deliveries to one queue a partner, and takes them from all."""

    def __init__(
        self, url: str, *, source: Source, topology: Topology, partners: Iterable[str]
    ) -> None:
        self._url, self._source, self._topology = url, source, topology
        self._queues = topology.queues(partners)
        self._pumping, self._taking, self._closed = Lock(), Lock(), Event()
        self._publisher = _Publisher(url, topology.partner.exchange)
        self._consumer = Thread(target=self._consume, name="bus", daemon=True)
        self._connection: Any = None  # of the consumer
        self._arrived: SimpleQueue[Taken] = SimpleQueue()

    def pump(self) -> int:
        """
        Offer one window of what is due; how many the broker confirmed.

        Raises BusUnavailable; what was not confirmed is due again at once. Raises TopologyMismatch
        when a queue is missing: its deliveries wait their lease, and hold up no other partner.
        """
        publisher = self._publisher
        with self._pumping:
            publisher.open()
            ids = self._source.claim(_WINDOW)
            lost = set(ids)
            try:
                parcels = [parcel for parcel in map(self._parcel, ids) if parcel]
                lost = publisher.publish(parcels)
            finally:
                if lost:
                    self._source.unclaim(list(lost))
            if publisher.unroutable:
                of = self._topology.partner.of
                names = sorted(of(receiver).name for receiver in publisher.unroutable)
                raise TopologyMismatch(f"Op de broker ontbreekt: {', '.join(names)}.")
            if lost:
                raise translate(publisher.error) from publisher.error
            self._source.offered([delivery_id for delivery_id, _, _ in parcels])
            return len(parcels)

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
        with _dialogue(self._url) as connection:
            channel = connection.channel()
            found = [_queue(channel, queue, passive=True).method for queue in self._queues]
        return {queue.queue: queue.message_count for queue in found}

    def ping(self) -> None:
        ping(self._url)

    def close(self) -> None:
        """Leave the broker; what was taken and not acknowledged goes to another worker."""
        with self._pumping:
            self._publisher.close()
        self._closed.set()
        if self._connection is not None:
            _call(self._connection, self._connection.close)
        if self._consumer.ident is not None:
            self._consumer.join(_LEAVE_S)

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

        _call(handle.channel.connection, in_thread_of_connection)

    def _consume(self) -> None:
        while not self._closed.is_set():
            try:
                with pika.BlockingConnection(_parameters(self._url)) as self._connection:
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


def _call(connection: Any, action: Callable[[], None]) -> None:
    """Have it done in the thread of the connection; forgotten when that is gone."""
    with suppress(exceptions.ConnectionWrongStateError):
        connection.add_callback_threadsafe(action)
