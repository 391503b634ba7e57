"""Which failures are tried again, when, and how long, by class of error."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import tenacity

from gateway.errors import GatewayError, StoreUnavailable

LADDER_S = (10.0, 60.0, 600.0, 3600.0, 10800.0)
"""Seconds to the next try; the last rung repeats (CORV retries every three hours)."""

QUICK_TRIES = 3  # enough for a restarting server or a dropped connection
JITTER = 0.1  # of a rung, so that a partner that comes back is not met by everything at once

T = TypeVar("T")


class Retry:
    """The two ways of trying again: at once in this process, and later by the ladder."""

    def __init__(self, ladder_s: Sequence[float] = LADDER_S, *, pause_s: float = 0.2) -> None:
        self._quick = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(QUICK_TRIES),
            wait=tenacity.wait_random(pause_s, 2 * pause_s),
            retry=tenacity.retry_if_exception(_passes_soon),
            reraise=True,
        )
        self._ladder = ladder_s

    def quickly(self, attempt: Callable[[], T], *, between: Callable[[], object]) -> T:
        """The result of `attempt`, tried at most three times; raises its last error."""
        return self._quick.copy(before_sleep=lambda _: between())(attempt)

    def rung(self, tries: int) -> float:
        """Seconds after so many tries (1 and up); the last rung repeats."""
        return self._ladder[min(tries, len(self._ladder)) - 1]

    def next_due(
        self, attempts: int, now: datetime, deadline: datetime | None, retry_after: float | None
    ) -> datetime | None:
        """
        When the try after `attempts` failed ones is due; None when the deadline has passed.

        The last try is made at the deadline, however far the next rung or `retry_after` lies.
        """
        rung = self.rung(attempts)
        wait_s = max(random.uniform(rung, rung * (1 + JITTER)), retry_after or 0.0)
        if deadline is None:
            return now + timedelta(seconds=wait_s)
        left_s = (deadline - now).total_seconds()
        return now + timedelta(seconds=min(wait_s, left_s)) if left_s > 0 else None


def _passes_soon(error: BaseException) -> bool:
    """Transient, of the other side (not our store), and without a request to come back later."""
    transient = isinstance(error, GatewayError) and error.transient and error.retry_after is None
    return transient and not isinstance(error, StoreUnavailable)
