"""A real gateway in a process of its own, in a working directory of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from gateway.cli.setup import make_directory
from gateway.settings import Settings, load

PATIENCE_S = 60.0  # starting takes two seconds on an idle machine


class Process:
    """`gateway run`, killed and started again."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.kills = 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = (self.settings.directory / "gateway.log").open("ab")
        command = [sys.executable, "-P", "-m", "gateway", "run", "--dir"]
        process = subprocess.Popen([*command, str(self.settings.directory)], stdout=log, stderr=log)
        self._process = process
        log.close()
        until(lambda: process.poll() is not None or self._ready(), "the gateway is ready")
        assert process.poll() is None, (self.settings.directory / "gateway.log").read_text()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.kills += 1

    def _ready(self) -> bool:
        url = f"http://127.0.0.1:{self.settings.management_port}/health/live"
        try:
            return httpx2.get(url, trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False


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


@contextmanager
def world(folder: Path, **bus: str) -> Iterator[tuple[Settings, Process]]:
    port, management, landelijk, reclassering = free_ports(4)
    make_directory(
        folder,
        port=port,
        management_port=management,
        landelijk_port=landelijk,
        reclassering_port=reclassering,
        retry_ladder="[1, 2]",
        **bus,
    )
    settings = load(folder)
    process = Process(settings)
    try:
        yield settings, process
    finally:
        process.kill()
