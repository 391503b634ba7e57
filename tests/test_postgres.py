"""PostgreSQL under the store: many processes at once, locks in one order, and a server that dies."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from itertools import count
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gateway.errors import StoreUnavailable
from gateway.ports import Query, Rendered, State
from gateway.store import engine, upgrade
from gateway.store.engine import connect, reading
from gateway.store.sql import SqlStore
from gateway.store.tables import metadata

from .postgres import own_database, own_postgres
from .records import DELIVERED, NOW, a_message, at_once, python

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
