"""The truth: messages, deliveries and their lanes in a relational database."""

from gateway.store.engine import changing, connect
from gateway.store.sql import SqlStore

__all__ = ["open_store", "upgrade"]


def open_store(url: str) -> SqlStore:
    """
    The store at `url` (`sqlite:///path`, `postgresql://user@host/database`). Connects at first use and expects the tables to be there.

    Raises:
        Misconfigured: the URL is no database of ours.
    """
    return SqlStore(connect(url))


def upgrade(url: str) -> None:
    """
    Make the tables or bring them up to date. Safe to repeat, and from several processes at once.

    Raises:
        Misconfigured: the URL is no database of ours.
        StoreUnavailable: the database cannot be opened or written.
    """
    from alembic import command  # slow to import, and serving does not need it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "gateway.store:migrations")
    engine = connect(url)
    try:
        with changing(engine) as config.attributes["connection"]:
            command.upgrade(config, "head")
    finally:
        engine.dispose()
