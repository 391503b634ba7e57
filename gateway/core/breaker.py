"""
The circuit breaker: a partner that fails is left alone, and then asked with one delivery at a time.

Without it every delivery of a partner that is down would be tried by itself: workers wait for time-outs
while other partners have to wait for workers, and a partner that comes back meets all of them at once.
Its standing is in the store, so that all workers on all nodes know it. The store offers a probe when
the time is over, and forgets the standing with the first outcome that shows the partner alive.
"""

from datetime import timedelta

import structlog

from gateway.core.parts import Parts
from gateway.core.retry import Retry
from gateway.errors import GatewayError
from gateway.ports import DeliveryRecord, Standing

THRESHOLD = 3  # deliveries that failed in a row: one or two may be about those messages
LONGEST_S = 300.0  # between two probes: what a partner that is back waits at most

log = structlog.get_logger()


def failed(parts: Parts, record: DeliveryRecord, error: GatewayError, retry: Retry) -> None:
    """Count a failure of the receiver; from the threshold on it is left alone for a while."""
    now, before = parts.now(), parts.store.standings().get(record.receiver)
    if before and before.open_until and before.probe != record.id:
        return  # was under way when the circuit opened: says nothing new
    failures = before.failures + 1 if before else 1
    since, until = before.since if before else now, None
    if failures >= THRESHOLD:
        rung = retry.rung(failures - THRESHOLD + 1)
        pause_s = max(min(rung, LONGEST_S), error.retry_after or 0.0)
        until = now + timedelta(seconds=pause_s)
        log.warning("partner_left_alone", partner=record.receiver, seconds=pause_s)
    reason = error.reason()
    parts.store.put_standing(Standing(record.receiver, failures, until, None, reason, since))
