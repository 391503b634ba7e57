"""Each lane moves in order, and a claim belongs to one worker at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import timedelta
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from gateway.errors import DeadlinePassed
from gateway.ports import FINAL, Outcome, State
from gateway.store import upgrade
from gateway.store.engine import connect
from gateway.store.sql import SqlStore
from gateway.store.tables import Step

from .postgres import own_database
from .records import (
    DEAD,
    DELIVERED,
    LATER,
    NOW,
    a_delivery,
    a_message,
    at_once,
    python,
    state_of,
    steps,
)

# --- lanes ----------------------------------------------------------------------------------------


def test_only_the_head_of_a_lane_is_due_and_the_next_follows(store: SqlStore) -> None:
    for number in (1, 2, 3):
        store.accept(a_message(number, lane="casus"))

    parked = store.delivery("d3")
    assert parked is not None
    assert (parked.state, parked.lane_seq) == (State.GEPARKEERD, 3)
    assert (parked.reason, parked.deadline) == ("wacht op levering d2", None)
    assert store.claim(limit=9, lease_s=60, now=NOW) == ["d1"]
    assert store.settle("d1", DELIVERED, now=LATER) == ["d2"]
    released = store.delivery("d2")
    assert released is not None
    assert (released.state, released.due) == (State.KLAAR, LATER)
    assert released.deadline == LATER + timedelta(hours=72)  # it runs only while head
    assert store.claim(limit=9, lease_s=60, now=LATER) == ["d2"]
    assert steps(store, "m2") == ["aangenomen", "geparkeerd", "vrijgegeven", "aangeboden"]


def test_a_dead_delivery_holds_back_its_own_lane_only(store: SqlStore) -> None:
    for number, lane in ((1, "casus"), (2, "casus"), (3, "another")):
        store.accept(a_message(number, lane=lane))
    store.claim(limit=9, lease_s=60, now=NOW)

    assert store.settle("d1", DEAD, now=NOW) == []

    assert state_of(store, "d2") is State.GEPARKEERD
    assert store.settle("d3", DELIVERED, now=NOW) == []
    store.accept(a_message(4, lane="another"))
    assert store.claim(limit=9, lease_s=60, now=NOW) == ["d4"]
    assert [dead.id for dead in store.deliveries(state=State.DOOD, limit=9)] == ["d1"]


def test_a_lane_passes_what_is_withdrawn_in_its_middle(store: SqlStore) -> None:
    for number in (1, 2, 3):
        store.accept(a_message(number, lane="casus"))

    withdrawn = Outcome(State.INGETROKKEN, "ingetrokken door de afzender")
    assert store.settle("d2", withdrawn, now=NOW) == []  # d1 is still before d3
    assert store.settle("d1", DELIVERED, now=NOW) == ["d3"]


def test_a_requeued_delivery_is_due_again_under_its_id(store: SqlStore) -> None:
    for number in (1, 2):
        store.accept(a_message(number, lane="casus"))
    assert store.requeue("d1", actor="j.beheerder", now=LATER) is False
    store.settle("d1", DEAD, now=NOW)

    assert store.requeue("d1", actor="j.beheerder", now=LATER) is True

    again = store.delivery("d1")
    assert again is not None
    assert (again.state, again.due) == (State.KLAAR, LATER)
    assert again.deadline == LATER + timedelta(hours=72)
    assert "j.beheerder" in [e.detail for e in store.events_of("m1")]
    assert store.claim(limit=9, lease_s=60, now=LATER) == ["d1"]
    assert store.settle("d1", DELIVERED, now=LATER) == ["d2"]


def test_a_requeued_delivery_waits_for_what_is_before_it(store: SqlStore) -> None:
    for number in (1, 2):
        store.accept(a_message(number, lane="casus"))
    store.settle("d2", DEAD, now=NOW)

    assert store.requeue("d2", actor="j.beheerder", now=NOW) is True

    assert state_of(store, "d2") is State.GEPARKEERD
    assert store.settle("d1", DELIVERED, now=NOW) == ["d2"]


def test_lanes_keep_their_order_under_many_workers(store: SqlStore) -> None:
    for number in range(60):
        store.accept(a_message(number, lane=f"casus-{number % 4}"))
    sent: list[int] = []

    def worker() -> None:
        while store.counts().get(("landelijk", "afgeleverd"), 0) < 60:
            for delivery_id in store.claim(limit=2, lease_s=60, now=NOW):
                assert store.renew([delivery_id], lease_s=60, now=NOW)
                sent.append(int(delivery_id[1:]))
                store.settle(delivery_id, DELIVERED, now=NOW)

    at_once(*[worker] * 4)

    assert sorted(sent) == list(range(60))
    for lane in range(4):
        assert [n for n in sent if n % 4 == lane] == list(range(lane, 60, 4))


@contextmanager
def _on_sqlite() -> Iterator[str]:
    with TemporaryDirectory() as folder:
        upgrade(url := f"sqlite:///{folder}/store.db")
        yield url


class Lanes(RuleBasedStateMachine):
    """Anything may happen to the deliveries of two lanes, in any order."""

    def database(self) -> AbstractContextManager[str]:
        return _on_sqlite()

    @initialize()
    def start(self) -> None:
        self.opened = ExitStack()
        url = self.opened.enter_context(self.database())
        self.store = self.opened.enter_context(closing(SqlStore(connect(url))))
        self.now, self.count = NOW, 0
        self.delivered: dict[str, list[int]] = {"a": [], "b": []}
        self.requeued: set[int] = set()

    def teardown(self) -> None:
        if hasattr(self, "opened"):
            self.opened.close()

    @rule(lane=st.sampled_from("ab"), pull=st.booleans())
    def accept(self, lane: str, pull: bool) -> None:
        self.count += 1
        deliveries = (a_delivery(self.count, lane=lane, pull=pull),)
        self.store.accept(a_message(self.count, received_at=self.now, deliveries=deliveries))

    @rule(lease_s=st.sampled_from([0, 60]))
    def claim_some(self, lease_s: int) -> None:
        for delivery_id in self.store.claim(limit=1, lease_s=lease_s, now=self.now):
            assert self.store.renew([delivery_id], lease_s=60, now=self.now)

    @rule(
        outcome=st.sampled_from([*sorted(FINAL), State.WACHT, State.DOOD, State.ONDERWEG]),
        any_of=st.integers(0, 1000),
    )
    def settle(self, outcome: State, any_of: int) -> None:
        active = [d for d in self.all() if d.state is State.ONDERWEG]
        if not active:
            return
        one = active[any_of % len(active)]
        if outcome is State.ONDERWEG and not one.pull:
            return
        due = self.now + timedelta(minutes=1) if outcome is State.WACHT else None
        released = self.store.settle(one.id, Outcome(outcome, "", due=due), now=self.now)
        assert outcome in FINAL or not released
        if outcome is State.AFGELEVERD:
            self.delivered[one.lane].append(one.lane_seq)

    @rule(any_of=st.integers(0, 1000))
    def withdraw(self, any_of: int) -> None:
        if self.count:
            one = f"d{any_of % self.count + 1}"
            self.store.settle(one, Outcome(State.INGETROKKEN, ""), now=self.now)

    @rule()
    def requeue_the_dead(self) -> None:
        for dead in self.store.deliveries(state=State.DOOD, limit=9):
            assert self.store.requeue(dead.id, actor="j.beheerder", now=self.now)

    @rule()
    def give_back(self) -> None:
        self.store.unclaim([d.id for d in self.all()], now=self.now)

    @rule(hours=st.sampled_from([0.01, 1, 80]))
    def time_passes(self, hours: float) -> None:
        self.now += timedelta(hours=hours)
        self.store.expire(now=self.now)

    @invariant()
    def each_open_lane_has_one_head_and_it_is_the_lowest(self) -> None:
        for lane in "ab":
            still = sorted((d.lane_seq, d.state) for d in self.all() if d.lane == lane)
            still = [(seq, state) for seq, state in still if state not in FINAL]
            parked = [state is State.GEPARKEERD for _, state in still]
            assert parked == [False, *[True] * (len(still) - 1)][: len(still)]

    @invariant()
    def each_lane_delivers_in_order(self) -> None:
        for order in getattr(self, "delivered", {}).values():
            assert order == sorted(set(order))

    def all(self) -> list[Any]:
        if not hasattr(self, "store"):
            return []
        return [d for state in State for d in self.store.deliveries(state=state, limit=10_000)]


class LanesOnPostgres(Lanes):
    """The same on the other database."""

    server: ClassVar[str]

    def database(self) -> AbstractContextManager[str]:
        return own_database(self.server)


def _often(examples: int) -> settings:
    slow = [HealthCheck.too_slow]
    return settings(max_examples=examples, stateful_step_count=25, suppress_health_check=slow)


TestLanes = Lanes.TestCase
TestLanes.settings = _often(25)


@pytest.mark.postgres
def test_lanes_keep_the_same_laws_on_postgresql(postgres: str) -> None:
    LanesOnPostgres.server = postgres
    run_state_machine_as_test(LanesOnPostgres, settings=_often(8))  # a database is slow to make


# --- claims, leases, the postbus ------------------------------------------------------------------


def test_a_claim_comes_back_when_its_lease_ends(store: SqlStore) -> None:
    store.accept(a_message(1))

    assert store.claim(limit=9, lease_s=300, now=NOW) == ["d1"]
    assert store.claim(limit=9, lease_s=300, now=NOW + timedelta(seconds=299)) == []
    assert store.renew(["d1"], lease_s=300, now=NOW + timedelta(seconds=299))
    assert store.claim(limit=9, lease_s=300, now=NOW + timedelta(seconds=301)) == []
    assert store.claim(limit=9, lease_s=300, now=NOW + timedelta(seconds=600)) == ["d1"]


def test_a_waiting_delivery_is_due_at_its_time_and_the_oldest_goes_first(store: SqlStore) -> None:
    for number in (1, 2, 3):
        store.accept(a_message(number, received_at=NOW - timedelta(minutes=number)))
    assert store.oldest_due() == NOW - timedelta(minutes=3)
    assert store.claim(limit=9, lease_s=60, now=NOW) == ["d3", "d2", "d1"]
    assert store.oldest_due() == NOW + timedelta(minutes=1)  # the end of their leases

    for number, minutes in ((1, 5), (2, 10)):
        due = NOW + timedelta(minutes=minutes)
        store.settle(f"d{number}", Outcome(State.WACHT, "later", due=due), now=NOW)
    store.settle("d3", DELIVERED, now=NOW)

    assert store.oldest_due() == NOW + timedelta(minutes=5)
    assert store.claim(limit=9, lease_s=60, now=NOW + timedelta(minutes=5)) == ["d1"]


def test_an_offer_that_failed_is_due_again_and_counts_no_attempt(store: SqlStore) -> None:
    for number in (1, 2):
        store.accept(a_message(number))
    store.claim(limit=9, lease_s=60, now=NOW)
    store.settle("d2", DELIVERED, now=NOW)

    store.unclaim(["d1", "d2"], now=NOW)

    assert [state_of(store, d) for d in ("d1", "d2")] == [State.KLAAR, State.AFGELEVERD]
    assert store.claim(limit=9, lease_s=60, now=NOW) == ["d1"]
    assert store.attempts_of("d1") == []


@pytest.mark.parametrize("outcome", [*sorted(FINAL), State.WACHT, State.DOOD], ids=str)
def test_a_stale_offer_is_not_renewed(store: SqlStore, outcome: State) -> None:
    for number in (1, 2):
        store.accept(a_message(number, lane="casus"))
    assert not store.renew(["d1"], lease_s=60, now=NOW)  # not offered yet
    assert not store.renew(["d2"], lease_s=60, now=NOW)  # parked
    store.claim(limit=9, lease_s=60, now=NOW)
    assert store.renew(["d1"], lease_s=60, now=NOW)

    store.settle("d1", Outcome(outcome, "", due=LATER), now=NOW)

    assert not store.renew(["d1"], lease_s=60, now=NOW)


def test_the_postbus_is_never_claimed_again(store: SqlStore) -> None:
    for number in (1, 2):
        deliveries = (a_delivery(number, lane="casus", to="vt", pull=True),)
        store.accept(a_message(number, deliveries=deliveries))
    store.claim(limit=9, lease_s=60, now=NOW)
    assert store.in_postbus("vt", limit=9) == []  # not rendered yet

    store.settle("d1", Outcome(State.ONDERWEG, "ligt klaar"), now=NOW)

    assert store.claim(limit=9, lease_s=60, now=NOW + timedelta(days=2)) == []
    assert not store.renew(["d1"], lease_s=60, now=NOW)
    store.unclaim(["d1"], now=NOW)
    assert [lying.id for lying in store.in_postbus("vt", limit=9)] == ["d1"]
    assert store.in_postbus("landelijk", limit=9) == []
    assert steps(store, "m1")[-1] == Step.IN_POSTBUS
    assert store.settle("d1", DELIVERED, now=NOW) == ["d2"]
    assert store.in_postbus("vt", limit=9) == []


def test_a_pushed_delivery_cannot_be_put_in_the_postbus(store: SqlStore) -> None:
    store.accept(a_message(1))

    with pytest.raises(ValueError, match="pull"):
        store.settle("d1", Outcome(State.ONDERWEG, ""), now=NOW)
    assert state_of(store, "d1") is State.KLAAR


def test_what_stays_in_the_postbus_too_long_is_dead(store: SqlStore) -> None:
    store.accept(a_message(1, deliveries=(a_delivery(1, pull=True),)))
    store.claim(limit=9, lease_s=60, now=NOW)
    store.settle("d1", Outcome(State.ONDERWEG, ""), now=NOW)

    assert store.expire(now=NOW + timedelta(hours=71)) == []
    assert store.expire(now=NOW + timedelta(hours=72)) == ["d1"]
    assert store.expire(now=NOW + timedelta(hours=72)) == []

    dead = store.delivery("d1")
    assert dead is not None
    assert (dead.state, dead.reason[:18]) == (State.DOOD, DeadlinePassed.code)
    assert store.requeue("d1", actor="j.beheerder", now=LATER)


def test_processes_that_claim_together_never_get_the_same(store: SqlStore, url: str) -> None:
    for number in range(10):
        ids = range(number * 100, number * 100 + 100)
        store.accept(a_message(number, deliveries=tuple(a_delivery(n) for n in ids)))
    code = """
import sys
from datetime import *
from gateway.store import open_store
store = open_store(sys.argv[1])
while ids := store.claim(limit=7, lease_s=60, now=datetime(2027, 1, 1, tzinfo=UTC)):
    print(*ids, sep="\\n")
"""
    workers = [python(code, url) for _ in range(3)]
    claimed = [line for worker in workers for line in worker.communicate(timeout=60)[0].split()]

    assert len(claimed) == 1000
    assert set(claimed) == {f"d{n}" for n in range(1000)}
