"""The bus on RabbitMQ: confirmed publishing, acknowledged taking; both come back by themselves."""

from collections.abc import Iterable
from threading import Lock
from time import monotonic

import structlog

from gateway.errors import GatewayError, TopologyMismatch, Unavailable
from gateway.ports import Source, Taken

from ..topology import Topology
from .connection import Tls, dialogue, translate
from .consumer import Consumer
from .dead import DeadLetter, dead_letters
from .publisher import WINDOW, Answers, Parcel, Publisher
from .shape import declare, differences, ping, queue_at

__all__ = [
    "DeadLetter",
    "RabbitBus",
    "Tls",
    "dead_letters",
    "declare",
    "differences",
    "ping",
    "translate",
]

REST_S = 30.0  # as long as a claim lasts: then its deliveries are due again anyway
LOOKS = 10  # windows that may be passed over in one pump, so that others come behind them

log = structlog.get_logger()


class RabbitBus:
    """
    Offers due deliveries to one queue a partner, and takes them from all.

    A receiver whose queue is full or missing rests for REST_S: what is claimed for it meanwhile is
    neither packed nor given back, and becomes due again when its claim ends. So it costs the others
    little, and a pump never spins.
    """

    def __init__(
        self,
        url: str,
        *,
        source: Source,
        topology: Topology,
        partners: Iterable[str],
        tls: Tls | None = None,
    ) -> None:
        self._url, self._source, self._topology, self._tls = url, source, topology, tls
        self._queues = topology.queues(partners)
        self._pumping, self._closed = Lock(), False
        self._resting: dict[str, float] = {}  # receiver: until when
        self._publisher = Publisher(url, topology.partner.exchange, tls)
        names = [queue.name for queue in self._queues[:-1]]  # the last holds the dead letters
        self._consumer = Consumer(url, names, tls)

    def pump(self) -> int:
        """
        Offer one window of what is due; how many the broker confirmed.

        Raises BusUnavailable; what was not confirmed is due again at once. Raises TopologyMismatch
        when a queue is found missing, once in REST_S; the deliveries of others are offered.
        """
        with self._pumping:
            if self._closed:
                return 0
            self._publisher.open()
            for _ in range(LOOKS):
                ids = self._source.claim(WINDOW)
                lost = ids
                try:
                    parcels = [parcel for parcel in map(self._parcel, ids) if parcel]
                    answers = self._publisher.publish(parcels)
                    lost = answers.lost
                finally:
                    if lost:
                        self._source.unclaim(lost)
                if parcels or len(ids) < WINDOW:
                    break
            self._source.offered(answers.confirmed)
            self._rest(answers)
            if answers.lost:
                error = self._publisher.error
                raise translate(error) from error
            return len(answers.confirmed)

    def take(self, *, wait_s: float) -> Taken | None:
        return self._consumer.take(wait_s=wait_s)

    def done(self, taken: Taken) -> None:
        self._consumer.acknowledge(taken)

    def give_back(self, taken: Taken) -> None:
        """Back into its queue; counts towards the delivery limit."""
        self._consumer.give_back(taken)

    def status(self) -> dict[str, int]:
        """The queues of the partners, and the dead letters. Raises as `differences` does."""
        with dialogue(self._url, self._tls) as connection:
            channel = connection.channel()
            found = [queue_at(channel, queue, passive=True).method for queue in self._queues]
        return {queue.queue: queue.message_count for queue in found}

    def ping(self) -> None:
        ping(self._url, self._tls)

    def close(self) -> None:
        """
        Leave the broker; what was taken and not acknowledged goes to another worker.

        Ends in bounded time though the broker hangs: a pump under way waits for CONFIRM_S at most.
        """
        with self._pumping:
            self._closed = True
            self._publisher.close()
        self._consumer.close()

    def _parcel(self, delivery_id: str) -> Parcel | None:
        try:
            receiver = self._source.receiver_of(delivery_id)
            if self._resting.get(receiver, 0.0) > monotonic():
                return None
            return Parcel(delivery_id, receiver, self._source.pack(delivery_id))
        except Unavailable:
            raise
        except GatewayError as error:  # keeps its claim, so that it holds up nobody
            log.error("delivery_not_packed", delivery_id=delivery_id, code=error.code)
            return None

    def _rest(self, answers: Answers) -> None:
        of, until = self._topology.partner.of, monotonic() + REST_S
        self._resting |= dict.fromkeys(answers.full | answers.missing, until)
        for receiver in sorted(answers.full):
            log.warning("bus_queue_full", queue=of(receiver).name)
        if answers.missing:
            names = sorted(of(receiver).name for receiver in answers.missing)
            log.error("bus_queue_missing", queues=names)
            raise TopologyMismatch(f"Op de broker ontbreekt: {', '.join(names)}.")
