"""
A store with a million messages is as fast as one with a thousand; printed.

`GROWTH=1000000` is the full size, and demands 90 %; without it a smaller one runs, which only shows
that no question walks through everything: what one core does in a millisecond is noise there.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.ports import Outcome, Query, Standing, State
from gateway.store import upgrade
from gateway.store.engine import connect, reading, writing
from gateway.store.sql import SqlStore

from ..postgres import own_postgres
from ..records import NOW, OIN, a_message

ROWS = int(os.environ.get("GROWTH", "30000"))
FULL = ROWS >= 1_000_000
WANTED = 0.9 if FULL else 0.5
FEW = 1_000
DELIVERED = Outcome(State.AFGELEVERD, "ontvangen", status=202, receipt=b"receipt" * 100)

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
ROWS_OF = {
    "message": """SELECT {id}, 's' || i, :oin, 'zsm', 'digest', 'bekendheidsverzoek',
        'stuf-jz/1.0.9', 'vcobDi01', 'c' || i, 'urn:nld:oin:0:systeem:x', 'Wgs', 'baronie',
        CAST(NULL AS TEXT), :now - ({total} - i) * CAST(1000000 AS BIGINT), {day}, '[]'""",
    "body": "SELECT {id}, {blob}, {blob}, {blob}, {blob}",
    "receipt": "SELECT {id}, {blob}",
    "lane": "SELECT 'l' || (i / 5), 5",
    "delivery": """SELECT 'd' || {id}, {id}, CASE i % 3 WHEN 0 THEN 'landelijk' WHEN 1 THEN 'vt'
        ELSE 'gcos' END, 'landelijk/1.0', 'l' || (i / 5), 'ontvangen', '', 'digest', 'x', 'json',
        i % 5, 1, 0, 'afgeleverd', CAST(NULL AS BIGINT), :now + 1000000, CAST(NULL AS BIGINT), 72.0,
        {false}, '[]', '[]', :now - ({total} - i) * CAST(1000000 AS BIGINT), :now - ({total} - i) * CAST(1000000 AS BIGINT)""",
    "attempt": """SELECT 'd' || {id}, 1, :now, 'afgeleverd', '', 'ontvangen', 10.0, 202, {blob}""",
    "event": """SELECT :now, 'aangenomen', '', {id}, CAST(NULL AS TEXT)""",
}
COLUMNS = {
    "message": """id, message_id, signer_oin, sender, digest, kind, dialect, root, conversation,
        source, grounds, house, answers, received_at, destroy_by, loss""",
    "body": "message, wrapped_key, sealed_jws, sealed_document, sealed_canonical",
    "receipt": "message, receipt",
    "lane": "key, last",
    "delivery": """id, message, receiver, dialect, lane, reason, code, digest, root, content_type,
        lane_seq, attempts, begun, state, due, deadline, not_before, deadline_hours, pull, loss,
        removed, created_at, changed_at""",
    "attempt": "delivery, number, at, outcome, code, reason, duration_ms, status, receipt",
    "event": "at, name, detail, message, delivery",
}
WORDS = {
    "sqlite": {
        "id": "printf('%036d', i)",
        "day": "'2031-05-01'",
        "blob": "randomblob(300)",
        "false": "0",
    },
    "postgresql": {
        "id": "lpad(i::text, 36, '0')",
        "day": "DATE '2031-05-01'",
        "blob": "decode(repeat(md5(i::text), 18), 'hex')",
        "false": "false",
    },
}


def seed(store: SqlStore, count: int) -> None:
    """So many delivered messages, made by the database itself."""
    engine = store._engine
    words = {**WORDS[engine.dialect.name], "total": str(count)}
    with writing(engine) as sql:
        if engine.dialect.name == "postgresql":
            sql.exec_driver_sql("SET LOCAL statement_timeout = 0")
        for table, columns in COLUMNS.items():
            rows = ROWS_OF[table].format(**words)
            rows += " FROM n" + (" WHERE i % 5 = 0" if table == "lane" else "")
            asked = {"count": count, "oin": OIN, "now": int(NOW.timestamp() * 1_000_000)}
            used = {k: v for k, v in asked.items() if f":{k}" in NUMBERS + rows}
            # SQLite wants the CTE before INSERT, PostgreSQL takes it there too.
            sql.execute(text(f"{NUMBERS} INSERT INTO {table} ({columns}) {rows}"), used)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as sql:
        sql.exec_driver_sql("ANALYZE")


def speeds(store: SqlStore, count: int, first: int) -> dict[str, float]:
    """How often a second each is done; the best of several rounds."""
    chance, numbers = random.Random(1), iter(range(first, first + 100_000))
    known = [f"{chance.randrange(1, count):036d}" for _ in range(200)]
    words = iter(known * 1000)

    def accept() -> None:
        number = next(numbers)
        store.accept(replace(a_message(number), received_at=NOW))

    def deliver() -> None:
        accept()  # so that there is always one
        (id,) = store.claim(limit=1, lease_s=60, now=NOW)
        store.begin(id, lease_s=60, now=NOW)
        store.settle(id, DELIVERED, now=NOW)

    def trace() -> None:
        (message,) = store.find(next(words))
        for delivery in store.deliveries_of(message.id):
            store.attempts_of(delivery.id)
        store.events_of(message.id)
        store.receipt_of(message.id)

    def search() -> None:
        store.search(Query(limit=50))
        store.search(Query(sender="zsm", kind="bekendheidsverzoek", limit=50))
        store.search(Query(state=State.AFGELEVERD, limit=50))
        store.search(Query(conversation=f"c{chance.randrange(count)}"))

    measured = {"accept": accept, "deliver": deliver, "trace": trace, "search": search}
    found = {name: _per_second(work) for name, work in measured.items()}
    alone = Standing("vt", 3, NOW + timedelta(days=1), None, "weg", NOW)
    store.put_standing(alone)
    found["alone"] = _per_second(deliver)  # one partner is left alone
    store.put_standing(replace(alone, open_until=None))
    return found


def _per_second(work: Callable[[], None]) -> float:
    best = 0.0
    for _ in range(12):
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < 0.25:
            work()
            done += 1
        best = max(best, done / (time.perf_counter() - began))
    return best


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two empty databases, side by side."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/few.db", f"sqlite:///{tmp_path}/many.db"
    else:
        with own_postgres(tmp_path / "server", shared_buffers="512MB") as server:
            with closing(SqlStore(connect(server.url))) as store:
                for name in ("few", "many"):
                    with store._engine.connect() as sql:
                        free = sql.execution_options(isolation_level="AUTOCOMMIT")
                        free.exec_driver_sql(f"CREATE DATABASE {name}")
            yield server.url_of("few"), server.url_of("many")


@pytest.mark.timeout(3600)
def test_a_full_store_is_as_fast_as_an_empty_one(
    two: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    stores = []
    for url, count in zip(two, (FEW, ROWS), strict=True):
        upgrade(url)
        stores.append(store := SqlStore(connect(url)))
        seed(store, count)
        with reading(store._engine) as sql:
            assert sql.exec_driver_sql("SELECT count(*) FROM delivery").scalar() == count
    # One after the other and back, so that what else the machine does befalls both.
    for turn in range(2):
        for store, count in zip(stores, (FEW, ROWS), strict=True):
            found.append(speeds(store, count, 10_000_000 + turn * 200_000))
    for store in stores:
        store.close()
    ratios = {}
    with capsys.disabled():
        print(f"\n{two[0].partition(':')[0]}: a second with {FEW:,} and with {ROWS:,} messages")
        for name in found[0]:
            few = max(found[0][name], found[2][name])
            many = max(found[1][name], found[3][name])
            ratios[name] = many / few
            print(f"  {name:8} {few:9,.0f} {many:9,.0f}   {ratios[name]:.0%}")

    assert {name for name, ratio in ratios.items() if ratio < WANTED} == set()
