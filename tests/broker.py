"""
A real RabbitMQ for the tests: one a session, shared by all workers of pytest-xdist.

Its user `gateway` has the rights that it has in production, and may do no more; `beheer` may do all.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from gateway.bus.topology import Topology, User, definitions
from gateway.errors import Misconfigured
from gateway.security.tls import TlsFiles
from gateway.simulators.broker import PrivateBroker, installed

from .shared import Stop, shared

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
    """The URL of the session's broker, for `beheer`; `as_gateway` makes that of the gateway."""
    require_rabbitmq()
    with shared(factory, "broker", _with_users) as url:
        yield url


def _with_users(folder: Path) -> tuple[str, Stop]:
    broker = PrivateBroker(folder, ADMIN)
    broker.definitions = definitions(Topology.load(), (), [ADMIN, TAGGED])
    broker.start()
    return broker.url, broker.stop


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
