"""PostgreSQL under the store: many processes at once, locks in one order, and a server that dies."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gateway.errors import StoreUnavailable
from gateway.ports import FINAL, Outcome, Query, Rendered, State
from gateway.store import engine, upgrade
from gateway.store.engine import connect, reading
from gateway.store.sql import SqlStore
from gateway.store.tables import metadata

from .postgres import own_database, own_postgres
from .records import DELIVERED, NOW, OIN, a_delivery, a_message, at_once, python

pytestmark = pytest.mark.postgres
MADE = Rendered("landelijk/1.0", "", "", b"", ())


@pytest.fixture
def url(postgres: str) -> Iterator[str]:
    with own_database(postgres) as url:
        yield url


@pytest.fixture
def fresh(postgres: str) -> Iterator[str]:
    """A database without tables."""
    with own_database(postgres, tables=False) as url:
        yield url


def test_a_commit_is_on_the_disk_whatever_the_server_has_as_default(store: SqlStore) -> None:
    with reading(store._engine) as sql:
        sql.exec_driver_sql(
            "DO $$BEGIN EXECUTE 'ALTER DATABASE ' || current_database() ||"
            " ' SET synchronous_commit = off'; END$$"
        )
    store._engine.dispose()
    with reading(store._engine) as sql:
        found = {
            name: sql.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("synchronous_commit", "statement_timeout", "lock_timeout", "TimeZone")
        }
    assert found == {
        "synchronous_commit": "on",
        "statement_timeout": "30s",
        "lock_timeout": "15s",
        "TimeZone": "UTC",
    }


def test_processes_that_start_together_migrate_once(fresh: str) -> None:
    code = "import sys; from gateway.store import upgrade; upgrade(sys.argv[1])"
    processes = [python(code, fresh) for _ in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
    for process in processes:
        process.communicate()

    with closing(SqlStore(connect(fresh))) as store, reading(store._engine) as sql:
        context = MigrationContext.configure(sql, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


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


def test_a_mix_of_everything_at_once_meets_no_deadlock_and_keeps_every_lane(url: str) -> None:
    numbers, chance = count(), random.Random(7)
    seeds = [chance.random() for _ in range(6)]
    order: dict[str, list[int]] = {}
    told = threading.Lock()

    def busy(seed: float) -> None:
        mine = random.Random(seed)
        with closing(SqlStore(connect(url))) as store:
            for _ in range(60):
                number = next(numbers)
                lanes = mine.sample(range(5), k=2)
                deliveries = tuple(
                    replace(a_delivery(number, lane=f"lane-{lane}"), id=f"d{number}-{lane}")
                    for lane in lanes
                )
                replaces = f"s{mine.randrange(number)}" if number and mine.random() < 0.2 else None
                store.accept(a_message(number, deliveries=deliveries, replaces=replaces))
                for id in store.claim(limit=3, lease_s=600, now=NOW):
                    found = store.delivery(id)
                    assert found
                    if mine.random() < 0.2:
                        store.settle(id, Outcome(State.DOOD, "x", code="x"), now=NOW)
                        store.requeue(id, actor="Noor", now=NOW)
                    elif store.begin(id, lease_s=600, now=NOW):
                        with told:
                            order.setdefault(found.lane, []).append(found.lane_seq)
                        store.settle(id, replace(DELIVERED, status=202), now=NOW)

    with ThreadPoolExecutor(len(seeds)) as pool:
        list(pool.map(busy, seeds))
    for sequence in order.values():
        assert sequence == sorted(set(sequence))
    with closing(SqlStore(connect(url))) as store:
        everything = [d for s in State for d in store.deliveries(state=s, limit=10_000)]
    for lane in range(5):
        still = sorted(
            (d.lane_seq, d.state)
            for d in everything
            if d.lane == f"lane-{lane}" and d.state not in FINAL
        )
        assert [s is State.GEPARKEERD for _, s in still] == [n > 0 for n in range(len(still))]


def test_a_server_that_is_killed_under_a_stream_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with own_postgres(tmp_path / "server") as server:
        upgrade(server.url)
        with closing(SqlStore(connect(server.url))) as store:
            stored: list[str] = []
            done = threading.Event()

            def send(first: int) -> None:
                for number in count(first, 4):
                    if done.is_set():
                        return
                    message = a_message(number)
                    while True:  # as a sender does: the same message until there is an answer
                        with suppress(StoreUnavailable):
                            store.accept(message)
                            break
                        time.sleep(0.02)
                    stored.append(message.message_id)

            with ThreadPoolExecutor(4) as pool:
                jobs = [pool.submit(send, first) for first in range(4)]
                for _ in range(3):
                    enough = len(stored) + 50
                    _until(partial(_longer, stored, enough))
                    server.stop()
                    server.start()
                done.set()
                for job in jobs:
                    job.result(timeout=60)
            found = store.search(Query(limit=100_000))
            assert sorted(m.message_id for m in found) == sorted(stored)
            assert store.counts() == {("landelijk", State.KLAAR): len(stored)}


def test_the_first_question_after_a_restart_is_answered(tmp_path: Path) -> None:
    with own_postgres(tmp_path / "server") as server:
        upgrade(server.url)
        with closing(SqlStore(connect(server.url))) as store:
            at_once(*[store.ping] * 8)  # as many connections
            server.stop()
            with pytest.raises(StoreUnavailable):
                store.ping()
            server.start()
            for _ in range(8):
                store.ping()


def test_a_server_that_hangs_is_given_up_in_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine.SERVER, "tcp_user_timeout", 1000)
    with own_postgres(tmp_path / "server") as server:
        upgrade(server.url)
        with closing(SqlStore(connect(server.url))) as store:
            server.signal(signal.SIGSTOP)
            try:
                began = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    store.ping()
                assert time.monotonic() - began < 20
            finally:
                server.signal(signal.SIGCONT)
            store.ping()


def test_a_server_without_room_refuses_and_goes_on_when_there_is(
    tmp_path: Path,
) -> None:
    """Too many connections: an error of the moment, not of the message."""
    with own_postgres(tmp_path / "server", max_connections="10") as server:
        upgrade(server.url)
        with closing(SqlStore(connect(server.url))) as store:
            taken: list[psycopg.Connection] = []
            with suppress(psycopg.OperationalError):
                while True:
                    taken.append(psycopg.connect(server.url))
            with pytest.raises(StoreUnavailable):
                store.accept(a_message(1))
            for one in taken:
                one.close()
            _until(lambda: _works(store.ping))
            assert store.accept(a_message(1)) is None


def test_a_statement_that_waits_for_a_lock_too_long_is_given_up(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(engine.SESSION, "lock_timeout", "200ms")
    with closing(SqlStore(connect(url))) as store:
        store.accept(a_message(1))
        with psycopg.connect(url) as other:
            other.execute("SELECT * FROM lane FOR UPDATE")
            with pytest.raises(StoreUnavailable):
                store.settle("d1", DELIVERED, now=NOW)
        store.settle("d1", DELIVERED, now=NOW)


def test_claims_pass_over_what_another_is_taking(url: str) -> None:
    with closing(SqlStore(connect(url))) as store:
        for number in range(3):
            store.accept(a_message(number))
        with psycopg.connect(url) as other:
            other.execute("SELECT id FROM delivery WHERE id = 'd1' FOR UPDATE")
            assert store.claim(limit=9, lease_s=60, now=NOW) == ["d0", "d2"]
        assert store.claim(limit=9, lease_s=60, now=NOW + timedelta(seconds=1)) == ["d1"]


def _longer(found: list[str], enough: int) -> bool:
    return len(found) > enough


def _works(act: Callable[[], object]) -> bool:
    with suppress(StoreUnavailable):
        act()
        return True
    return False


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
