"""The demo: a real gateway in a process of its own, simulated partners, and their scenes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

from typer import echo

from gateway.bootstrap import bus_address
from gateway.bus import User, boot_definitions
from gateway.cli.messages import lost, show_way, way
from gateway.cli.output import table
from gateway.cli.running import until_stopped
from gateway.cli.setup import make_directory
from gateway.client import RefusedByGateway, Sent
from gateway.errors import Refused, Unavailable
from gateway.ports import DeliveryRecord, Loss, State, Store
from gateway.settings import Settings, load
from gateway.simulators.broker import PrivateBroker, free_ports, listens
from gateway.simulators.chain import Dji, Gemeente, Politie, VeiligThuis, Zvh
from gateway.simulators.gcos import Gcos
from gateway.simulators.national import National
from gateway.simulators.party import Simulator
from gateway.simulators.reclassering import Reclassering
from gateway.simulators.zsm import JAN, NOBODY, PIET, Suspect, Zsm
from gateway.store import open_store

PATIENCE_S = 30.0  # a scene takes a second or two; more means that something is wrong
COLUMNS = (
    *("scene", "from", "dialect", "kind", "to", "dialect", "state", "time", "lost"),
    "receipt or reason",
)
PORTS = ("port", "management_port", "landelijk_port", "reclassering_port")
LOG = "gateway.log"


@dataclass
class Stage:
    """Who plays, and what came of it so far. Every scene raises NotAsTold."""

    settings: Settings
    store: Store
    zsm: Zsm
    landelijk: National
    politie: Politie
    veilig_thuis: VeiligThuis
    dji: Dji
    gemeente: Gemeente
    zvh: Zvh
    reclassering: Reclassering
    gcos: Gcos
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def play(self) -> str:
        """All scenes; returns the id of the first question."""
        first = self.conversation("question and answer", JAN)
        self.conversation("person not known", NOBODY)
        self.conversation("landelijk is down", PIET, down=True)
        self.duplicate("duplicate", first)
        half = len(first.sealed) // 2  # in the ciphertext
        tampered = first.sealed[:half] + first.sealed[half:-40].swapcase() + first.sealed[-40:]
        self.refusal("tampered", "zegel-ongeldig", self.zsm.client.resend, tampered)
        unknown = Zsm(self.settings, sign="broken-rogue-sign")
        self.refusal("unknown signer", "certificaat-geweigerd", unknown.ask, JAN)
        revoked = Zsm(self.settings, tls="broken-revoked-tls")
        self.refusal("revoked certificate", "partner-onbereikbaar", revoked.ask, JAN)
        document = self.zsm.question(JAN, reference="DEMO-INVALID")
        invalid = document.replace(b">02</JZ:soortVerzoeker", b">ZSM</JZ:soortVerzoeker")
        offered = (self.zsm.offer, invalid, "DEMO-INVALID")
        self.refusal("invalid document", "document-ongeldig", *offered)
        self.chain()
        return first.receipt.id

    def chain(self) -> None:
        """What the other partners tell each other."""
        case = f"DEMO-{token_hex(4)}"
        zsm, dji = self.zsm, self.dji
        sent = zsm.tell("meldingGeneriekDi01", kind="melding", case=f"{case}-1")
        self.exchange("buikpijn", sent, zsm, "uitkomstMeldingGeneriekDi01")
        decided = "afdoeningsbeslissing"
        sent = zsm.tell(decided, kind=decided, case=f"{case}-2")
        self.exchange("decision of the OM", sent, self.landelijk, decided)
        sent = self.politie.report(f"{case}-3")
        self.exchange("report to Veilig Thuis", sent, self.politie, "vtTerugkoppelingDi01")
        told = dji.announce(f"{case}-4")
        self.exchange("return (BIJ)", told, dji, "bijWeging")
        back = datetime.now(UTC).date() + timedelta(days=30)
        sent = dji.correct(f"{case}-4", told.receipt.id, back)
        self.exchange("correction", sent, self.zvh, f'"datum": "{back}"', f'"datum":"{back}"')
        sent = dji.plan(f"{case}-5")
        self.exchange("re-integration plan", sent, self.gemeente, "drPlan")
        events = self.reclassering
        self.whole("report by an event", events.report(f"{case}-6"), events, "meldinguitkomst")
        sent = self.landelijk.conclude(f"{case}-7", to=events.name)
        self.exchange("outcome of the overleg", sent, events, "heeftBesluit")
        old, new = self.gcos, self.landelijk
        self.whole("casus of GCOS", old.export(f"{case}-8"), new, f"{case}-8")
        self.whole("the same as CSV", old.export_tables(f"{case}-9"), new, f"{case}-9")
        old.put("half.xml", b"<GCOS:casus")
        _expect("half a file: it is refused", lambda: old.answered("half.xml") is not None)
        reason = (old.folder / "geweigerd" / "half.xml.reden.txt").read_text("utf-8")
        row = ("half a file", old.name, "", "", "", "", "refused", "", "", reason.split("\n")[0])
        self.rows.append(row)

    def exchange(self, scene: str, sent: Sent, who: Simulator, *heard: str) -> None:
        """A message that arrives everywhere; in the end somebody has heard one of these words."""
        self.whole(scene, sent.receipt.id, who, *heard)

    def whole(self, scene: str, id: str, who: Simulator, *heard: str) -> None:
        """The same for a message of which only the id is known."""
        _expect(f"{scene}: {who.name} hears {heard[0]}", lambda: any(map(who.heard, heard)))
        self._arrived(scene, id)

    def conversation(self, scene: str, suspect: Suspect, *, down: bool = False) -> Sent:
        """A question of ZSM, and its answer; with `down` the question must wait first."""
        if down:
            self.landelijk.stop()
        sent = self.zsm.ask(suspect)
        question, known = sent.receipt.id, suspect is not NOBODY
        if down:
            _expect(f"{scene}: it waits", lambda: self._states(question) == [State.WACHT])
            self.landelijk.start()
        _expect(f"{scene}: the right answer", lambda: self.zsm.answers.get(question) is known)
        self._arrived(scene, question)
        return sent

    def _arrived(self, scene: str, question: str) -> None:
        """All of a conversation is delivered, with a receipt; one row each."""
        done = {State.AFGELEVERD}
        _expect(f"{scene}: all is delivered", lambda: set(self._states(question)) == done)
        for d in self._deliveries(question):
            m, tries = d.message, self.store.attempts_of(d.id)
            told = f"verified both ways, tries: {len(tries)}"
            if d.dialect == "soh/0.1":  # events have no seal
                told = "announced, and read over mutual TLS"
            elif not any(attempt["receipt"] for attempt in tries):
                raise NotAsTold(f"NOT AS TOLD: {scene}: a receipt of {d.receiver}")
            taken = f"{(d.changed_at - m.received_at).total_seconds():.2f} s"
            ways = (m.sender, m.dialect, m.kind, d.receiver, d.dialect, d.state)
            self.rows.append((scene, *ways, taken, _some([*m.loss, *d.removed, *d.loss]), told))

    def duplicate(self, scene: str, first: Sent) -> None:
        """The same document in a fresh seal: the receipt is the stored one, byte for byte."""
        document = (self.zsm.folder / "sent" / f"{first.receipt.id}.document").read_bytes()
        again = self.zsm.offer(document, first.receipt.id)
        _expect(f"{scene}: a fresh seal", lambda: again.sealed != first.sealed)
        _expect(f"{scene}: the same receipt", lambda: again.raw_receipt == first.raw_receipt)
        self._stopped(scene, "not sent again", "the same receipt, byte for byte")

    def refusal(self, scene: str, code: str, act: Callable[..., object], *given: object) -> None:
        """Something that must be refused with this code: signed, or by TLS before it is read."""
        found = told = "accepted"
        try:
            act(*given)
        except RefusedByGateway as error:
            found = error.code if error.refusal else "no signature"
            told = f"signed refusal: {error.reason()}"
        except Unavailable as error:
            log, reason = self.settings.directory / LOG, "certificate revoked"
            _expect(f"{scene}: the log says {reason}", lambda: reason in log.read_text("utf-8"))
            found, told = error.code, f"no connection: TLS handshake refused, {reason} (in the log)"
        _expect(f"{scene}: {code}, not {found}", lambda: found == code)
        self._stopped(scene, "refused", told)

    def _stopped(self, scene: str, state: str, told: str) -> None:
        """A row about a question that went no further than the gateway."""
        question = ("zsm", "stuf-jz/1.0.9", "bekendheidsverzoek")
        self.rows.append((scene, *question, "", "", state, "", "", told))

    def _deliveries(self, question: str) -> list[DeliveryRecord]:
        (asked,) = self.store.find(question)
        whole = self.store.find(asked.conversation)
        return [delivery for message in whole for delivery in self.store.deliveries_of(message.id)]

    def _states(self, question: str) -> list[State]:
        return [delivery.state for delivery in self._deliveries(question)]


class NotAsTold(Refused):
    """A scene of the demo went otherwise; the text says which, and what was expected."""


def _some(loss: list[Loss]) -> str:
    """As much as a table has room for; `trace` tells all of it."""
    rest = f" and {len(loss) - 3} more" if len(loss) > 3 else ""
    return f"{lost(loss[:3])}{rest}"


def _expect(what: str, holds: Callable[[], bool]) -> None:
    """Wait until it holds. Raises NotAsTold."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > end:
            raise NotAsTold(f"NOT AS TOLD: {what}")
        time.sleep(0.05)


def play(*, directory: Path | None, rabbitmq: bool, once: bool) -> None:
    """Set up, play, tell, clean up. Raises NotAsTold."""
    with ExitStack() as stack:
        if directory is None:
            directory = Path(stack.enter_context(TemporaryDirectory(prefix="zvh-demo-")))
        settings = _set_up(stack, directory, rabbitmq=rabbitmq)
        echo(f"gateway at {settings.host}:{settings.port}, bus {settings.bus}, in {directory}")
        stack.enter_context(running_gateway(settings))
        store = stack.enter_context(closing(open_store(settings.database_url)))
        cast = (Zsm, National, Politie, VeiligThuis, Dji, Gemeente, Zvh, Reclassering, Gcos)
        parties: list[Any] = [stack.enter_context(party(settings)) for party in cast]
        stage, began = Stage(settings, store, *parties), time.monotonic()
        try:
            first = stage.play()
        finally:
            table(f"Played in {time.monotonic() - began:.1f} s", COLUMNS, stage.rows)
        show_way(way(store, store.find(first)[0]))
        if not once:
            _keep_running(settings, first)


def _set_up(stack: ExitStack, directory: Path, *, rabbitmq: bool) -> Settings:
    values = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
    if not rabbitmq:
        make_directory(directory, retry_ladder="[2, 5]", **values)
        return load(directory)
    user = User("gateway", token_hex())
    broker = PrivateBroker(
        Path(stack.enter_context(TemporaryDirectory(prefix="zvh-broker-"))), user
    )
    values |= {"bus": broker.bare_url, "bus_password": user.password}
    make_directory(directory, retry_ladder="[2, 5]", **values)
    settings = load(directory)
    # As in production: all that is there comes from the definitions, and the gateway can make nothing.
    broker.definitions = boot_definitions(bus_address(settings), user)
    echo("starting RabbitMQ, about ten seconds")
    stack.callback(broker.stop)
    broker.start()
    return settings


@contextmanager
def running_gateway(settings: Settings) -> Iterator[None]:
    """`gateway run` in a process of its own: listening on entering, ended on leaving."""
    command = [sys.executable, "-P", "-m", "gateway", "run", "--dir", str(settings.directory)]
    log = settings.directory / LOG
    with log.open("wb") as stream:  # a session of its own: Ctrl-C is for the demo, which ends it
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    try:
        _expect(f"the gateway runs; see {log}", lambda: listens(settings.management_port))
        yield
    finally:
        process.terminate()
        process.wait()


def _keep_running(settings: Settings, question: str) -> None:
    here, gateway = settings.directory, f"{sys.executable} -m gateway"
    pki = f"--cacert {here}/pki/ca.crt --cert {here}/pki/zsm-tls.crt --key {here}/pki/zsm-tls.key"
    echo(f"""
Everything keeps running; Ctrl-C ends it. Try, in another terminal:

  curl {pki} https://{settings.host}:{settings.port}/v1/ping
  curl {pki} https://{settings.host}:{settings.port}/v1/postbus
  curl http://127.0.0.1:{settings.management_port}/metrics
  {gateway} trace {question} --dir {here}
  {gateway} send {here}/simulators/zsm/sent/{question}.document --as zsm --dir {here}
""")
    until_stopped()
