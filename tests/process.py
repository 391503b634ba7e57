"""Real processes of a gateway, in a working directory of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from gateway.cli.setup import make_directory
from gateway.settings import Settings, load

PATIENCE_S = 60.0  # starting takes two seconds on an idle machine


class Process:
    """`gateway run`, or another command that stays, killed and started again."""

    def __init__(
        self,
        settings: Settings,
        command: str = "run",
        *,
        program: Sequence[str] = ("-m", "gateway"),
    ) -> None:
        self.settings, self._command, self._program = settings, command, program
        self.kills = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> None:
        """Start it, and wait until it serves; `work` has no listener to wait for."""
        directory, port = str(self.settings.directory), str(self.settings.port)
        environment |= {"ZVH_GATEWAY_PORT": port}
        environment |= {"ZVH_GATEWAY_MANAGEMENT_PORT": str(self.settings.management_port)}
        with (self.settings.directory / "gateway.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-P", *self._program, self._command, "--dir", directory],
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
            )
        if self._command != "work":
            until(lambda: not self.alive or self._ready(), "the gateway is ready")
            assert self.alive, (self.settings.directory / "gateway.log").read_text()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.kills += 1

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait(self, patience: float = PATIENCE_S) -> int:
        """Its exit status, when it has ended."""
        assert self._process is not None
        return self._process.wait(patience)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def health(self, path: str) -> int:
        """The status that its management listener answers with; 0 without an answer."""
        url = f"http://127.0.0.1:{self.settings.management_port}/health/{path}"
        try:
            return httpx2.get(url, trust_env=False).status_code
        except httpx2.HTTPError:
            return 0

    def _ready(self) -> bool:
        return self.health("live") == 200


def until(holds: Callable[[], bool], what: str, patience: float = PATIENCE_S) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.05)


def free_ports(count: int) -> list[str]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    found = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return found


def made(folder: Path, **values: str) -> Settings:
    """A working directory with ports of its own and a short retry ladder."""
    port, management, landelijk, reclassering = free_ports(4)
    given = {
        "port": port,
        "management_port": management,
        "landelijk_port": landelijk,
        "reclassering_port": reclassering,
        "retry_ladder": "[1, 2]",
    }
    make_directory(folder, **{**given, **values})
    return load(folder)


@contextmanager
def world(folder: Path, **values: str) -> Iterator[tuple[Settings, Process]]:
    process = Process(made(folder, **values))
    try:
        yield process.settings, process
    finally:
        process.kill()
