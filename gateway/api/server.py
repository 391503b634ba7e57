"""Serves apps from one event loop, until told to stop."""

import asyncio
import contextlib
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp

from gateway.api.mtls import MutualTlsProtocol
from gateway.errors import Misconfigured

LOCAL = "127.0.0.1"
GRACE_S = 10  # for requests that are under way at a stop; then their connections are cut


class Server(uvicorn.Server):
    """
    One app at one address, over mutual TLS if it is given.

    Bound when made, so that a port in use is told at once (Misconfigured) and a port 0 is known.
    """

    def __init__(
        self, app: ASGIApp, tls: ssl.SSLContext | None = None, host: str = LOCAL, port: int = 0
    ) -> None:
        options: dict[str, Any] = {"http": MutualTlsProtocol, "timeout_graceful_shutdown": GRACE_S}
        options |= {"log_config": None, "access_log": False, "server_header": False}
        options |= {"ws": "none", "lifespan": "off", "proxy_headers": False}
        if tls:
            options["ssl_context_factory"] = lambda *_: tls
        super().__init__(uvicorn.Config(app, **options))
        try:
            self.at = socket.create_server((host, port))
        except OSError as error:
            raise Misconfigured(f"cannot listen on {host}:{port}: {error.strerror}") from error
        self.port: int = self.at.getsockname()[1]

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # two servers in a process: `Servers.run` handles signals for both


class Servers:
    """
    Use `run` in the main thread, or as a context manager to serve from a thread.

    `draining` is set when `run` is told to stop, `drain_s` seconds before it stops taking requests.
    """

    def __init__(
        self, *servers: Server, draining: threading.Event | None = None, drain_s: float = 0.0
    ) -> None:
        self._servers, self._drain_s = servers, drain_s
        self._draining = draining or threading.Event()
        self._thread = threading.Thread(target=self._loop, name="api")

    def run(self) -> None:
        """
        Serve until SIGTERM, SIGINT or `stop`; requests under way are finished first.

        Meanwhile others learn that we go (`/health/ready`), and send elsewhere. A second signal
        does not wait for them.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._drain())
        self._loop()

    def _drain(self) -> None:
        if self._draining.is_set() or not self._drain_s:
            return self.stop()
        self._draining.set()
        later = threading.Timer(self._drain_s, self.stop)
        later.daemon = True  # a second signal ends the process before it
        later.start()

    def stop(self) -> None:
        """End serving; returns at once. May be called from a signal handler or another thread."""
        for server in self._servers:
            server.should_exit = True

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join()

    def _loop(self) -> None:
        factory = self._servers[0].config.get_loop_factory()
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        await asyncio.gather(*(server.serve(sockets=[server.at]) for server in self._servers))
