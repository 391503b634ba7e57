"""When a failed delivery is tried again, and when not any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.retry import JITTER, LADDER_S, QUICK_TRIES, Retry
from gateway.errors import (
    GatewayError,
    NotExpressible,
    PartnerUnavailable,
    ReceiptInvalid,
    StoreUnavailable,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FAR = NOW + timedelta(days=3)
RETRY = Retry(pause_s=0.0)


def wait_s(attempts: int, *, retry_after: float | None = None) -> float:
    due = RETRY.next_due(attempts, NOW, FAR, retry_after)
    assert due is not None
    return (due - NOW).total_seconds()


@pytest.mark.parametrize(("attempts", "rung"), list(enumerate(LADDER_S, 1)))
def test_each_failure_climbs_one_rung(attempts: int, rung: float) -> None:
    assert rung <= wait_s(attempts) <= rung * (1 + JITTER)


def test_the_last_rung_repeats() -> None:
    assert LADDER_S[-1] <= wait_s(50) <= LADDER_S[-1] * (1 + JITTER)


def test_the_ladder_is_a_setting() -> None:
    due = Retry((2.0, 3.0), pause_s=0.0).next_due(9, NOW, None, None)
    assert due is not None
    assert timedelta(seconds=3) <= due - NOW <= timedelta(seconds=3.3)


def test_tries_that_failed_together_do_not_come_back_together() -> None:
    assert len({wait_s(5) for _ in range(20)}) > 1


def test_retry_after_is_obeyed_when_it_asks_for_more_than_the_rung() -> None:
    assert wait_s(1, retry_after=900.0) == 900.0
    assert wait_s(5, retry_after=1.0) >= LADDER_S[-1]


@pytest.mark.parametrize("retry_after", [None, 1e12])
def test_the_last_try_is_at_the_deadline(retry_after: float | None) -> None:
    deadline = NOW + timedelta(minutes=30)
    assert RETRY.next_due(5, NOW, deadline, retry_after) == deadline


def test_after_the_deadline_there_is_no_try() -> None:
    assert RETRY.next_due(1, NOW, NOW, None) is None
    assert RETRY.next_due(1, NOW, NOW - timedelta(days=1), None) is None


def tries_for(error: Exception) -> int:
    calls: list[Exception] = []

    def attempt() -> None:
        calls.append(error)
        raise error

    with pytest.raises(type(error)) as caught:
        RETRY.quickly(attempt, between=lambda: None)
    assert caught.value is error
    return len(calls)


@pytest.mark.parametrize("error", [PartnerUnavailable(), ReceiptInvalid()])
def test_what_passes_soon_is_tried_three_times_at_once(error: GatewayError) -> None:
    assert tries_for(error) == QUICK_TRIES


@pytest.mark.parametrize(
    "error",
    [NotExpressible(), StoreUnavailable(), PartnerUnavailable(retry_after=60.0), ValueError()],
    ids=lambda error: type(error).__name__,
)
def test_what_does_not_pass_soon_is_tried_once(error: Exception) -> None:
    assert tries_for(error) == 1


def test_a_try_that_succeeds_ends_the_trying() -> None:
    calls: list[int] = []

    def attempt() -> str:
        calls.append(1)
        if len(calls) < 2:
            raise PartnerUnavailable()
        return "done"

    assert RETRY.quickly(attempt, between=lambda: None) == "done"
    assert len(calls) == 2
