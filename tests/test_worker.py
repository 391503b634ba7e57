"""The threads that deliver: in order, outliving what fails, finishing what is in hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway import errors
from gateway.bus import Address, open_bus
from gateway.model.partner import Partner
from gateway.ports import Answer, State
from gateway.worker import Worker

from .world import World


def eventually(promise: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait for a promise, but not for ever."""
    end = time.monotonic() + seconds
    while not promise():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@contextmanager
def working(world: World) -> Iterator[Worker]:
    """The threads of a worker on the embedded bus."""
    bus = open_bus(Address("table", ()), source=world.deliverer)
    worker = Worker(bus, world.deliverer, threads=3)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
        bus.close()


def test_the_worker_delivers_in_order_within_a_zaak(world: World) -> None:
    sent = [f"{zaak}{number}" for number in range(5) for zaak in "abc"]
    with working(world):
        for one in sent:
            world.send(world.question(id=one, zaak=one[0]))
        eventually(lambda: len(world.wire.order) == len(sent))
    for zaak in "abc":
        assert [one for one in world.wire.order if one[0] == zaak] == sent["abc".index(zaak) :: 3]
    eventually(lambda: world.store.counts() == {("landelijk", "afgeleverd"): len(sent)})


def test_the_worker_outlives_a_store_that_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.worker.BACKOFF_S", (0.01, 0.02))
    away = threading.Event()
    away.set()
    failures: list[str] = []

    class Flaky:
        """The real store, while it is there."""

        def __getattr__(self, name: str) -> Any:
            if away.is_set() and name in ("claim", "renew", "settle", "expire"):
                failures.append(name)
                raise errors.StoreUnavailable()
            return getattr(world.store, name)

    world.send()
    world.wire_up(store=Flaky())
    with working(world):
        eventually(lambda: failures.count("claim") > 3)
        away.clear()
        eventually(lambda: len(world.wire.ledger) == 1)


def test_a_bug_in_one_delivery_does_not_stop_the_worker(world: World) -> None:
    bad = world.delivery(world.send(world.question(id="a0", zaak="a")))
    world.wire.script = [ZeroDivisionError("Jan Testpersoon 999990342")]
    with capture_logs() as logs, working(world):
        eventually(lambda: world.delivery_by_id(bad.id).state is State.WACHT)
        world.send(world.question(id="b0", zaak="b"))
        eventually(lambda: world.wire.order == ["b0"])
    told = [entry for entry in logs if entry["event"] == "delivery_failed"]
    assert [entry["error"] for entry in told] == ["ZeroDivisionError"]
    assert "999990342" not in str(logs)
    assert "interne-fout" in world.delivery_by_id(bad.id).reason


def test_stopping_finishes_what_is_in_hand(world: World) -> None:
    accepted = world.send()
    started, go_on = threading.Event(), threading.Event()
    push = world.wire.push

    def slow(partner: Partner, sealed: bytes) -> Answer:
        started.set()
        assert go_on.wait(20)
        return push(partner, sealed)

    world.wire.push = slow  # type: ignore[method-assign]  # a receiver that takes its time
    with working(world) as worker:
        assert started.wait(20)
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        go_on.set()
        stopping.join(20)
    assert world.delivery(accepted).state is State.AFGELEVERD
