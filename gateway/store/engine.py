"""How we speak to each database: all that is not the same SQL everywhere, and its errors as ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tenacity
from sqlalchemy import Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.errors import Misconfigured, StoreUnavailable

POOL = 64  # connections at most: the request threads of the API and the workers of one process
SERVER = {
    "connect_timeout": 5,  # s; a server that is up answers at once, and a sender is waiting
    "keepalives_idle": 10,  # s without traffic, then three questions of 5 s each: a server whose
    "keepalives_interval": 5,  # machine vanished is noticed within half a minute
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # ms; the same for what was sent and never confirmed
    "application_name": "zvh-gateway",
}
SESSION = {
    "synchronous_commit": "on",  # a commit is on the disk, whatever the server's default
    "timezone": "UTC",
    "statement_timeout": "30s",  # no question of ours takes a second; clients wait as long
    "lock_timeout": "15s",  # a lane is held for milliseconds
    "idle_in_transaction_session_timeout": "60s",  # of a process that hangs, so that others go on
}
PRAGMAS = (
    "PRAGMA busy_timeout = 30000",  # ms in the queue for the only write lock; clients wait as long
    "PRAGMA journal_mode = WAL",  # readers never wait for the writer
    "PRAGMA synchronous = FULL",  # a commit is on the disk: accepted means stored
    "PRAGMA foreign_keys = ON",
)
MIGRATION = 0x5A5648  # the advisory lock of migrations: "ZVH"
UNAVAILABLE: tuple[type[Exception], ...] = (DBAPIError, PoolTimeout)
"""What the database causes; any other error of SQLAlchemy is a bug of ours and stays itself."""


def connect(url: str) -> Engine:
    """An engine that keeps parameters out of its errors. Opens nothing yet. Raises Misconfigured."""
    asked = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    server = {
        "pool_pre_ping": True,  # each is asked before use: after a restart nobody meets a dead one
        "isolation_level": "READ COMMITTED",  # what the locks rely on, whatever the server's default
        "connect_args": {**SERVER, "options": asked},
    }
    more: dict[str, dict[str, Any]] = {"sqlite": {}, "postgresql": server}
    try:
        at = make_url(url)
        own = more[at.drivername]  # no other driver: it would not know what a session needs
        engine = create_engine(at, hide_parameters=True, pool_size=POOL, max_overflow=0, **own)
    except (ArgumentError, ImportError, KeyError, TypeError) as error:
        raise Misconfigured("De URL van de opslag is onbruikbaar.") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction. Errors of the database become StoreUnavailable, with the cause kept."""
    try:
        with engine.begin() as sql:
            yield sql
    except UNAVAILABLE as error:
        raise StoreUnavailable() from error


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """The same for a transaction that writes; committed, and on the disk, when the block ends."""
    with reading(engine.execution_options(writes=True)) as sql:
        yield sql


@contextmanager
def changing(engine: Engine) -> Iterator[Connection]:
    """The same for a migration: one at a time, however many processes start, and without hurry."""
    with writing(engine) as sql:
        if sql.dialect.name == "postgresql":
            sql.exec_driver_sql("SET LOCAL statement_timeout = 0")
            sql.exec_driver_sql("SET LOCAL lock_timeout = 0")
            sql.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION})")
        yield sql


def holding(rows: Any, *, free: bool = False, **options: Any) -> Any:
    """
    The same SELECT, with its rows held until the commit; with `free` only those that nobody holds.

    Held is what they say, not that they are there: an event may be told of a delivery meanwhile.
    """
    return rows.with_for_update(key_share=True, skip_locked=free, **options)


def upsert(sql: Connection, table: Table) -> Any:
    """An INSERT that knows `on_conflict_do_update`."""
    return {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[sql.dialect.name](table)


# Changing a new database to WAL does not wait in the queue for the lock, whatever busy_timeout says.
@tenacity.retry(
    retry=tenacity.retry_if_exception_message("database is locked"),
    wait=tenacity.wait_random(0.01, 0.05),
    stop=tenacity.stop_after_delay(30),
    reraise=True,
)
def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    for pragma in PRAGMAS:
        connection.execute(pragma)


def _begin_sqlite(sql: Connection) -> None:
    # A transaction that reads first and then writes can fail half-way, which no waiting heals; so
    # whoever is going to write takes the lock at once.
    writes = sql.get_execution_options().get("writes")
    sql.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
