"""A real PostgreSQL for the tests: one a session, shared by all workers of pytest-xdist."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.simulators.broker import free_ports, listens
from gateway.store import upgrade

from .shared import Stop, shared

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
_START_S = 60.0
# Sorts as a Dutch installation does, which is not by bytes: what relies on an order must hold there.
_DUTCH = ("-E", "UTF8", "--no-locale", "--locale-provider=icu", "--icu-locale=nl-NL")
_NUMBERS = count(1)


class PrivatePostgres:
    """PostgreSQL on loopback with its own port, data and log inside `folder`; ended by process id."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder.resolve()
        (self.port,) = free_ports(1)
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of the database that is always there."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start on what is in the folder, until it answers."""
        data = self.folder / "data"
        if not data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            if os.getuid() == 0:  # PostgreSQL refuses to run as root
                shutil.chown(self.folder, "postgres")
                for above in self.folder.parents:
                    if above.stat().st_mode & 0o001 == 0:
                        above.chmod(above.stat().st_mode | 0o011)
            self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", *_DUTCH)
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "300",  # a test opens a store of 64 more than once
            **self._settings,  # fsync stays on: what a kill leaves on the disk is what is tested
        }
        given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(_PROGRAMS[-1] / "postgres"), "-D", str(data), *given],
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                **_someone(),
            )
        end = time.monotonic() + _START_S
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(psycopg.OperationalError):
                if listens(self.port):
                    psycopg.connect(self.url, connect_timeout=5).close()
                    return
            time.sleep(0.05)
        raise AssertionError((self.folder / "server.log").read_text())

    def stop(self, how: int = signal.SIGKILL) -> None:
        """
        End it as a power cut does or, with SIGINT, as an administrator who waits for nobody.

        The folder stays, and it can be started again.
        """
        if self._process is not None:
            with suppress(ProcessLookupError):
                if how == signal.SIGKILL:
                    os.killpg(self._process.pid, how)
                else:  # the server tells those that serve a connection
                    self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        """To the server and all that serve a connection."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def put(self, name: str, content: bytes) -> None:
        """A file in its data, which nobody else may read."""
        file = self.folder / "data" / name
        file.write_bytes(content)
        file.chmod(0o600)
        if os.getuid() == 0:
            shutil.chown(file, "postgres")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(_PROGRAMS[-1] / program), *arguments]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd="/", **_someone()
        )
        assert done.returncode == 0, done.stderr


def _someone() -> dict[str, Any]:
    return {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}


def require_postgres() -> None:
    """Skip loudly where PostgreSQL is not installed; fail in CI, which must test it."""
    missing = not _PROGRAMS or not (_PROGRAMS[-1] / "postgres").exists()
    if not missing and os.getuid() == 0:
        with suppress(KeyError):
            pwd.getpwnam("postgres")
            return
        missing = True
    if missing and os.environ.get("CI") == "true":
        pytest.fail("CI must test against a real PostgreSQL: apt-get install postgresql")
    if missing:
        pytest.skip("NOT TESTED WITHOUT POSTGRESQL: apt-get install postgresql")


@contextmanager
def shared_postgres(factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the session's server; its database `leeg` has our tables and nothing in them."""
    require_postgres()
    with shared(factory, "postgres", _with_tables) as url:
        yield url


def _with_tables(folder: Path) -> tuple[str, Stop]:
    server = PrivatePostgres(folder)
    server.start()
    with psycopg.connect(server.url, autocommit=True) as sql:
        sql.execute("CREATE DATABASE leeg")
    upgrade(server.url_of("leeg"))
    return server.url, server.stop


@contextmanager
def own_database(server: str, *, tables: bool = True) -> Iterator[str]:
    """The URL of a new database on the server, gone afterwards."""
    name = f"test_{os.getpid()}_{next(_NUMBERS)}"
    template = "leeg" if tables else "template0"
    with psycopg.connect(server, autocommit=True) as sql:
        sql.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield server.rpartition("/")[0] + f"/{name}"
        finally:
            sql.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def own_postgres(folder: Path, **settings: str) -> Iterator[PrivatePostgres]:
    """A server that the test may kill and start again."""
    require_postgres()
    server = PrivatePostgres(folder, **settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()
