"""Many connections at once on PostgreSQL: each delivery to one, lanes in order, nobody in a circle."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count

import psycopg
import pytest

from gateway.core.repair import Act, Repair, Selection, Stage
from gateway.ports import FINAL, NewMessage, Outcome, Rendered, Standing, State
from gateway.store import engine
from gateway.store.engine import connect, writing
from gateway.store.lanes import lock
from gateway.store.sql import SqlStore

from .postgres import own_database
from .records import DEAD, DELIVERED, LATER, NOW, OIN, a_delivery, a_message, at_once

pytestmark = pytest.mark.postgres
MADE = Rendered("landelijk/1.0", "", "", b"", ())
FAILED = Outcome(State.WACHT, "weg", code="partner-onbereikbaar", due=LATER)


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    with own_database(postgres) as url:
        yield url


@pytest.fixture
def hurried(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqlStore]:
    """A store that waits for nobody."""
    monkeypatch.setitem(engine.SESSION, "lock_timeout", "200ms")
    with closing(SqlStore(connect(url))) as store:
        yield store


def _repair(id: str) -> Repair:
    return Repair(id, Act.REQUEUE, Stage.RUNNING, "Noor", None, "storing", 6000, NOW)


def test_all_that_is_due_is_claimed_once_by_many(url: str) -> None:
    with closing(SqlStore(connect(url))) as store:
        for number in range(10):
            ids = range(number * 200, number * 200 + 200)
            store.accept(a_message(number, deliveries=tuple(a_delivery(n) for n in ids)))

    def claimer() -> list[str]:
        found: list[str] = []
        with closing(SqlStore(connect(url))) as store:
            while ids := store.claim(limit=7, lease_s=60, now=NOW):
                found += ids
        return found

    claimed = [id for found in at_once(*[claimer] * 8) for id in found]
    assert sorted(claimed) == sorted(f"d{n}" for n in range(2000))


def test_a_lane_has_the_order_in_which_its_messages_were_stored(url: str) -> None:
    numbers, told = count(), threading.Lock()
    when: dict[str, tuple[float, float]] = {}

    def sender() -> None:
        with closing(SqlStore(connect(url))) as store:
            for _ in range(25):
                number, began = next(numbers), time.monotonic()
                store.accept(a_message(number, lane="casus"))
                with told:
                    when[f"d{number}"] = began, time.monotonic()

    at_once(*[sender] * 8)
    with closing(SqlStore(connect(url))) as store:
        found = [d for s in State for d in store.deliveries(state=s, limit=1000)]
    lane = sorted(found, key=lambda d: d.lane_seq)
    assert [d.lane_seq for d in lane] == list(range(1, 201))
    assert [d.state for d in lane] == [State.KLAAR, *[State.GEPARKEERD] * 199]
    last_begin = 0.0
    for one in lane:  # who had its answer before another asked, stands before it
        began, ended = when[one.id]
        assert ended > last_begin
        last_begin = max(last_begin, began)


def test_an_answer_of_a_partner_waits_for_no_other_delivery(url: str, hurried: SqlStore) -> None:
    for number in (1, 2, 3):
        hurried.accept(a_message(number))
    for number in (2, 3):
        hurried.settle(f"d{number}", FAILED, now=NOW)
    hurried.put_standing(Standing("landelijk", 3, LATER, None, "weg", NOW))
    with psycopg.connect(url) as other:
        other.execute("SELECT id FROM delivery WHERE id = 'd2' FOR UPDATE")
        hurried.settle("d1", DELIVERED, now=NOW)
    assert hurried.claim(limit=9, lease_s=60, now=NOW) == ["d3"]


def test_of_many_offers_those_in_other_hands_are_not_waited_for(
    url: str, hurried: SqlStore
) -> None:
    for number in (1, 2):
        hurried.accept(a_message(number))
    hurried.claim(limit=9, lease_s=60, now=NOW)
    with psycopg.connect(url) as other:
        other.execute("SELECT id FROM delivery WHERE id = 'd2' FOR UPDATE")
        assert not hurried.renew(["d1", "d2"], lease_s=600, now=NOW)
    assert hurried.claim(limit=9, lease_s=60, now=NOW + timedelta(seconds=60)) == ["d2"]
    assert hurried.renew(["d1", "d2"], lease_s=600, now=NOW)


def test_of_what_is_held_events_are_told_and_repairs_proposed(hurried: SqlStore) -> None:
    for number in (1, 2):
        hurried.accept(a_message(number))
        hurried.settle(f"d{number}", DEAD, now=NOW)
    record = hurried.delivery("d1")
    assert record
    with writing(hurried._engine) as sql:
        lock(sql, "d1")
        hurried.note_reading(record, how="opgehaald", now=NOW)
        added = hurried.add_repair(_repair("r1"), Selection(), alone=9)
        assert added and added.total == 2


def test_a_repair_takes_lanes_in_the_order_of_all_others(url: str) -> None:
    """That is by the bytes of their keys; this database would sort them as a Dutch reader does."""
    with closing(SqlStore(connect(url))) as store, psycopg.connect(url, autocommit=True) as other:
        assert other.execute("SELECT 'a' < 'B'").fetchone() == (True,)
        for number, lane in enumerate("aB"):
            store.accept(a_message(number, lane=lane))
            store.settle(f"d{number}", DEAD, now=NOW)
        store.add_repair(_repair("r1"), Selection(), alone=9)
        with ThreadPoolExecutor(1) as pool:
            with other.transaction():
                other.execute("SELECT * FROM lane WHERE key = 'B' FOR UPDATE")
                work = pool.submit(store.advance_repair, seconds=1, now=NOW)
                while not other.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database()"
                ).fetchone():
                    assert not work.done()
                    time.sleep(0.01)
                other.execute("SELECT * FROM lane WHERE key = 'a' FOR UPDATE NOWAIT")
            assert work.result(timeout=30) == 2


def test_two_at_once_with_one_id_store_it_once_and_both_hear_so(url: str) -> None:
    with closing(SqlStore(connect(url))) as one, closing(SqlStore(connect(url))) as other:
        for number in range(50):
            said = at_once(
                partial(one.accept, a_message(2 * number, message_id=f"s{number}")),
                partial(other.accept, a_message(2 * number + 1, message_id=f"s{number}")),
            )
            stored = one.find_receipt(OIN, f"s{number}")
            assert sorted(said, key=bool) == [None, stored]


def test_the_end_of_a_lane_never_leaves_a_parked_head(url: str) -> None:
    """One settles the last of a lane while another puts one behind it."""
    with closing(SqlStore(connect(url))) as store, closing(SqlStore(connect(url))) as other:
        store.accept(a_message(0, lane="casus"))
        for number in range(1, 100):
            assert store.claim(limit=1, lease_s=60, now=NOW) == [f"d{number - 1}"]
            at_once(
                partial(store.settle, f"d{number - 1}", DELIVERED, now=NOW),
                partial(other.accept, a_message(number, lane="casus")),
            )


def test_what_takes_the_place_of_another_never_leaves_a_parked_head(url: str) -> None:
    with closing(SqlStore(connect(url))) as store, closing(SqlStore(connect(url))) as other:
        for number in range(0, 150, 3):
            lane = f"casus-{number}"
            store.accept(a_message(number, lane=lane))
            correction = a_message(number + 1, lane=f"andere-{number}")
            at_once(
                partial(store.accept, replace(correction, replaces=f"s{number}")),
                partial(other.accept, a_message(number + 2, lane=lane)),
            )
        assert ("landelijk", State.GEPARKEERD) not in store.counts()


def test_answers_that_carry_each_other_are_carried_by_one(url: str) -> None:
    with closing(SqlStore(connect(url))) as store, closing(SqlStore(connect(url))) as other:
        for number in range(0, 60, 2):
            ids = f"d{number}", f"d{number + 1}"
            for one in (number, number + 1):
                store.accept(a_message(one))

            def carry(of: SqlStore, mine: str, its: str) -> bool:
                return of.save_rendered(mine, MADE, sealed=b"", digest="x", now=NOW, carries=[its])

            def one_way(ids: tuple[str, str] = ids) -> bool:
                return carry(store, *ids)

            def other_way(ids: tuple[str, str] = ids) -> bool:
                return carry(other, *reversed(ids))

            assert sorted(at_once(one_way, other_way)) == [False, True]


def test_claims_pass_over_what_another_is_taking(url: str) -> None:
    with closing(SqlStore(connect(url))) as store:
        for number in range(3):
            store.accept(a_message(number))
        with psycopg.connect(url) as other:
            other.execute("SELECT id FROM delivery WHERE id = 'd1' FOR UPDATE")
            assert store.claim(limit=9, lease_s=60, now=NOW) == ["d0", "d2"]
        assert store.claim(limit=9, lease_s=60, now=NOW + timedelta(seconds=1)) == ["d1"]


def test_a_mix_of_everything_at_once_meets_no_deadlock_and_keeps_every_lane(url: str) -> None:
    numbers, chance = count(), random.Random(7)
    seeds = [chance.random() for _ in range(6)]
    sent: list[str] = []

    def busy(seed: float) -> None:
        mine = random.Random(seed)
        with closing(SqlStore(connect(url))) as store:
            for _ in range(60):
                number = next(numbers)
                store.accept(_any_message(mine, number))
                ids = store.claim(limit=3, lease_s=600, now=NOW)
                store.renew(ids, lease_s=900, now=NOW)
                for id in ids:
                    _any_way_on(mine, store, id, sent)
                store.advance_repair(seconds=1, now=NOW)
                store.expire(now=NOW)
                if mine.random() < 0.2:  # left alone until now: one asks
                    store.put_standing(Standing("landelijk", 3, NOW, None, "weg", NOW))

    at_once(*[partial(busy, seed) for seed in seeds])
    with closing(SqlStore(connect(url))) as store:
        found = {d.id: d for s in State for d in store.deliveries(state=s, limit=10_000)}
    arrived = [found[id] for id in sent if found[id].state is State.AFGELEVERD]
    assert len(arrived) > 60
    for lane in (f"lane-{number}" for number in range(5)):
        order = [d.lane_seq for d in arrived if d.lane == lane]
        assert order == sorted(set(order))
        still = sorted(
            (d.lane_seq, d.state) for d in found.values() if d.lane == lane and d.state not in FINAL
        )
        assert [s is State.GEPARKEERD for _, s in still] == [n > 0 for n in range(len(still))]


def _any_message(mine: random.Random, number: int) -> NewMessage:
    deliveries = tuple(
        replace(a_delivery(number, lane=f"lane-{lane}"), id=f"d{number}-{lane}")
        for lane in mine.sample(range(5), k=2)
    )
    names = [f"{letter}{number // 2}" for letter in "ab"] if mine.random() < 0.2 else []
    mine.shuffle(names)  # two messages at once with the same names, in any order
    replaces = f"s{mine.randrange(number)}" if number and mine.random() < 0.2 else None
    return a_message(number, deliveries=deliveries, replaces=replaces, names=tuple(names))


def _any_way_on(mine: random.Random, store: SqlStore, id: str, sent: list[str]) -> None:
    way = mine.random()
    if way < 0.1:
        store.unclaim([id], now=NOW)
    elif way < 0.2:
        store.settle(id, DEAD, now=NOW)
        store.requeue(id, actor="Noor", now=NOW)
    elif way < 0.3:
        store.settle(id, DEAD, now=NOW)
        store.add_repair(_repair(f"of {id}, {way}"), Selection(), alone=9)
    elif way < 0.4:
        store.settle(id, FAILED, now=NOW)
    elif store.begin(id, lease_s=600, now=NOW):
        if way < 0.6:
            others = store.deliveries(state=State.GEPARKEERD, limit=2)
            with suppress(ValueError):  # rendered before it failed
                carries = [other.id for other in others]
                store.save_rendered(id, MADE, sealed=b"", digest="x", now=NOW, carries=carries)
        sent.append(id)
        store.settle(id, DELIVERED, now=NOW)
