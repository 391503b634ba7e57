"""The demo: a real gateway in a process of its own, two simulated partners, six scenes."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from gateway.cli.messages import show_way, way
from gateway.cli.output import say, table
from gateway.cli.setup import make_directory
from gateway.client import RefusedByGateway, Sent
from gateway.errors import GatewayError, Unavailable
from gateway.ports import DeliveryRecord, State, Store
from gateway.settings import Settings, load
from gateway.simulators.national import National
from gateway.simulators.zsm import JAN, NOBODY, PIET, Suspect, Zsm
from gateway.store import open_store

PATIENCE_S = 30.0  # a scene takes a second or two; more means that something is wrong
COLUMNS = (
    "scene", "from", "dialect", "kind", "to", "dialect", "state", "time", "lost", "receipt / reason"
)  # fmt: skip


@dataclass
class Stage:
    """Who plays, and what came of it so far."""

    settings: Settings
    store: Store
    zsm: Zsm
    landelijk: National
    rows: list[tuple[str, ...]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def play(self) -> str:
        """All six scenes; returns the id of the first question."""
        first = self.conversation("question and answer", JAN)
        self.conversation("nobody knows him", NOBODY)
        self.landelijk.stop()
        self.conversation("landelijk is down", PIET, during=self._wait_and_start)
        self.duplicate("duplicate", first)
        self.refusal("tampered", "zegel-ongeldig", lambda: self._tampered(first.sealed))
        self.refusal("revoked certificate", "certificaat-geweigerd", self._revoked)
        self.refusal("certificate of a stranger", "partner-onbereikbaar", self._stranger)
        self.refusal("invalid document", "document-ongeldig", self._invalid)
        return first.receipt.id

    def conversation(
        self, scene: str, suspect: Suspect, *, during: Callable[[str], None] = lambda _: None
    ) -> Sent:
        """A question of ZSM, and its answer."""
        sent = self.zsm.ask(suspect)
        question = sent.receipt.id
        during(question)
        self._expect(
            f"{scene}: ZSM reads the answer to its own question",
            lambda: question in self.zsm.answers,
        )
        if answer := self.zsm.answers.get(question):
            right = answer.known == (suspect is not NOBODY)
            self._expect(f"{scene}: the answer is right", lambda: right)
        self._expect(
            f"{scene}: all is delivered, with verified receipts",
            lambda: [d.state for d in self._deliveries(question)] == [State.AFGELEVERD] * 2,
        )
        for delivery in self._deliveries(question):
            self.rows.append(_row(scene, delivery, self._proof(delivery)))
        return sent

    def duplicate(self, scene: str, first: Sent) -> None:
        """The same document in a fresh seal: the receipt is the stored one, byte for byte."""
        document = (self.zsm.folder / "sent" / f"{first.receipt.id}.document").read_bytes()
        again = self.zsm.offer(document, first.receipt.id)
        same = again.raw_receipt == first.raw_receipt and again.sealed != first.sealed
        self._expect(f"{scene}: the same receipt bytes", lambda: same)
        told = "the same receipt, byte for byte" if same else "ANOTHER RECEIPT"
        self._add(scene, "not delivered again", told)

    def refusal(self, scene: str, code: str, act: Callable[[], object]) -> None:
        """Something that must be refused, and with this code."""
        found, told = "accepted", "ACCEPTED"
        try:
            act()
        except RefusedByGateway as error:
            found = error.code
            told = f"{error.reason()} [{'signed' if error.refusal else 'NOT SIGNED'}]"
        except GatewayError as error:
            found, told = error.code, f"no TLS: {error.detail}"
        self._expect(f"{scene}: refused with {code}, not {found}", lambda: found == code)
        self._add(scene, "refused", told)

    def _tampered(self, sealed: bytes) -> None:
        middle = len(sealed) * 2 // 3  # in the ciphertext
        other = b"A" if sealed[middle : middle + 1] != b"A" else b"B"
        self.zsm.client.resend(sealed[:middle] + other + sealed[middle + 1 :])

    def _revoked(self) -> None:
        reference = str(uuid.uuid4())
        with self.zsm.connection(sign="broken-revoked-sign") as client:
            client.send(
                self.zsm.question(JAN, reference=reference),
                message_id=reference,
                kind="bekendheidsverzoek",
                content_type="application/xml",
            )

    def _stranger(self) -> None:
        with self.zsm.connection(tls="broken-rogue-tls") as client:
            client.ping()

    def _invalid(self) -> None:
        reference = str(uuid.uuid4())
        document = self.zsm.question(JAN, reference=reference)
        self.zsm.offer(
            document.replace(b">02</JZ:soortVerzoeker", b">ZSM</JZ:soortVerzoeker"), reference
        )

    def _wait_and_start(self, question: str) -> None:
        self._expect(
            "landelijk is down: the message waits and says why",
            lambda: [d.state for d in self._deliveries(question)] == [State.WACHT],
        )
        self.landelijk.start()

    def _deliveries(self, question: str) -> list[DeliveryRecord]:
        messages = [m for m in self.store.find(question) if m.message_id == question]
        together = {n.id: n for m in messages for n in self.store.find(m.conversation)}
        ordered = sorted(together.values(), key=lambda message: message.received_at)
        return [d for message in ordered for d in self.store.deliveries_of(message.id)]

    def _proof(self, delivery: DeliveryRecord) -> str:
        receipts = [a for a in self.store.attempts_of(delivery.id) if a["receipt"]]
        told = "verified, both ways" if receipts else "NONE"
        return told if delivery.attempts == 1 else f"{told}, at try {delivery.attempts}"

    def _add(self, scene: str, state: str, told: str) -> None:
        kind = "bekendheidsverzoek"
        self.rows.append((scene, "zsm", "stuf-jz/1.0.9", kind, "", "", state, "", "", told))

    def _expect(self, what: str, holds: Callable[[], bool]) -> None:
        """Wait until it holds; if it never does, the demo has failed but goes on."""
        end = time.monotonic() + PATIENCE_S
        while not (right := holds()) and time.monotonic() < end:
            time.sleep(0.05)
        if not right:
            self.failed.append(what)


def play(*, directory: Path | None, rabbitmq: bool, once: bool) -> bool:
    """Set up, play, tell, clean up; whether everything went as told."""
    with ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zvh-demo-")))
        settings = _set_up(stack, directory, rabbitmq=rabbitmq)
        say(
            f"gateway on https://{settings.host}:{settings.port}, bus {settings.bus}, in {directory}"
        )
        stack.enter_context(_gateway(settings))
        store = open_store(settings.database_url)
        stack.callback(store.close)
        zsm, landelijk = (stack.enter_context(kind(settings)) for kind in (Zsm, National))
        stage = Stage(settings, store, zsm, landelijk)
        began = time.monotonic()
        first = stage.play()
        table(f"Played in {time.monotonic() - began:.1f} s", COLUMNS, stage.rows)
        for message in store.find(first)[:1]:
            show_way(way(store, message))
        for what in stage.failed:
            say(f"NOT AS TOLD: {what}")
        if not once:
            _keep_running(settings, first)
    return not stage.failed


def _set_up(stack: ExitStack, directory: Path, *, rabbitmq: bool) -> Settings:
    names = ("port", "management_port", "landelijk_port")
    changes = dict(zip(names, _free_ports(len(names)), strict=True)) | {"retry_ladder": "[2, 5]"}
    if not rabbitmq:
        make_directory(directory, **changes)
        return load(directory)
    from gateway.bus import declare
    from gateway.simulators.broker import private_broker

    say("starting RabbitMQ, about ten seconds")
    broker = stack.enter_context(tempfile.TemporaryDirectory(prefix="zvh-broker-"))
    parts = urlsplit(url := stack.enter_context(private_broker(Path(broker))))
    changes["bus"] = url.replace(f":{parts.password}@", "@")
    changes["bus_password_file"] = 'bus-password-file = "keys/bus.password"'
    make_directory(directory, bus_password=parts.password or "", **changes)
    settings = load(directory)
    declare(settings.bus_url, partners=[entry.name for entry in settings.partner])
    return settings


@contextmanager
def _gateway(settings: Settings) -> Iterator[None]:
    """`gateway run` in a process of its own, ready on entering, ended on leaving."""
    command = [sys.executable, "-P", "-m", "gateway", "run", "--dir", str(settings.directory)]
    log = settings.directory / "gateway.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    try:
        end = time.monotonic() + PATIENCE_S
        while not _is_ready(settings):
            if process.poll() is not None or time.monotonic() > end:
                raise Unavailable(f"the gateway does not start:\n{log.read_text('utf-8')[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def _is_ready(settings: Settings) -> bool:
    try:
        url = f"http://{settings.host}:{settings.management_port}/health/ready"
        return httpx2.get(url, trust_env=False).status_code == 200
    except httpx2.HTTPError:
        return False


def _free_ports(count: int) -> list[str]:
    """Ports nobody listens on now; all probed at once, so that they differ."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [str(probe.getsockname()[1]) for probe in probes]


def _row(scene: str, delivery: DeliveryRecord, proof: str) -> tuple[str, ...]:
    message = delivery.message
    taken = (delivery.changed_at - message.received_at).total_seconds()
    lost = [*message.loss, *delivery.removed, *delivery.loss]
    return (
        scene,
        message.sender,
        message.dialect,
        message.kind,
        delivery.receiver,
        delivery.dialect,
        delivery.state,
        f"{taken:.2f} s",
        ", ".join(loss.path for loss in lost) or "nothing",
        proof,
    )


def _keep_running(settings: Settings, question: str) -> None:
    pki = settings.directory / "pki"
    who = f"--cacert {pki}/ca.crt --cert {pki}/zsm-tls.crt --key {pki}/zsm-tls.key"
    api = f"https://{settings.host}:{settings.port}/v1"
    say(f"""
Everything keeps running; Ctrl-C ends it. Try, in another terminal:

  curl {who} {api}/ping
  curl {who} {api}/postbus
  curl http://{settings.host}:{settings.management_port}/metrics
  gateway trace {question} --dir {settings.directory}
  gateway send {settings.directory}/simulators/zsm/sent/{question}.document --as zsm --dir {settings.directory}
""")
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
