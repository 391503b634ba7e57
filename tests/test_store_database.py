"""The database under the store: on the disk, migrated, never walked through, never leaking."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy.exc
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event
from sqlalchemy.engine import Engine

from gateway.errors import Misconfigured, StoreUnavailable
from gateway.ports import Query, Rendered, Standing, State
from gateway.store import open_store, upgrade
from gateway.store.engine import UNAVAILABLE, connect, reading, writing
from gateway.store.sql import SqlStore
from gateway.store.tables import metadata

from .bench.test_growth import seed
from .postgres import own_database
from .records import DEAD, DELIVERED, NOW, OIN, a_message, at_once, python


def test_commits_are_on_the_disk(embedded: SqlStore) -> None:
    with reading(embedded._engine) as sql:
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


def test_the_driver_of_postgresql_is_loaded_for_postgresql_only(tmp_path: Path) -> None:
    code = """
import sys
from gateway.store import open_store, upgrade
upgrade(sys.argv[1])
open_store(sys.argv[1]).ping()
print("psycopg" in sys.modules)
open_store("postgresql://nobody@localhost/nothing")
print("psycopg" in sys.modules)
"""
    said, _ = python(code, f"sqlite:///{tmp_path}/store.db").communicate(timeout=60)
    assert said.split() == ["False", "True"]


@pytest.mark.parametrize(
    "url", ["", "nonsense", "nosuchdb://x", "sqlite://", "postgresql+psycopg://h/d"]
)
def test_a_url_that_is_no_database_of_ours_stops_the_start(url: str) -> None:
    with pytest.raises(Misconfigured):
        open_store(url)


def test_no_question_walks_through_a_whole_table(embedded: SqlStore) -> None:
    asked = _record(embedded._engine)
    _ask(embedded)
    walking = len(asked)
    _ask_along_an_index(embedded)
    embedded.counts()

    for number, (statement, plan) in enumerate(asked):
        scans = re.findall(r"SCAN (?!standing).*", plan)  # a row a partner at most
        if number >= walking:
            scans = [scan for scan in scans if "INDEX" not in scan]
        # Looking at each message must look at its own deliveries, not at all in some state.
        own = ("INDEX delivery_message (message=?)", "SEARCH standing USING")
        assert "CORRELATED" not in plan or any(way in plan for way in own), plan
        sorts = "B-TREE" in plan and "ORDER BY delivery.due" in statement
        assert not scans and not sorts, f"{statement}\n{plan}"


@pytest.mark.postgres
def test_no_question_walks_through_a_whole_table_of_postgresql(postgres: str) -> None:
    told: list[str] = []

    def explain(connection: Any, _record: Any) -> None:
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
        connection.execute("LOAD 'auto_explain'")
        connection.execute("SET auto_explain.log_min_duration = 0")
        connection.execute("SET client_min_messages = log")
        connection.commit()

    with own_database(postgres) as url, closing(SqlStore(connect(url))) as store:
        seed(store, 20_000)
        with writing(store._engine) as sql:
            sql.exec_driver_sql("UPDATE message SET message_id = 'seeded-' || message_id")
            sql.exec_driver_sql("INSERT INTO alias SELECT signer_oin, 'n' || id, id FROM message")
            sql.exec_driver_sql("INSERT INTO rendered SELECT id, '' FROM delivery")
            sql.exec_driver_sql("ANALYZE")
        event.listen(store._engine, "connect", explain)
        store._engine.dispose()
        _ask(store)
        _ask_along_an_index(store)
        store.find_named(OIN, "n1")

    plans = [text for text in told if "Query Text" in text]
    assert len(plans) > 80
    for plan in plans:
        # A row a partner and a row a repair are few, and best read whole.
        assert set(re.findall(r"Seq Scan on (\w+)", plan)) <= {"standing", "repair"}, plan
        # What is open is next to nothing here, and may be a hundred thousand tomorrow.
        assert "delivery.lane =" not in plan or "delivery_lane" in plan, plan


def _ask(store: SqlStore) -> None:
    """Every question but those of the next."""
    store.accept(a_message(1, lane="casus"))
    store.accept(a_message(2, lane="casus"))
    store.claim(limit=5, lease_s=1, now=NOW)
    store.unclaim(["d1"], now=NOW)
    store.claim(limit=5, lease_s=1, now=NOW)
    store.renew(["d1"], lease_s=1, now=NOW), store.begin("d1", lease_s=1, now=NOW)
    made = Rendered("landelijk/1.0", "", "", b"", ())
    store.save_rendered("d1", made, sealed=b"", digest="x", now=NOW)
    store.settle("d1", DEAD, now=NOW)
    store.requeue("d1", actor="j.beheerder", now=NOW)
    store.settle("d1", DELIVERED, now=NOW)
    store.put_standing(Standing("landelijk", 3, NOW, None, "weg", NOW))
    store.standings()
    store.claim(limit=5, lease_s=1, now=NOW), store.begin("d2", lease_s=1, now=NOW)
    store.expire(now=NOW)
    store.find_receipt(OIN, "s1")
    store.question_from("s1", answered_by="landelijk")
    store.delivery("d1"), store.message("m1"), store.find("m1"), store.receipt_of("m1")
    store.bodies("d1"), store.in_postbus("landelijk", limit=5)
    store.deliveries_of("m1"), store.attempts_of("d1"), store.events_of("m1")
    store.deliveries(state=State.DOOD, limit=5), store.oldest_due()
    store.search(Query(sender="zsm", after="m1")), store.search(Query(kind="k", since=NOW))
    store.search(Query(conversation="c")), store.search(Query(message_id="s"))
    store.search(Query(state=State.DOOD)), store.search(Query(state=State.WACHT, sender="vt"))


def _ask_along_an_index(store: SqlStore) -> None:
    """These walk the newest messages, and stop at the limit."""
    store.search(Query(after="m1")), store.search(Query(state=State.AFGELEVERD))
    store.search(Query(since=NOW))


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
