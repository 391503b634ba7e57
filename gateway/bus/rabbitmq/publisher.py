"""Publishes to the broker, and waits for its word on everything."""

import ssl
from functools import partial
from itertools import count
from typing import Any

import pika

from .connection import parameters, translate

WINDOW = 100  # publishes under way at once; confirms get little faster beyond it
CONFIRM_S = 10.0  # a quorum queue confirms within milliseconds, a lease lasts minutes
OPEN_S = LEAVE_S = 2.0

Parcel = tuple[str, str, bytes]  # delivery, receiver, token


class Publisher:
    """
    Publishes, and waits until the broker has answered for everything.

    Its connection lives on between the calls but works only during them: a pump is never far off.
    """

    def __init__(self, url: str, exchange: str, tls: ssl.SSLContext | None) -> None:
        self._url, self._exchange, self._tls = url, exchange, tls
        self._connection: Any = None
        self._channel: Any = None  # when it is ready
        self._numbers = count(1)  # of what is published on this channel; the broker answers by it
        self._waiting: dict[int, str] = {}
        self._lost: set[str] = set()
        self.unroutable: set[str] = set()
        self.refused: set[str] = set()
        self.error: BaseException | None = None

    def open(self) -> None:
        """Connect, or find that we still are. Raises BusUnavailable."""
        if self._channel is not None:
            self._work(0.0)  # hears what happened since
        if self._connection is None or self._connection.is_closed:
            self.close()
            self._connection = pika.SelectConnection(
                *(parameters(self._url, self._tls)[0], self._opened, self._ended, self._ended)
            )
        if self._channel is None:
            self._work(OPEN_S)
        if self._channel is None:
            raise translate(self.error) from self.error

    def publish(self, parcels: list[Parcel]) -> set[str]:
        """
        The deliveries the broker said nothing of; `error` says why.

        `refused` are those it took no room for, `unroutable` the receivers it knows no queue of.
        """
        self._lost = {delivery_id for delivery_id, _, _ in parcels}
        self._waiting, self.unroutable, self.refused = {}, set(), set()
        for delivery_id, receiver, token in parcels:
            self._waiting[next(self._numbers)] = delivery_id
            lasting = pika.BasicProperties(message_id=delivery_id, delivery_mode=2)
            self._channel.basic_publish(self._exchange, receiver, token, lasting, mandatory=True)
        if parcels:
            self._work(CONFIRM_S)
        return self._lost

    def close(self) -> None:
        if self._connection is not None:
            if not (self._connection.is_closing or self._connection.is_closed):
                self._connection.close()
                self._work(LEAVE_S)
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
                self._lost.discard(delivery_id)
                if not isinstance(answer, pika.spec.Basic.Ack):
                    self.refused.add(delivery_id)
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
