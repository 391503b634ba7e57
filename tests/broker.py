"""A real RabbitMQ for the tests: one a session, shared by all workers of pytest-xdist."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

from gateway.errors import Misconfigured
from gateway.simulators.broker import PrivateBroker, installed


def require_rabbitmq() -> None:
    """Skip loudly where RabbitMQ is not installed; fail in CI, which must test it."""
    try:
        installed()
    except Misconfigured as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must test against a real broker. {error.detail}")
        pytest.skip(f"NOT TESTED WITHOUT RABBITMQ. {error.detail}")


@contextmanager
def shared_broker(factory: pytest.TempPathFactory) -> Iterator[str]:
    """
    The URL of the session's broker.

    Every worker holds a shared lock while it uses the broker. The worker that started it waits at
    its end until it can have the lock alone, and stops it.
    """
    require_rabbitmq()
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "broker"
    folder.mkdir(exist_ok=True)
    address, broker = folder / "url", None
    with (folder / "start.lock").open("w") as starting, (folder / "users.lock").open("w") as users:
        with _locked(starting):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not address.exists():
                broker = PrivateBroker(folder / "node")
                broker.start()
                address.write_text(broker.url)
        try:
            yield address.read_text()
        finally:
            if broker is not None:
                fcntl.flock(users, fcntl.LOCK_EX)
                address.unlink()
                broker.stop()


@contextmanager
def own_broker(folder: Path) -> Iterator[PrivateBroker]:
    """A broker that the test may kill and start again."""
    require_rabbitmq()
    broker = PrivateBroker(folder)
    broker.start()
    try:
        yield broker
    finally:
        with suppress(ProcessLookupError):
            broker.stop()


@contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
