"""How we speak to each database: all that is not the same SQL everywhere, and its errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.errors import Misconfigured, StoreUnavailable

BUSY_S = 30  # how long a writer queues for SQLite's only write lock; a client waits as long
POOL = 8  # connections kept; more than the workers of one process
OVERFLOW = 56  # and as many as the request threads of the API may add

PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_S * 1000}",  # first: the next may have to wait for a lock
    "PRAGMA journal_mode = WAL",  # readers never wait for the writer
    "PRAGMA synchronous = FULL",  # a commit is on the disk: accepted means stored
    "PRAGMA foreign_keys = ON",
)

UNAVAILABLE: tuple[type[Exception], ...] = (DBAPIError, PoolTimeout)
"""The errors of SQLAlchemy that the database causes; any other is a bug of ours and stays itself."""


def connect(url: str) -> Engine:
    """An engine that hides parameters in its errors. Opens nothing yet. Raises Misconfigured."""
    try:
        engine = create_engine(url, hide_parameters=True, pool_size=POOL, max_overflow=OVERFLOW)
    except (ArgumentError, ImportError, TypeError) as error:
        raise Misconfigured("De URL van de opslag is onbruikbaar.", path="store") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def writer(engine: Engine) -> Engine:
    """The same engine for transactions that write."""
    return engine.execution_options(writes=True)


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the database become StoreUnavailable, with the cause kept."""
    try:
        yield
    except UNAVAILABLE as error:
        raise StoreUnavailable() from error


def upsert(sql: Connection, table: Table) -> Any:
    """An INSERT that knows `on_conflict_do_update`."""
    return {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[sql.dialect.name](table)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself
    for pragma in PRAGMAS:
        connection.execute(pragma)


def _begin_sqlite(sql: Connection) -> None:
    # A transaction that first reads and then writes could fail half-way ("database is locked",
    # which no waiting heals), so whoever will write takes the lock at once.
    writes = sql.get_execution_options().get("writes")
    sql.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
