"""A private RabbitMQ in a folder of its own, for the demo and the tests; ended by process id."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import quote

from gateway.bus import rabbitmq
from gateway.bus.topology import Topology, User, definitions
from gateway.errors import BusUnavailable, Misconfigured
from gateway.resources import folder as data
from gateway.security.tls import TlsFiles, broker_context

# Debian's /usr/sbin/rabbitmq-server changes to the user `rabbitmq`; the script behind it does not.
_DEBIAN = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_PORTS = range(20_000, 32_000)  # below the ports the kernel gives to clients
_START_S = 120.0  # about ten seconds on an idle machine
_FILES = {"CONF_ENV_FILE": "", "ADVANCED_CONFIG_FILE": "[].\n"}
_CONFIG, _PLUGINS, _DEFINITIONS = "rabbitmq.conf", "enabled_plugins", "definitions.json"
_FOLDERS = ("MNESIA_BASE", "LOG_BASE")  # with _FILES all that it would look for elsewhere


def installed() -> list[str]:
    """RabbitMQ's own start script and Erlang's port mapper. Raises Misconfigured."""
    script = shutil.which(_DEBIAN) or shutil.which("rabbitmq-server")
    mapper = shutil.which("epmd")
    if not script or not mapper:
        raise Misconfigured("RabbitMQ is niet geïnstalleerd: apt-get install rabbitmq-server")
    return [script, mapper]


def listens(port: int) -> bool:
    """Whether somebody listens on this port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_ports(count: int) -> list[int]:
    """Different ports nobody listens on."""
    return [port for port in random.sample(_PORTS, 9 * count) if not listens(port)][:count]


class PrivateBroker:
    """
    RabbitMQ on loopback with its own ports, cookie, data and logs inside `folder`.

    It boots as in production: exchanges, queues and `user` come from `definitions`, and there is no
    `guest`. With `tls` it is configured by queue/rabbitmq.conf: TLS only, and a certificate asked.
    With `management` its management API answers at `api`.
    """

    def __init__(
        self,
        folder: Path,
        user: User,
        *,
        tls: TlsFiles | None = None,
        management: bool = False,
    ) -> None:
        self.folder = folder.resolve()
        self.port, self._dist, self._epmd, self._api_port = free_ports(4)
        self._scheme, self._host = ("amqps", "localhost") if tls else ("amqp", "127.0.0.1")
        self._tls = tls
        self.url = self.url_of(user)
        self.bare_url = self.url_of(replace(user, password=""))
        scheme = "https" if tls else "http"
        self.api = f"{scheme}://{self._host}:{self._api_port}" if management else ""
        self.definitions = definitions(Topology.load(), (), [user])
        self.processes: list[subprocess.Popen[bytes]] = []

    def url_of(self, user: User) -> str:
        """How a user reaches it; without a password, as gateway.toml has it."""
        secret = f":{quote(user.password, safe='')}" if user.password else ""
        return f"{self._scheme}://{quote(user.name)}{secret}@{self._host}:{self.port}/%2F"

    def start(self) -> None:
        """Start on what is in the folder, until it answers. Raises Misconfigured, BusUnavailable."""
        script, mapper = installed()
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in (_FILES | self._configured()).items():
            (self.folder / name).write_text(text)
        self._run(mapper, "-port", str(self._epmd))  # else Erlang leaves one behind
        self._run(script)
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.processes[-1].poll() is None:
            with suppress(BusUnavailable):
                if listens(self.port) and (not self.api or listens(self._api_port)):
                    return rabbitmq.ping(self.url, self._context())
            time.sleep(0.1)
        self.stop()
        raise BusUnavailable(f"RabbitMQ start niet; zie {self.folder / 'start.log'}")

    def stop(self) -> None:
        """End it as a power cut does. The folder stays, and it can be started again."""
        for process in reversed(self.processes):  # each leads a process group of its own
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()

    def _configured(self) -> dict[str, str]:
        """Its files; with TLS the configuration is the one of production, queue/rabbitmq.conf."""
        return {
            _CONFIG: self._in_production() if self._tls else self._in_the_clear(),
            _PLUGINS: "[rabbitmq_management].\n" if self.api else "[].\n",
            _DEFINITIONS: self.definitions,
        }

    def _in_the_clear(self) -> str:
        lines = [f"load_definitions = {self.folder / _DEFINITIONS}"]
        lines.append(f"listeners.tcp.1 = 127.0.0.1:{self.port}")
        if self.api:
            lines += ["management.tcp.ip = 127.0.0.1", f"management.tcp.port = {self._api_port}"]
        return "\n".join([*lines, ""])

    def _in_production(self) -> str:
        assert self._tls
        lines = (data("queue") / "rabbitmq.conf").read_text("utf-8").splitlines()
        text = "\n".join(line for line in lines if self.api or not line.startswith("management."))
        here = {
            "listeners.ssl.default = 5671": f"listeners.ssl.1 = 127.0.0.1:{self.port}",
            "management.ssl.port = 15671": f"management.ssl.port = {self._api_port}\n"
            "management.ssl.ip = 127.0.0.1",
            "/etc/rabbitmq/tls/ca.pem": str(self._tls.ca),
            "/etc/rabbitmq/tls/server.pem": str(self._tls.certificate),
            "/etc/rabbitmq/tls/server.key": str(self._tls.key),
            "/etc/rabbitmq/definitions.json": str(self.folder / _DEFINITIONS),
        }
        for there, mine in here.items():
            text = text.replace(there, mine)
        return text + "\n"

    def _context(self) -> rabbitmq.Tls | None:
        """How its own ping gets in: by its own certificate."""
        tls = self._tls
        return tls and partial(broker_context, tls.ca, (tls.certificate, tls.key))

    def environment(self) -> dict[str, str]:
        """What the broker runs with; `rabbitmqctl` finds it by the same."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),  # Erlang keeps its cookie here
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "detached": "1",  # the script becomes the broker: one process id
            "RABBITMQ_NODENAME": f"zvh-{self.port}@localhost",
            "RABBITMQ_CONFIG_FILE": str(self.folder / _CONFIG),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / _PLUGINS),
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            **{f"RABBITMQ_{name}": str(self.folder / name) for name in (*_FILES, *_FOLDERS)},
        }

    def _run(self, *command: str) -> None:
        env, log = self.environment(), (self.folder / "start.log").open("ab")
        with log:  # a session of its own: Ctrl-C is not for the broker
            process = subprocess.Popen(
                command, env=env, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        self.processes.append(process)
