"""The truth: messages, deliveries and their lanes in a relational database."""

from __future__ import annotations

from pathlib import Path

from gateway.ports import Store
from gateway.store.engine import connect, translated, writer
from gateway.store.sql import SqlStore

__all__ = ["open_store", "upgrade"]


def open_store(url: str) -> Store:
    """
    The store at `url` (`sqlite:///path`); connects at first use, expects the tables to be there.

    Raises:
        Misconfigured: the URL is no database of ours.
    """
    return SqlStore(connect(url))


def upgrade(url: str) -> None:
    """
    Make or bring up to date the tables; safe to repeat and to run from several processes at once.

    Raises:
        Misconfigured: the URL is no database of ours.
        StoreUnavailable: the database cannot be opened or written.
    """
    from alembic import command  # slow to import, and serving does not need it
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    engine = connect(url)
    try:
        with translated(), writer(engine).begin() as sql:
            config.attributes["connection"] = sql
            command.upgrade(config, "head")
    finally:
        engine.dispose()
