"""The threads that move deliveries: one offers what is due, several deliver, one clears up, and
whatever else repeats."""

import random
import threading
from collections.abc import Callable, Sequence

import structlog

from gateway.core.deliver import Deliverer
from gateway.errors import Unavailable
from gateway.ports import Bus

WAKE_S = 0.2  # between two looks at the store: what a partner waits longer than it must
TAKE_S = 0.5  # a delivery thread waits at the bus; also how long a stop waits for an idle one
EXPIRE_S = 30.0  # deadlines are in hours
BACKOFF_S = (0.5, 5.0)  # first and longest pause while bus or store is away; a try costs little

log = structlog.get_logger()


class Worker:
    """
    Runs until `stop`, whatever becomes of bus and store meanwhile.

    A delivery in hand is finished before `stop` returns; what was offered and not taken is offered
    again, by this worker or another. A step of `also` does one round and returns how long to pause.
    """

    def __init__(
        self,
        bus: Bus,
        deliverer: Deliverer,
        *,
        threads: int,
        also: Sequence[Callable[[], float]] = (),
    ) -> None:
        self._bus, self._deliverer, self._stopping = bus, deliverer, threading.Event()
        self._threads = [
            threading.Thread(target=self._loop, args=(step,), name=step.__name__, daemon=True)
            for step in (self._pump, self._expire, *[self._deliver] * threads, *also)
        ]

    def start(self) -> None:
        """Start the threads; returns at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask the threads to end and wait for them."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _loop(self, step: Callable[[], float]) -> None:
        """Repeat a step, pausing as long as it says, and longer each time it cannot work."""
        failures = 0
        while not self._stopping.is_set():
            try:
                pause, failures = step(), 0
            except Exception as error:  # noqa: BLE001 (a thread that dies stops everything unseen)
                code = error.code if isinstance(error, Unavailable) else type(error).__name__
                log.warning("worker_waits", code=code)
                pause = min(BACKOFF_S[0] * 2**failures, BACKOFF_S[1])
                failures = min(failures + 1, 10)
            self._stopping.wait(pause * random.uniform(0.8, 1.2))

    def _pump(self) -> float:
        return 0.0 if self._bus.pump() else WAKE_S

    def _expire(self) -> float:
        self._deliverer.expire()
        return EXPIRE_S

    def _deliver(self) -> float:
        taken = self._bus.take(wait_s=TAKE_S)
        if taken is None:
            return 0.0
        try:
            self._deliverer.deliver(taken)
        except Exception:
            self._bus.give_back(taken)
            raise
        self._bus.done(taken)
        return 0.0
