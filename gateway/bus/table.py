"""The embedded bus: workers claim due deliveries on the store itself, by lease."""

from collections import deque
from contextlib import suppress
from threading import Condition
from time import monotonic

from gateway.errors import Unavailable
from gateway.ports import Source, Taken

_BATCH = 8  # few enough that no claim grows old here, enough to spare the store commits
_POLL_S = 0.1  # how long what became due in another process may go unseen


class TableBus:
    """Hands out claims on the store, one by one, to the threads of this process."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._turn = Condition()
        self._claimed: deque[str] = deque()
        self._next_look = 0.0
        self._closed = False

    def pump(self) -> int:
        """Offers nothing: what is due lies where workers look. Has them look at once."""
        with self._turn:
            self._next_look = 0.0
            self._turn.notify()
        return 0

    def take(self, *, wait_s: float) -> Taken | None:
        """What `source` raises leaves as it is; a claim that cannot be packed waits its lease."""
        delivery_id = self._next(monotonic() + wait_s)
        if delivery_id is None:
            return None
        return Taken(delivery_id, self._source.pack(delivery_id), handle=None)

    def done(self, taken: Taken) -> None:
        self.pump()  # the next of its lane may be due now

    def give_back(self, taken: Taken) -> None:
        with suppress(Unavailable):  # then the lease gives it back
            self._source.unclaim([taken.delivery_id])
        self.done(taken)

    def status(self) -> dict[str, int]:
        """What is claimed and not yet handed out; the store counts the rest."""
        return {"table": len(self._claimed)}

    def ping(self) -> None:
        """Never raises: there is nothing beside the store."""

    def close(self) -> None:
        """Give back what was not handed out; waiting threads get None."""
        with self._turn, suppress(Unavailable):
            self._closed = True
            self._turn.notify_all()
            if self._claimed:
                self._source.unclaim(tuple(self._claimed))
                self._claimed.clear()

    def _next(self, deadline: float) -> str | None:
        with self._turn:  # one thread looks for all
            while not self._closed:
                now = monotonic()
                if not self._claimed and now >= self._next_look:
                    self._claimed.extend(self._source.claim(_BATCH))
                    self._next_look = 0.0 if self._claimed else now + _POLL_S
                if self._claimed:
                    return self._claimed.popleft()
                if now >= deadline:
                    return None
                self._turn.wait(min(self._next_look, deadline) - now)
        return None
