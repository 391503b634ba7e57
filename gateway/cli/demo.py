"""The demo: a real gateway in a process of its own, two simulated partners, and their scenes."""

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

from gateway.cli.messages import lost, show_way, way
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
COLUMNS = "scene,from,dialect,kind,to,dialect,state,time,lost,receipt or reason".split(",")
QUESTION = ("zsm", "stuf-jz/1.0.9", "bekendheidsverzoek")


@dataclass
class Stage:
    """Who plays, and what came of it so far."""

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
        self.refusal("revoked certificate", "partner-onbereikbaar", self._revoked)
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
        right = question in answers and answers[question].known == (suspect is not NOBODY)
        self._expect(f"{scene}: the answer is right", lambda: right)
        self._expect(
            f"{scene}: both are delivered, with verified receipts",
            lambda: self._states(question) == [State.AFGELEVERD] * 2,
        )
        for delivery in self._deliveries(question):
            self.rows.append((scene, *_told(delivery), self._proof(delivery)))
        return sent

    def duplicate(self, scene: str, first: Sent) -> None:
        """The same document in a fresh seal: the receipt is the stored one, byte for byte."""
        document = (self.zsm.folder / "sent" / f"{first.receipt.id}.document").read_bytes()
        again = self.zsm.offer(document, first.receipt.id)
        same = again.raw_receipt == first.raw_receipt and again.sealed != first.sealed
        self._expect(f"{scene}: the same receipt bytes", lambda: same)
        told = "the same receipt, byte for byte" if same else "ANOTHER RECEIPT"
        self.rows.append((scene, *QUESTION, "", "", "not sent again", "", "", told))

    def refusal(self, scene: str, code: str, act: Callable[[], object]) -> None:
        """Something that must be refused, with this code."""
        found = told = "accepted"
        try:
            act()
        except RefusedByGateway as error:
            found, proof = error.code, "signed" if error.refusal else "NOT SIGNED"
            told = f"{error.reason()} [{proof}]"
        except GatewayError as error:
            found, told = error.code, f"the TLS handshake fails: {error.detail}"
        self._expect(f"{scene}: refused with {code}, not {found}", lambda: found == code)
        self.rows.append((scene, *QUESTION, "", "", "refused", "", "", told))

    def _wait_and_start(self, question: str) -> None:
        waits = "landelijk is down: the message waits, and says why"
        self._expect(waits, lambda: self._states(question) == [State.WACHT])
        self.landelijk.start()

    def _tampered(self, sealed: bytes) -> None:
        at = len(sealed) * 2 // 3  # in the ciphertext
        other = b"B" if sealed[at : at + 1] == b"A" else b"A"
        self.zsm.client.resend(sealed[:at] + other + sealed[at + 1 :])

    def _unknown(self) -> None:
        with self.zsm.connection(sign="broken-rogue-sign") as client:
            client.send(
                self.zsm.question(JAN, reference="demo-unknown-signer"),
                message_id="demo-unknown-signer",
                kind="bekendheidsverzoek",
                content_type="application/xml",
            )

    def _revoked(self) -> None:
        with self.zsm.connection(tls="broken-revoked-tls") as client:
            client.ping()

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

    def _proof(self, delivery: DeliveryRecord) -> str:
        tries = self.store.attempts_of(delivery.id)
        proven = any(attempt["receipt"] for attempt in tries)
        return f"verified both ways, tries: {len(tries)}" if proven else "NONE"

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
        store = open_store(settings.database_url)
        stack.callback(store.close)
        zsm, landelijk = Zsm(settings), National(settings)
        stack.enter_context(zsm)
        stack.enter_context(landelijk)
        stage, began = Stage(store, zsm, landelijk), time.monotonic()
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
    if not rabbitmq:
        make_directory(directory, **values)
        return load(directory)
    from gateway.bus import declare
    from gateway.simulators.broker import private_broker

    say("starting RabbitMQ, about ten seconds")
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="zvh-broker-"))
    url = stack.enter_context(private_broker(Path(folder)))
    password = urlsplit(url).password or ""
    values["bus"] = url.replace(f":{password}@", "@")
    values["bus_password_file"] = 'bus-password-file = "keys/bus.password"'
    make_directory(directory, bus_password=password, **values)
    settings = load(directory)
    declare(settings.bus_url, partners=[entry.name for entry in settings.partner])
    return settings


@contextmanager
def _gateway(settings: Settings) -> Iterator[None]:
    """`gateway run` in a process of its own: ready on entering, ended on leaving."""
    command = [sys.executable, "-P", "-m", "gateway", "run", "--dir", str(settings.directory)]
    log = settings.directory / "gateway.log"
    with log.open("wb") as stream:  # a session of its own: Ctrl-C is for the demo, which ends it
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    try:
        end = time.monotonic() + PATIENCE_S
        while not _is_ready(settings):
            if process.poll() is not None or time.monotonic() > end:
                raise Unavailable(f"the gateway does not start; {log} says why")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


def _is_ready(settings: Settings) -> bool:
    with suppress(httpx2.HTTPError):
        url = f"http://127.0.0.1:{settings.management_port}/health/ready"
        return httpx2.get(url, trust_env=False).status_code == 200
    return False


def _free_ports(count: int) -> list[str]:
    """Ports nobody listens on now; probed at once, so that they differ."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [str(probe.getsockname()[1]) for probe in probes]


def _told(delivery: DeliveryRecord) -> tuple[str, ...]:
    message = delivery.message
    way_in = (message.sender, message.dialect, message.kind)
    taken = (delivery.changed_at - message.received_at).total_seconds()
    loss = lost([*message.loss, *delivery.removed, *delivery.loss])
    return (*way_in, delivery.receiver, delivery.dialect, delivery.state, f"{taken:.2f} s", loss)


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
