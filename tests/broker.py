"""
A real RabbitMQ for the tests: one a session, shared by all workers of pytest-xdist.

Its user `gateway` has the rights that it has in production, and may do no more; `beheer` may do all.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO
from urllib.parse import quote

import pytest

from gateway.bus.topology import Topology, User, definitions
from gateway.errors import Misconfigured
from gateway.security.tls import TlsFiles
from gateway.simulators.broker import PrivateBroker, installed

ADMIN = User("beheer", "beheer", ".*", ".*", ".*", "administrator")
GATEWAY = User("gateway", "geheim/woord")
# On the shared broker each test has names of its own, with a tag before those of production.
TAGGED = replace(GATEWAY, write=r"(^|\.)zvh\.uit$", read=r"(^|\.)(uit\..+|zvh\.dood)$")


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
    The URL of the session's broker, for `beheer`; `as_gateway` makes that of the gateway.

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
                broker = PrivateBroker(folder / "node", ADMIN)
                broker.definitions = definitions(Topology.load(), (), [ADMIN, TAGGED])
                broker.start()
                address.write_text(broker.url)
        try:
            yield address.read_text()
        finally:
            if broker is not None:
                fcntl.flock(users, fcntl.LOCK_EX)
                address.unlink()
                broker.stop()


def as_gateway(url: str) -> str:
    return url.replace("beheer:beheer@", f"{GATEWAY.name}:{quote(GATEWAY.password, safe='')}@")


@contextmanager
def own_broker(
    folder: Path,
    partners: Sequence[str] = (),
    *,
    tls: TlsFiles | None = None,
    management: bool = False,
) -> Iterator[PrivateBroker]:
    """A broker that the test may kill and start again; booted with queues for these partners."""
    require_rabbitmq()
    broker = PrivateBroker(folder, GATEWAY, tls=tls, management=management)
    broker.definitions = definitions(Topology.load(), partners, [GATEWAY, ADMIN])
    try:
        broker.start()
        yield broker
    finally:
        with suppress(ProcessLookupError):
            broker.stop()


def control(broker: PrivateBroker, *command: str, tool: str = "rabbitmqctl") -> str:
    """What rabbitmqctl, or another tool, prints of this broker."""
    script, _ = installed()
    done = subprocess.run(
        [str(Path(script).with_name(tool)), *command],
        env=broker.environment(),
        cwd=broker.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@contextmanager
def _locked(file: IO[str]) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
