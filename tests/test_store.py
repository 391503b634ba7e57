"""The store keeps what it accepted, once, and lets each lane move in order."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy.exc
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import event
from sqlalchemy.engine import Engine

from gateway.errors import DeadlinePassed, Misconfigured, NotFound, StoreUnavailable
from gateway.ports import (
    FINAL,
    Loss,
    NewDelivery,
    NewMessage,
    Outcome,
    Query,
    State,
    StoredReceipt,
)
from gateway.store import open_store, upgrade
from gateway.store.engine import UNAVAILABLE, connect, reading
from gateway.store.sql import SqlStore
from gateway.store.tables import Step, metadata

NOW = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
OIN = "00000099000000010000"
DELIVERED = Outcome(State.AFGELEVERD, "ontvangen", receipt=b"their receipt", status=202)
DEAD = Outcome(State.DOOD, "niet-uitdrukbaar", code="niet-uitdrukbaar")


def a_delivery(number: int, *, lane: str = "", to: str = "landelijk", **new: Any) -> NewDelivery:
    return NewDelivery(
        **{
            "id": f"d{number}",
            "receiver": to,
            "dialect": "landelijk/1.0",
            "lane": lane or f"lane-{number}",
            "deadline_hours": 72,
            "pull": False,
            "removed": (Loss("betrokkenen.naam", "persoon", "weg", "geen grondslag"),),
            **new,
        }
    )


def a_message(number: int, *, lane: str = "", **new: Any) -> NewMessage:
    return NewMessage(
        **{
            "id": f"m{number}",
            "message_id": f"s{number}",
            "signer_oin": OIN,
            "sender": "zsm",
            "digest": f"digest-{number}",
            "kind": "bekendheidsverzoek",
            "dialect": "stuf-jz/1.0.9",
            "root": "vcobDi01",
            "house": "ZVH Ons Huis",
            "conversation": f"c{number}",
            "answers": None,
            "source": "urn:nld:oin:00000099000000010000:systeem:zsm",
            "received_at": NOW,
            "destroy_by": date(2031, 5, 1),
            "wrapped_key": b"key",
            "sealed_jws": b"jws",
            "sealed_document": b"document",
            "sealed_canonical": b"canonical",
            "receipt": f"receipt-{number}".encode(),
            "loss": (Loss("a.b", "geen", "afgerond", "tijd"),),
            "deliveries": (a_delivery(number, lane=lane),),
            "grounds": "Wjsg 39f",
            **new,
        }
    )


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/store.db"
    upgrade(url)
    return url


@pytest.fixture
def store(url: str) -> Iterator[SqlStore]:
    with closing(SqlStore(connect(url))) as store:
        yield store


def state_of(store: SqlStore, delivery_id: str) -> State:
    found = store.delivery(delivery_id)
    assert found is not None
    return found.state


def steps(store: SqlStore, message: str) -> list[str]:
    return [event.name for event in store.events_of(message)]


def at_once(*jobs: Callable[[], Any]) -> list[Any]:
    """Run all jobs at the same moment, each in its own thread."""
    gate = threading.Barrier(len(jobs))

    def wait_and(job: Callable[[], Any]) -> Any:
        gate.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(wait_and, jobs))


def python(code: str, *args: str) -> subprocess.Popen[str]:
    """Another process with the same import path as this one."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, *args]
    return subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE)


# --- accept ---------------------------------------------------------------------------------------


def test_what_was_accepted_is_there_as_it_was_given(store: SqlStore) -> None:
    given = a_message(1)

    assert store.accept(given) is None

    found = store.message("m1")
    assert found is not None
    assert all(getattr(given, name) == getattr(found, name) for name in found.__slots__)
    assert store.find_receipt(OIN, "s1") == StoredReceipt("m1", "digest-1", b"receipt-1")
    assert store.receipt_of("m1") == b"receipt-1"
    bodies = store.message_bodies("m1")
    assert bodies == store.bodies("d1")
    assert (bodies.sealed_document, bodies.sealed_rendered) == (b"document", None)
    record = store.delivery("d1")
    assert record is not None
    assert (record.message, record.removed) == (found, given.deliveries[0].removed)
    assert (record.state, record.due) == (State.KLAAR, NOW)
    assert record.deadline == NOW + timedelta(hours=72)
    assert steps(store, "m1") == [Step.AANGENOMEN]


def test_racing_requests_with_one_id_store_it_once(store: SqlStore) -> None:
    def request(number: int) -> Callable[[], StoredReceipt | None]:
        return lambda: store.accept(a_message(number, message_id="one"))

    answers = at_once(*(request(number) for number in range(8)))

    assert answers.count(None) == 1
    first = store.find_receipt(OIN, "one")
    assert {answer for answer in answers if answer} == {first}
    assert len(store.search(Query())) == 1
    assert store.counts() == {("landelijk", "klaar"): 1}


def test_another_digest_under_the_same_id_returns_what_is_stored(store: SqlStore) -> None:
    store.accept(a_message(1))

    answer = store.accept(a_message(2, message_id="s1", digest="another"))

    assert answer == StoredReceipt("m1", "digest-1", b"receipt-1")
    assert store.message("m2") is None


def test_another_signer_may_use_the_same_id(store: SqlStore) -> None:
    store.accept(a_message(1))

    assert store.accept(a_message(2, message_id="s1", signer_oin="00000099000000020000")) is None
    assert [found.id for found in store.find("s1")] == ["m1", "m2"]


def test_another_broken_rule_is_not_taken_for_a_duplicate(store: SqlStore) -> None:
    store.accept(a_message(1))

    with pytest.raises(StoreUnavailable):
        store.accept(a_message(1, message_id="not seen before"))


def test_a_refusal_is_an_event_without_a_message(store: SqlStore, url: str) -> None:
    store.refused(sender="zsm", code="bsn-ongeldig", digest="abc", at=NOW)

    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as sql:
        rows = sql.execute("SELECT name, message, delivery, detail FROM event").fetchall()
    assert rows == [(Step.GEWEIGERD, None, None, "bsn-ongeldig afzender=zsm digest=abc")]


def test_kill_9_leaves_exactly_what_was_committed(url: str) -> None:
    code = """
import sys
from dataclasses import replace
from gateway.store import open_store
from gateway.ports import *
from datetime import *
store, number = open_store(sys.argv[1]), 0
delivery = NewDelivery("", "landelijk", "l", "", 72, False)
while True:
    number += 1
    print("begin", number, flush=True)
    store.accept(NewMessage(f"m{number}", f"s{number}", "o", "zsm", "d", "k", "x", "r", None, "c",
        None, "u", datetime.now(UTC), date(2030, 1, 1), b"", b"", bytes(9000), b"", b"r", (),
        tuple(replace(delivery, id=f"d{number}-{i}", lane=f"{number}-{i}") for i in range(3))))
    print("stored", number, flush=True)
"""
    with python(code, url) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(120)]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.readlines()
    stored = sum(line.startswith("stored") for line in told)

    with closing(SqlStore(connect(url))) as store:
        messages = len(store.search(Query(limit=10_000)))
        assert messages in (stored, stored + 1)  # killed between commit and telling
        assert store.counts() == {("landelijk", "klaar"): 3 * messages}
        with reading(store._engine) as sql:
            assert sql.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


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
                assert store.renew(delivery_id, lease_s=60, now=NOW)
                sent.append(int(delivery_id[1:]))
                store.settle(delivery_id, DELIVERED, now=NOW)

    at_once(*[worker] * 4)

    assert sorted(sent) == list(range(60))
    for lane in range(4):
        assert [n for n in sent if n % 4 == lane] == list(range(lane, 60, 4))


class Lanes(RuleBasedStateMachine):
    """Anything may happen to the deliveries of two lanes, in any order."""

    @initialize()
    def start(self) -> None:
        self.folder = TemporaryDirectory()
        upgrade(f"sqlite:///{self.folder.name}/store.db")
        self.store = SqlStore(connect(f"sqlite:///{self.folder.name}/store.db"))
        self.now, self.count = NOW, 0
        self.delivered: dict[str, list[int]] = {"a": [], "b": []}
        self.requeued: set[int] = set()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    @rule(lane=st.sampled_from("ab"), pull=st.booleans())
    def accept(self, lane: str, pull: bool) -> None:
        self.count += 1
        deliveries = (a_delivery(self.count, lane=lane, pull=pull),)
        self.store.accept(a_message(self.count, received_at=self.now, deliveries=deliveries))

    @rule(lease_s=st.sampled_from([0, 60]))
    def claim_some(self, lease_s: int) -> None:
        for delivery_id in self.store.claim(limit=1, lease_s=lease_s, now=self.now):
            assert self.store.renew(delivery_id, lease_s=60, now=self.now)

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
        return self.store.deliveries(state=None, limit=10_000) if hasattr(self, "store") else []


TestLanes = Lanes.TestCase
TestLanes.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


# --- claims, leases, the postbus ------------------------------------------------------------------


def test_a_claim_comes_back_when_its_lease_ends(store: SqlStore) -> None:
    store.accept(a_message(1))

    assert store.claim(limit=9, lease_s=300, now=NOW) == ["d1"]
    assert store.claim(limit=9, lease_s=300, now=NOW + timedelta(seconds=299)) == []
    assert store.renew("d1", lease_s=300, now=NOW + timedelta(seconds=299))
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
    assert not store.renew("d1", lease_s=60, now=NOW)  # not offered yet
    assert not store.renew("d2", lease_s=60, now=NOW)  # parked
    store.claim(limit=9, lease_s=60, now=NOW)
    assert store.renew("d1", lease_s=60, now=NOW)

    store.settle("d1", Outcome(outcome, "", due=LATER), now=NOW)

    assert not store.renew("d1", lease_s=60, now=NOW)


def test_the_postbus_is_never_claimed_again(store: SqlStore) -> None:
    for number in (1, 2):
        deliveries = (a_delivery(number, lane="casus", to="vt", pull=True),)
        store.accept(a_message(number, deliveries=deliveries))
    store.claim(limit=9, lease_s=60, now=NOW)
    assert store.in_postbus("vt", limit=9) == []  # not rendered yet

    store.settle("d1", Outcome(State.ONDERWEG, "ligt klaar"), now=NOW)

    assert store.claim(limit=9, lease_s=60, now=NOW + timedelta(days=2)) == []
    assert not store.renew("d1", lease_s=60, now=NOW)
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


# --- attempts and rendering -----------------------------------------------------------------------


def test_every_try_is_recorded_and_a_final_state_stays(store: SqlStore) -> None:
    store.accept(a_message(1))
    wait = Outcome(State.WACHT, "503", code="partner-onbereikbaar", due=LATER, status=503)

    store.settle("d1", wait, now=NOW)
    store.settle("d1", DELIVERED, now=LATER)
    assert store.settle("d1", wait, now=LATER) == []  # a second worker, later than the first

    record = store.delivery("d1")
    assert record is not None
    assert (record.state, record.attempts, record.due) == (State.AFGELEVERD, 3, None)
    tries = store.attempts_of("d1")
    assert [t["number"] for t in tries] == [1, 2, 3]
    assert tries[1] == {
        "at": LATER,
        "number": 2,
        "outcome": "afgeleverd",
        "code": "",
        "reason": "ontvangen",
        "status": 202,
        "duration_ms": 0.0,
        "receipt": b"their receipt",
    }


def test_a_delivery_is_rendered_once(store: SqlStore) -> None:
    store.accept(a_message(1))
    loss = (Loss("document.datum", "geen", "afgerond", "dag ontbreekt"),)
    output = {"digest": "abc", "root": "Zaak", "content_type": "application/json"}

    store.save_rendered("d1", sealed=b"first", loss=loss, now=NOW, **output)
    with pytest.raises(ValueError, match="once"):
        store.save_rendered("d1", sealed=b"second", loss=(), now=NOW, **output)

    record = store.delivery("d1")
    assert record is not None
    assert (record.digest, record.root, record.loss) == ("abc", "Zaak", loss)
    assert store.bodies("d1").sealed_rendered == b"first"


# --- questions ------------------------------------------------------------------------------------


def test_a_message_is_found_by_each_of_its_ids(store: SqlStore) -> None:
    store.accept(a_message(1, conversation="talk"))
    store.accept(a_message(2, conversation="talk", received_at=LATER))

    for any_id, expected in (("m1", [1]), ("s1", [1]), ("d2", [2]), ("talk", [1, 2]), ("x", [])):
        assert [m.id for m in store.find(any_id)] == [f"m{n}" for n in expected], any_id
    assert [d.id for d in store.deliveries_of("m1")] == ["d1"]


def test_the_question_behind_an_answer_was_delivered_to_who_answers(store: SqlStore) -> None:
    store.accept(a_message(1, message_id="q"))
    store.accept(a_message(2, message_id="q", signer_oin="00000099000000020000", received_at=LATER))

    newest = store.question_from("q", answered_by="landelijk")

    assert newest is not None
    assert newest.id == "m2"
    assert store.question_from("q", answered_by="vt") is None


def test_search_narrows_and_pages_newest_first(store: SqlStore) -> None:
    for number in range(10):
        sender = "zsm" if number % 2 else "vt"
        at = NOW + timedelta(minutes=number // 2)  # two of each moment: the id decides
        store.accept(a_message(number, sender=sender, received_at=at))
    store.settle("d3", DEAD, now=NOW)
    store.settle("d4", DELIVERED, now=NOW)

    def found(**query: Any) -> str:
        return "".join(m.id[1:] for m in store.search(Query(**query)))

    pages, after = [], None
    while page := store.search(Query(limit=3, after=after)):
        pages.append("".join(m.id[1:] for m in page))
        after = page[-1].id

    assert pages == ["987", "654", "321", "0"]
    assert found(sender="zsm", after="m5") == "31"
    assert found(since=NOW + timedelta(minutes=4)) == "98"
    assert found(state=State.DOOD, receiver="landelijk") == "3"
    assert found(state=State.AFGELEVERD) == "4"
    assert found(receiver="landelijk", limit=2) == "98"
    assert found(receiver="vt") == found(kind="casus") == found(message_id="c3") == ""
    assert found(message_id="s3") == found(conversation="c3") == "3"
    assert {d.id for d in store.deliveries(state=None, limit=2)} == {"d8", "d9"}


def test_what_is_not_there_is_said_so(store: SqlStore) -> None:
    assert store.find_receipt(OIN, "x") is None
    assert store.delivery("x") is None
    assert store.message("x") is None
    assert store.receipt_of("x") is None
    for ask in (store.bodies, store.message_bodies):
        with pytest.raises(NotFound):
            ask("x")
    with pytest.raises(NotFound):
        store.settle("x", DELIVERED, now=NOW)


def test_a_time_without_zone_is_refused_and_any_zone_becomes_utc(store: SqlStore) -> None:
    with pytest.raises(sqlalchemy.exc.StatementError):
        store.accept(a_message(1, received_at=NOW.replace(tzinfo=None)))

    store.accept(a_message(2, received_at=NOW.astimezone(timezone(timedelta(hours=2)))))

    found = store.message("m2")
    assert found is not None
    assert (found.received_at, found.received_at.tzinfo) == (NOW, UTC)


# --- the database ---------------------------------------------------------------------------------


def test_commits_are_on_the_disk(store: SqlStore) -> None:
    with reading(store._engine) as sql:
        pragmas = {
            name: sql.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    full = 2
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_migrations_make_exactly_the_tables(url: str, store: SqlStore) -> None:
    upgrade(url)  # again: nothing happens

    with reading(store._engine) as sql:
        context = MigrationContext.configure(sql, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_several_processes_may_upgrade_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/fresh 100%.db"

    at_once(*[lambda: upgrade(url)] * 4)

    with closing(open_store(url)) as store:
        store.ping()


def test_no_error_of_the_database_leaks(tmp_path: Path) -> None:
    nowhere = f"sqlite:///{tmp_path}/missing/store.db"
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"not a database " * 1000)

    for url in (nowhere, f"sqlite:///{garbage}", f"sqlite:///{tmp_path}/without-tables.db"):
        with closing(open_store(url)) as store:
            for act in (
                store.ping,
                store.counts,
                lambda store=store: store.accept(a_message(1)),
                lambda store=store: store.claim(limit=1, lease_s=1, now=NOW),
            ):
                with pytest.raises(StoreUnavailable) as raised:
                    act()
                assert isinstance(raised.value.__cause__, UNAVAILABLE)
                assert OIN not in str(raised.value.__cause__)
    with pytest.raises(StoreUnavailable):
        upgrade(nowhere)


def test_every_operational_error_of_sqlalchemy_is_in_the_table() -> None:
    errors = vars(sqlalchemy.exc).values()
    operational = (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError)
    ours = [e for e in errors if isinstance(e, type) and issubclass(e, operational)]

    assert len(ours) > 8
    assert all(issubclass(error, UNAVAILABLE) for error in ours)


@pytest.mark.parametrize("url", ["", "nonsense", "nosuchdb://x", "sqlite://"])
def test_a_url_that_is_no_database_of_ours_stops_the_start(url: str) -> None:
    with pytest.raises(Misconfigured):
        open_store(url)


def test_no_question_walks_through_a_whole_table(store: SqlStore) -> None:
    asked = _record(store._engine)
    store.accept(a_message(1, lane="casus"))
    store.accept(a_message(2, lane="casus"))
    store.claim(limit=5, lease_s=1, now=NOW)
    store.unclaim(["d1"], now=NOW)
    store.claim(limit=5, lease_s=1, now=NOW)
    store.renew("d1", lease_s=1, now=NOW)
    store.save_rendered("d1", sealed=b"", digest="x", root="", content_type="", loss=(), now=NOW)
    store.settle("d1", DEAD, now=NOW)
    store.requeue("d1", actor="j.beheerder", now=NOW)
    store.settle("d1", DELIVERED, now=NOW)
    store.expire(now=NOW)
    store.find_receipt(OIN, "s1")
    store.question_from("s1", answered_by="landelijk")
    store.delivery("d1"), store.message("m1"), store.find("m1"), store.receipt_of("m1")
    store.bodies("d1"), store.message_bodies("m1"), store.in_postbus("landelijk", limit=5)
    store.deliveries_of("m1"), store.attempts_of("d1"), store.events_of("m1")
    store.deliveries(state=State.DOOD, limit=5), store.oldest_due()
    store.search(Query(sender="zsm", after="m1")), store.search(Query(kind="k", since=NOW))
    store.search(Query(conversation="c")), store.search(Query(message_id="s"))
    store.search(Query(state=State.DOOD)), store.search(Query(state=State.WACHT, receiver="vt"))
    # These walk the newest messages along an index, and stop at the limit.
    walking = len(asked)
    store.search(Query(after="m1")), store.search(Query(state=State.AFGELEVERD, receiver="vt"))
    store.search(Query(since=NOW)), store.deliveries(state=None, limit=5)
    store.counts()

    for number, (statement, plan) in enumerate(asked):
        scans = re.findall(r"SCAN .*", plan)
        if number >= walking:
            scans = [scan for scan in scans if "INDEX" not in scan]
        # Looking at each message must look at its own deliveries, not at all in some state.
        assert "CORRELATED" not in plan or "INDEX delivery_message (message=?)" in plan, plan
        sorts = "B-TREE" in plan and "ORDER BY delivery.due" in statement
        assert not scans and not sorts, f"{statement}\n{plan}"


def _record(engine: Engine) -> list[tuple[str, str]]:
    """Every statement from now on with the way SQLite takes."""
    asked: list[tuple[str, str]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def explain(_c: Any, cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)
            asked.append((statement, "\n".join(row[3] for row in rows)))

    return asked


def test_waiting_writers_all_get_their_turn(store: SqlStore) -> None:
    begin = time.monotonic()

    def writer(thread: int) -> Callable[[], None]:
        return lambda: [
            store.accept(replace(a_message(n), message_id=f"{n}"))
            for n in range(thread * 100, thread * 100 + 10)
        ].clear()

    at_once(*(writer(thread) for thread in range(16)))

    assert store.counts() == {("landelijk", "klaar"): 160}
    assert time.monotonic() - begin < 25
