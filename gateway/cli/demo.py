"""The demo: a real gateway in a process of its own, two simulated partners, and their scenes."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway.bus import declare
from gateway.cli.messages import lost, show_way, way
from gateway.cli.output import say, table
from gateway.cli.setup import make_directory
from gateway.client import RefusedByGateway, Sent
from gateway.errors import GatewayError, Unavailable
from gateway.ports import DeliveryRecord, State, Store
from gateway.settings import Settings, load
from gateway.simulators.broker import PrivateBroker
from gateway.simulators.national import National
from gateway.simulators.party import Party
from gateway.simulators.zsm import JAN, NOBODY, PIET, Suspect, Zsm
from gateway.store import open_store

PATIENCE_S = 30.0  # a scene takes a second or two; more means that something is wrong
COLUMNS = (
    *("scene", "from", "dialect", "kind", "to", "dialect", "state", "time", "lost"),
    "receipt or reason",
)
QUESTION = ("zsm", "stuf-jz/1.0.9", "bekendheidsverzoek")
LOG = "gateway.log"


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
        """All scenes; returns the id of the first question."""
        first = self.conversation("question and answer", JAN)
        self.conversation("person not known", NOBODY)
        self.landelijk.stop()
        self.conversation("landelijk is down", PIET, during=self._wait_and_start)
        self.duplicate("duplicate", first)
        self.refusal("tampered", "zegel-ongeldig", lambda: self._tampered(first.sealed))
        self.refusal("unknown signer", "certificaat-geweigerd", self._unknown)
        self.no_entry("revoked certificate", "broken-revoked-tls", "certificate revoked")
        self.refusal("invalid document", "document-ongeldig", self._invalid)
        return first.receipt.id

    def conversation(
        self, scene: str, suspect: Suspect, *, during: Callable[[str], None] = lambda _: None
    ) -> Sent:
        """A question of ZSM, and its answer."""
        sent = self.zsm.ask(suspect)
        question, answers = sent.receipt.id, self.zsm.answers
        during(question)
        self._expect(f"{scene}: ZSM has an answer to its own question", lambda: question in answers)
        right = answers.get(question) == (suspect is not NOBODY)
        self._expect(f"{scene}: the answer is right", lambda: right)
        self._expect(
            f"{scene}: both are delivered, with verified receipts",
            lambda: self._states(question) == [State.AFGELEVERD] * 2,
        )
        for delivery in self._deliveries(question):
            message, tries = delivery.message, self.store.attempts_of(delivery.id)
            taken = (delivery.changed_at - message.received_at).total_seconds()
            proven = any(attempt["receipt"] for attempt in tries)
            self.rows.append(
                (
                    *(scene, message.sender, message.dialect, message.kind),
                    *(delivery.receiver, delivery.dialect, delivery.state, f"{taken:.2f} s"),
                    lost([*message.loss, *delivery.removed, *delivery.loss]),
                    f"verified both ways, tries: {len(tries)}" if proven else "NONE",
                )
            )
        return sent

    def duplicate(self, scene: str, first: Sent) -> None:
        """The same document in a fresh seal: the receipt is the stored one, byte for byte."""
        document = (self.zsm.folder / "sent" / f"{first.receipt.id}.document").read_bytes()
        again = self.zsm.offer(document, first.receipt.id)
        same = again.raw_receipt == first.raw_receipt and again.sealed != first.sealed
        self._expect(f"{scene}: the same receipt bytes", lambda: same)
        told = "the same receipt, byte for byte" if same else "ANOTHER RECEIPT"
        self._tell(scene, "not sent again", told)

    def refusal(self, scene: str, code: str, act: Callable[[], object]) -> None:
        """Something that must be refused with this code, in a signed refusal."""
        found, told = "nothing", "ACCEPTED"
        try:
            act()
        except RefusedByGateway as error:
            found = error.code if error.refusal else "no signature"
            told = f"{error.reason()} [signed refusal]"
        self._expect(f"{scene}: refused with {code}, not {found}", lambda: found == code)
        self._tell(scene, "refused", told)

    def no_entry(self, scene: str, certificate: str, reason: str) -> None:
        """A certificate that ends the TLS handshake; why stands in the log of the gateway only."""
        with Party(self.settings, "zsm", tls=certificate).client as client, suppress(GatewayError):
            client.ping()
            self.failed.append(f"{scene}: was let in")
        log = self.settings.directory / LOG
        self._expect(f"{scene}: the log says {reason}", lambda: reason in log.read_text("utf-8"))
        told = f"refused in the TLS handshake, nothing was read; in the log: {reason}"
        self._tell(scene, "no connection", told)

    def _wait_and_start(self, question: str) -> None:
        waits = "landelijk is down: the message waits, and says why"
        self._expect(waits, lambda: self._states(question) == [State.WACHT])
        self.landelijk.start()

    def _tampered(self, sealed: bytes) -> None:
        at = len(sealed) * 2 // 3  # in the ciphertext
        other = b"B" if sealed[at : at + 1] == b"A" else b"A"
        self.zsm.client.resend(sealed[:at] + other + sealed[at + 1 :])

    def _unknown(self) -> None:
        reference, kind = str(uuid.uuid4()), QUESTION[-1]
        document = self.zsm.question(JAN, reference=reference)
        with Party(self.settings, "zsm", sign="broken-rogue-sign").client as client:
            client.send(document, message_id=reference, kind=kind, content_type="application/xml")

    def _invalid(self) -> None:
        reference = str(uuid.uuid4())
        document = self.zsm.question(JAN, reference=reference)
        wrong = document.replace(b">02</JZ:soortVerzoeker", b">ZSM</JZ:soortVerzoeker")
        self.zsm.offer(wrong, reference)

    def _deliveries(self, question: str) -> list[DeliveryRecord]:
        asked = [message for message in self.store.find(question) if not message.answers]
        whole = self.store.find(asked[0].conversation) if asked else []
        found = [d for message in whole for d in self.store.deliveries_of(message.id)]
        return sorted(found, key=lambda delivery: delivery.created_at)

    def _states(self, question: str) -> list[State]:
        return [delivery.state for delivery in self._deliveries(question)]

    def _tell(self, scene: str, state: str, told: str) -> None:
        """A row about something that nobody received."""
        self.rows.append((scene, *QUESTION, "", "", state, "", "", told))

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
        say(f"gateway at {settings.host}:{settings.port}, bus {settings.bus}, in {directory}")
        stack.enter_context(_gateway(settings))
        store = stack.enter_context(closing(open_store(settings.database_url)))
        zsm, landelijk = Zsm(settings), National(settings)
        stack.enter_context(zsm)
        stack.enter_context(landelijk)
        stage, began = Stage(settings, store, zsm, landelijk), time.monotonic()
        first = stage.play()
        table(f"Played in {time.monotonic() - began:.1f} s", COLUMNS, stage.rows)
        show_way(way(store, store.find(first)[0]))
        for what in stage.failed:
            say(f"NOT AS TOLD: {what}")
        if not once:
            _keep_running(settings, first)
    return not stage.failed


def _set_up(stack: ExitStack, directory: Path, *, rabbitmq: bool) -> Settings:
    names = ("port", "management_port", "landelijk_port")
    values = dict(zip(names, _free_ports(len(names)), strict=True)) | {"retry_ladder": "[2, 5]"}
    if rabbitmq:
        say("starting RabbitMQ, about ten seconds")
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="zvh-broker-"))
        broker = PrivateBroker(Path(folder))
        stack.callback(broker.stop)
        broker.start()
        values["bus"] = broker.url.replace(":guest@", "@")
    make_directory(directory, **values)
    settings = load(directory)
    declare(settings.bus_url, partners=[entry.name for entry in settings.partner])
    return settings


@contextmanager
def _gateway(settings: Settings) -> Iterator[None]:
    """`gateway run` in a process of its own: listening on entering, ended on leaving."""
    command = [sys.executable, "-P", "-m", "gateway", "run", "--dir", str(settings.directory)]
    log = settings.directory / LOG
    with log.open("wb") as stream:  # a session of its own: Ctrl-C is for the demo, which ends it
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    try:
        end = time.monotonic() + PATIENCE_S
        while not _listens(settings.management_port):
            if process.poll() is not None or time.monotonic() > end:
                raise Unavailable(f"the gateway does not start; {log} says why")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def _free_ports(count: int) -> list[str]:
    """Ports nobody listens on now; probed at once, so that they differ."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [str(probe.getsockname()[1]) for probe in probes]


def _keep_running(settings: Settings, question: str) -> None:
    here = settings.directory
    pki = f"--cacert {here}/pki/ca.crt --cert {here}/pki/zsm-tls.crt --key {here}/pki/zsm-tls.key"
    say(f"""
Everything keeps running; Ctrl-C ends it. Try, in another terminal:

  curl {pki} https://{settings.host}:{settings.port}/v1/ping
  curl {pki} https://{settings.host}:{settings.port}/v1/postbus
  curl http://127.0.0.1:{settings.management_port}/metrics
  {sys.executable} -m gateway trace {question} --dir {here}
  {sys.executable} -m gateway send {here}/simulators/zsm/sent/{question}.document --as zsm --dir {here}
""")
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)
