"""Dead deliveries are repaired in bulk: previewed, at a pace, by two persons, each once."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from gateway.core.repair import Act, Repairs, Selection, Stage
from gateway.errors import BadRequest, NotAllowed, NotFound
from gateway.ports import State
from gateway.store.sql import SqlStore

from .records import DEAD, DELIVERED, NOW, a_delivery, a_message, at_once, state_of, steps

ALL = Selection(receiver="landelijk")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def repairs(store: SqlStore, clock: Clock) -> Repairs:
    return Repairs(store, clock, four_eyes_above=10)


def _die(store: SqlStore, count: int, *, first: int = 1, to: str = "landelijk") -> None:
    numbers = range(first, first + count)
    for number in numbers:
        store.accept(a_message(number, deliveries=(a_delivery(number, to=to),)))
    store.claim(limit=count, lease_s=60, now=NOW)
    for number in numbers:
        store.settle(f"d{number}", DEAD, now=NOW)


def _work(repairs: Repairs, clock: Clock, seconds: float) -> None:
    for _ in range(round(seconds)):
        repairs.advance()
        clock.now += timedelta(seconds=1)


def _due(store: SqlStore) -> int:
    return store.counts().get(("landelijk", State.KLAAR), 0)


def test_a_preview_says_what_is_dead_by_receiver_kind_and_code(
    store: SqlStore, repairs: Repairs
) -> None:
    _die(store, 3)
    _die(store, 2, first=4, to="gcos")
    groups = repairs.store.dead_groups(Selection())
    assert [(g.receiver, g.kind, g.code, g.count) for g in groups] == [
        ("landelijk", "bekendheidsverzoek", "niet-uitdrukbaar", 3),
        ("gcos", "bekendheidsverzoek", "niet-uitdrukbaar", 2),
    ]
    assert repairs.store.dead_groups(Selection(code="termijn-verstreken")) == []
    later = NOW + timedelta(seconds=1)
    assert repairs.store.dead_groups(Selection(since=later)) == []


def test_what_is_chosen_is_due_again_and_nothing_else(
    store: SqlStore, repairs: Repairs, clock: Clock
) -> None:
    _die(store, 3)
    _die(store, 2, first=4, to="gcos")
    asked = repairs.propose(ALL, Act.REQUEUE, by="Noor", motive="weer bereikbaar")
    assert (asked.stage, asked.total) == (Stage.RUNNING, 3)
    _work(repairs, clock, 3)
    assert store.counts() == {("landelijk", State.KLAAR): 3, ("gcos", State.DOOD): 2}
    done = repairs.find(asked.id)
    assert (done.stage, done.done, done.asked_by) == (Stage.DONE, 3, "Noor")
    assert steps(store, "m1")[-2:] == ["opnieuw-aangeboden", "vrijgegeven"]
    assert any("Noor" in event.detail for event in store.events_of("m1"))


def test_a_repair_keeps_its_pace_however_many_workers_there_are(
    store: SqlStore, repairs: Repairs, clock: Clock
) -> None:
    _die(store, 9)
    repairs.propose(ALL, Act.REQUEUE, by="Noor", motive="weer bereikbaar", per_minute=60)
    for second in range(1, 6):
        for _ in range(4):
            repairs.advance()
        assert _due(store) == second
        clock.now += timedelta(seconds=1)


def test_many_need_a_second_person(store: SqlStore, repairs: Repairs, clock: Clock) -> None:
    _die(store, 11)
    asked = repairs.propose(ALL, Act.REQUEUE, by="Noor", motive="weer bereikbaar")
    assert asked.stage is Stage.PROPOSED
    _work(repairs, clock, 3)
    assert _due(store) == 0
    with pytest.raises(NotAllowed, match="collega"):
        repairs.approve(asked.id, by=" noor")
    repairs.approve(asked.id, by="Sam")
    _work(repairs, clock, 5)
    assert _due(store) == 11
    assert repairs.find(asked.id).approved_by == "Sam"
    assert any("akkoord Sam" in event.detail for event in store.events_of("m1"))


def test_what_needs_a_second_person_goes_by_what_was_fixed(
    store: SqlStore, repairs: Repairs
) -> None:
    """Between a look and the proposal more may die: they count."""
    _die(store, 10)
    assert sum(group.count for group in repairs.store.dead_groups(ALL)) == 10
    _die(store, 1, first=100)
    asked = repairs.propose(ALL, Act.REQUEUE, by="Noor", motive="weer bereikbaar")
    assert (asked.stage, asked.total) == (Stage.PROPOSED, 11)
    assert repairs.find(asked.id) == asked


def test_what_died_after_the_proposal_is_not_part_of_it(
    store: SqlStore, repairs: Repairs, clock: Clock
) -> None:
    """The second person agrees to what the first one saw."""
    _die(store, 11)
    asked = repairs.propose(ALL, Act.REQUEUE, by="Noor", motive="weer bereikbaar")
    _die(store, 5, first=100)
    repairs.approve(asked.id, by="Sam")
    _work(repairs, clock, 9)
    assert store.counts()["landelijk", State.DOOD] == 5


def test_a_repair_can_be_paused_resumed_and_stopped(
    store: SqlStore, repairs: Repairs, clock: Clock
) -> None:
    _die(store, 9)
    asked = repairs.propose(ALL, Act.REQUEUE, by="Noor", motive="proef", per_minute=60)
    _work(repairs, clock, 2)
    repairs.pause(asked.id, by="Noor")
    _work(repairs, clock, 10)
    assert _due(store) == 2
    repairs.resume(asked.id, by="Sam")
    _work(repairs, clock, 2)
    assert _due(store) == 4
    repairs.stop(asked.id, by="Sam")
    _work(repairs, clock, 10)
    assert _due(store) == 4
    assert store.counts()["landelijk", State.DOOD] == 5
    with pytest.raises(NotAllowed, match="gestopt"):
        repairs.resume(asked.id, by="Noor")


def test_what_is_dropped_lets_its_lane_go_and_says_why(
    store: SqlStore, repairs: Repairs, clock: Clock
) -> None:
    for number in (1, 2):
        store.accept(a_message(number, lane="casus"))
    store.claim(limit=9, lease_s=60, now=NOW)
    store.settle("d1", DEAD, now=NOW)
    repairs.propose(ALL, Act.DROP, by="Noor", motive="dubbel gemeld")
    _work(repairs, clock, 2)
    dropped = store.delivery("d1")
    assert dropped and (dropped.state, dropped.reason) == (
        State.VERVALLEN,
        "opgegeven: dubbel gemeld",
    )
    assert state_of(store, "d2") is State.KLAAR


@pytest.mark.parametrize("by", ["", " ", "root", "Gateway"])
def test_nobody_acts_without_being_somebody(store: SqlStore, repairs: Repairs, by: str) -> None:
    _die(store, 1)
    with pytest.raises(BadRequest, match="--by"):
        repairs.propose(ALL, Act.REQUEUE, by=by, motive="proef")


def test_a_repair_of_nothing_or_for_nothing_is_refused(store: SqlStore, repairs: Repairs) -> None:
    with pytest.raises(NotFound):
        repairs.propose(ALL, Act.REQUEUE, by="Noor", motive="proef")
    assert repairs.store.repairs(limit=9) == []
    _die(store, 1)
    with pytest.raises(BadRequest, match="--motive"):
        repairs.propose(ALL, Act.DROP, by="Noor", motive=" ")


def test_two_operators_on_two_nodes_at_once_send_each_delivery_once(
    store: SqlStore, another: Callable[[], SqlStore]
) -> None:
    """A thousand dead: two repairs of the same, four workers, and one who does them by hand."""
    count = 1000
    ids = [f"d{number}" for number in range(count)]
    store.accept(a_message(1, deliveries=tuple(a_delivery(number) for number in range(count))))
    store.claim(limit=count, lease_s=60, now=NOW)
    for id in ids:
        store.settle(id, DEAD, now=NOW)
    nodes = [store, another()]

    def clock() -> datetime:
        return NOW

    both = [Repairs(node, clock, four_eyes_above=count) for node in nodes]
    at_once(
        *(
            lambda one=one, by=by: one.propose(
                ALL, Act.REQUEUE, by=by, motive="weer bereikbaar", per_minute=60_000
            )
            for one, by in zip(both, ("Noor", "Sam"), strict=True)
        )
    )

    def work(repairs: Repairs) -> None:
        turn = 0
        while any(one.stage is Stage.RUNNING for one in repairs.store.repairs(limit=9)):
            turn += 1
            if not repairs.store.advance_repair(seconds=0.05, now=NOW + timedelta(minutes=turn)):
                time.sleep(0.01)  # the other works; what is tested needs no speed

    def by_hand() -> None:
        for id in ids[:50]:
            nodes[1].requeue(id, actor="Kim", now=NOW)

    at_once(*(lambda one=one: work(one) for one in both * 2), by_hand)

    later = NOW + timedelta(days=3650)
    sent = store.claim(limit=2 * count, lease_s=60, now=later)
    assert sorted(sent) == sorted(ids)
    for id in sent:
        store.settle(id, DELIVERED, now=later)
    again = [e.delivery for e in store.events_of("m1") if e.name == "opnieuw-aangeboden"]
    assert sorted(filter(None, again)) == sorted(ids)
    assert store.counts() == {("landelijk", State.AFGELEVERD): count}
