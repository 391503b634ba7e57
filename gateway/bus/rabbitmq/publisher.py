"""Publishes to the broker, and waits for its word on everything."""

from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import pika
from pika import exceptions

from .connection import Tls, parameters, translate

WINDOW = 100  # publishes under way at once; confirms get little faster beyond it
CONFIRM_S = 10.0  # a quorum queue confirms within milliseconds, a lease lasts minutes
OPEN_S = 5.0
LEAVE_S = 2.0
ABORT_S = 0.5  # needs no answer of anybody


class Parcel(NamedTuple):
    delivery_id: str
    receiver: str
    token: bytes


class Answers(NamedTuple):
    """What became of a window."""

    confirmed: list[str]
    lost: list[str]  # the broker said nothing of these deliveries
    full: set[str]  # receivers whose queue has no room
    missing: set[str]  # receivers that have no queue


class Publisher:
    """
    Publishes a window of parcels at a time; never holds more than one.

    Its connection lives on between the calls but works only during them: a pump is never far off.
    For one thread at a time.
    """

    def __init__(self, url: str, exchange: str, tls: Tls | None) -> None:
        self._url, self._exchange, self._tls = url, exchange, tls
        self._connection: Any = None
        self._channel: Any = None  # when it is ready
        self._numbers = count(1)  # of what is published on this channel; the broker answers by it
        self._waiting: dict[int, Parcel] = {}
        self._refused: list[Parcel] = []
        self._unroutable: set[str] = set()
        self._blocked = False
        self.error: BaseException | None = None  # why something is lost

    def open(self) -> None:
        """
        Connect to a node that answers, or find that we still are connected.

        Raises BusUnavailable, also while the broker takes nothing in: then nothing need be claimed.
        """
        if self._channel is not None:
            self._work(0.0)  # hears what happened since
        if self._connection is None or self._connection.is_closed:
            for node in parameters(self._url, self._tls):
                self.close()
                node.blocked_connection_timeout = None  # it is noticed at once, and ends one day
                self._connection = _Connection(node, self._opened, self._ended, self._ended)
                self._connection.add_on_connection_blocked_callback(self._block)
                self._connection.add_on_connection_unblocked_callback(self._unblock)
                self._work(OPEN_S)
                if self._channel is not None:
                    break
        elif self._channel is None:
            self._work(OPEN_S)
        if self._channel is None or self._blocked:
            raise translate(self.error) from self.error

    def publish(self, parcels: Sequence[Parcel]) -> Answers:
        """
        Offer them, and wait for the word of the broker on each.

        A connection on which an answer stays away is given up, with what is still in its buffers.
        """
        self._refused, self._unroutable = [], set()
        self._waiting = {next(self._numbers): parcel for parcel in parcels}
        for parcel in parcels:
            lasting = pika.BasicProperties(message_id=parcel.delivery_id, delivery_mode=2)
            self._channel.basic_publish(
                self._exchange, parcel.receiver, parcel.token, lasting, mandatory=True
            )
        if parcels:
            self._work(CONFIRM_S)
        lost, refused = list(self._waiting.values()), self._refused
        if lost and self._channel is not None and not self._blocked:
            self._abort()
            self.error = None  # it did not break: it was silent
        self._waiting = {}
        left = {*lost, *refused, *(p for p in parcels if p.receiver in self._unroutable)}
        return Answers(
            [parcel.delivery_id for parcel in parcels if parcel not in left],
            [parcel.delivery_id for parcel in lost],
            {parcel.receiver for parcel in refused},
            self._unroutable,
        )

    def close(self) -> None:
        """Leave the broker, within LEAVE_S and a little, whether it answers or not."""
        if self._connection is None:
            return
        if self._connection.is_open:
            self._connection.close()
            self._work(LEAVE_S)
        self._abort()
        self._connection.ioloop.close()
        self._connection = self._channel = None
        self._blocked = False

    def _abort(self) -> None:
        if not self._connection.is_closed:
            self._connection.abort()
            self._work(ABORT_S)

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
                parcel = self._waiting.pop(number)
                if not isinstance(answer, pika.spec.Basic.Ack):
                    self._refused.append(parcel)
        if not self._waiting:
            self._connection.ioloop.stop()

    def _returned(self, _channel: Any, method: Any, _properties: Any, _token: bytes) -> None:
        self._unroutable.add(method.routing_key)

    def _block(self, connection: Any, _frame: Any) -> None:
        self._blocked, self.error = True, exceptions.ConnectionBlockedTimeout()
        connection.ioloop.stop()

    def _unblock(self, _connection: Any, _frame: Any) -> None:
        self._blocked = False

    def _channel_closed(self, _channel: Any, reason: BaseException) -> None:
        self._channel, self.error = None, reason
        if self._connection.is_open:
            self._opened(self._connection)  # another channel, for the next window
            self._connection.ioloop.stop()

    def _ended(self, connection: Any, error: BaseException) -> None:
        self._channel, self._blocked, self.error = None, False, error
        connection.ioloop.stop()


class _Connection(pika.SelectConnection):  # type: ignore[misc]
    def abort(self) -> None:
        """End it without a word: somebody who does not answer would let us wait."""
        self._terminate_stream(exceptions.ConnectionClosedByClient(0, "given up"))
