"""A whole installation under fire: processes, database, broker, two partners, and what they keep."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.bootstrap import bus_address
from gateway.bus import User, boot_definitions
from gateway.errors import Unavailable
from gateway.ports import State, Unsealed
from gateway.settings import Settings
from gateway.simulators.broker import PrivateBroker
from gateway.simulators.national import National
from gateway.simulators.zsm import JAN, Zsm
from gateway.store import open_store

from ..broker import require_rabbitmq
from ..postgres import PrivatePostgres, own_postgres
from ..process import Process, free_ports, made, until
from . import launcher

SECRET = "Testpersoon"  # a name in every document of the stream
PATIENCE_S = 300.0  # after the last kill: everything has arrived
SENDERS = 4
UNDER_WAY = 200  # messages without an answer, beyond which senders wait: so that the end is near
PROGRAM = (launcher.__file__,)
FORGETS = 0.03  # of what the receiver stores it dies before its receipt


class Forgetful(National):
    """Stores now and then, and dies before its receipt is out."""

    def __init__(self, settings: Settings, chance: random.Random) -> None:
        super().__init__(settings)
        self._chance, self.forgot = chance, 0

    def receive(self, unsealed: Unsealed) -> bytes:
        receipt = super().receive(unsealed)
        if self._chance.random() < FORGETS:
            self.forgot += 1
            raise ConnectionError("the receiver died before its receipt")
        return receipt


@dataclass
class Result:
    """What was counted, at the receivers and in the store."""

    accepted: int = 0
    delivered: int = 0
    waiting: int = 0
    dead: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    forgot: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass
class Installation:
    """Processes by name, and the parts that are not ours."""

    settings: Settings
    processes: dict[str, Process]
    addresses: list[Settings]
    postgres: PrivatePostgres | None = None
    broker: PrivateBroker | None = None
    folders: tuple[Path, ...] = ()

    def start(self) -> None:
        for process in self.processes.values():
            process.start()

    def disturb(self, what: str) -> None:
        """kill -9 one thing, and start it again."""
        if what == "postgres":
            assert self.postgres
            self.postgres.stop()
            self.postgres.start()
        elif what == "rabbitmq":
            assert self.broker
            self.broker.stop()
            self.broker.start()
        else:
            self.processes[what].kill()
            self.processes[what].start()

    def stop(self) -> None:
        for process in self.processes.values():
            if process.alive:
                process.kill()


@contextmanager
def embedded(folder: Path) -> Iterator[Installation]:
    """One process, SQLite, the bus `table`."""
    settings = made(folder / "w")
    installation = Installation(
        settings, {"gateway": Process(settings, program=PROGRAM)}, [settings]
    )
    try:
        yield installation
    finally:
        installation.stop()


@contextmanager
def cluster(folder: Path) -> Iterator[Installation]:
    """Two `serve`, two `work`, PostgreSQL and RabbitMQ."""
    with ExitStack() as opened:
        postgres = opened.enter_context(own_postgres(folder / "postgres"))
        require_rabbitmq()
        user = User("gateway", "geheim")
        broker = PrivateBroker(folder / "broker", user)
        values = {"bus": broker.bare_url, "bus_password": user.password}
        settings = made(folder / "w", database=postgres.url, **values)
        broker.definitions = boot_definitions(bus_address(settings), user)
        opened.callback(broker.stop)
        broker.start()
        port, management = map(int, free_ports(2))
        other = settings.model_copy(update={"port": port, "management_port": management})
        processes = {
            "serve-1": Process(settings, "serve", program=PROGRAM),
            "serve-2": Process(other, "serve", program=PROGRAM),
            "work-1": Process(settings, "work", program=PROGRAM),
            "work-2": Process(settings, "work", program=PROGRAM),
        }
        installation = Installation(settings, processes, [settings, other], postgres, broker)
        opened.callback(installation.stop)
        installation.folders = (folder / "postgres", folder / "broker")
        yield installation


def storm(installation: Installation, *, seed: int, targets: list[str], pause_s: float) -> Result:
    """
    Send without end while one target after the other is killed; then wait for all, and count.

    `targets` are killed in an order that the seed decides.
    """
    chance = random.Random(seed)
    order = chance.sample(targets, len(targets))
    result, began = Result(), time.monotonic()
    installation.start()
    with ExitStack() as opened:
        landelijk = opened.enter_context(Forgetful(installation.settings, random.Random(seed)))
        parties = [Zsm(one) for one in installation.addresses]
        opened.enter_context(parties[0])  # it alone empties the postbus
        for other in parties[1:]:
            opened.callback(other.client.close)
        accepted: list[str] = []
        over = threading.Event()

        def sender(number: int) -> None:
            """Cases one after the other, each message after the receipt of the one before."""
            case = number
            while not over.is_set():
                for step in range(10):
                    reference = f"K{case:05}-{step:02}"
                    document = parties[0].question(JAN, reference=reference, case=f"ZAAK-{case:05}")
                    _offer(parties, document, reference, number + step)
                    accepted.append(reference)
                    if over.is_set():
                        return
                    while len(accepted) - len(parties[0].answers) > UNDER_WAY and not over.is_set():
                        time.sleep(0.1)
                case += SENDERS

        with ThreadPoolExecutor(SENDERS) as pool:
            jobs = [pool.submit(sender, number) for number in range(SENDERS)]
            try:
                for what in order:
                    time.sleep(chance.uniform(0, 2 * pause_s))
                    installation.disturb(what)
                    result.kills[what] += 1
            finally:
                over.set()
            for job in jobs:
                job.result(timeout=PATIENCE_S)
        wanted = set(accepted)
        assert len(wanted) == len(accepted)

        def answered() -> bool:
            return wanted <= parties[0].answers.keys()

        until(answered, "every answer has come back", PATIENCE_S)
        with closing(open_store(installation.settings.database_url)) as store:
            until(lambda: _settled(store.counts()), "every delivery is settled", PATIENCE_S)
            counts = store.counts()
    _count(result, installation.settings, wanted, counts)
    result.forgot, result.seconds = landelijk.forgot, time.monotonic() - began
    return result


def _offer(parties: list[Zsm], document: bytes, reference: str, turn: int) -> None:
    """Offer until it is taken, at one address or the other, as a sender does."""
    kept = parties[0].folder / "sent" / f"{reference}.document"
    if not kept.exists():
        kept.write_bytes(document)
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            parties[turn % len(parties)].offer(document, reference)
            return
        except Unavailable:
            assert time.monotonic() < end, reference
            turn += 1
            time.sleep(0.1)


def _settled(counts: dict[tuple[str, str], int]) -> bool:
    return {state for _, state in counts} == {State.AFGELEVERD}


def _count(
    result: Result, settings: Settings, wanted: set[str], counts: dict[tuple[str, str], int]
) -> None:
    questions = received(settings.directory / "simulators" / "landelijk")
    arrived = Counter(reference for _, reference in questions)
    answers = [id for id, _ in ledger(settings.directory / "simulators" / "zsm")]
    states = Counter[str]()
    for (_, state), count in counts.items():
        states[state] += count
    result.accepted = len(wanted)
    result.delivered = counts.get(("landelijk", State.AFGELEVERD), 0)
    result.dead = states[State.DOOD]
    result.waiting = sum(states.values()) - states[State.DOOD] - states[State.AFGELEVERD]
    result.lost = len(wanted - arrived.keys())
    result.doubled = sum(n - 1 for n in arrived.values()) + len(answers) - len(set(answers))
    by_case: dict[str, list[str]] = {}
    for case, reference in questions:
        by_case.setdefault(case, []).append(reference)
    result.out_of_order = sum(order != sorted(order) for order in by_case.values())


def ledger(folder: Path) -> list[tuple[str, Any]]:
    """What a partner signed for: (delivery, line), in that order."""
    lines = map(json.loads, (folder / "ledger.jsonl").read_text().splitlines())
    return [(line["id"], line) for line in lines]


def received(folder: Path) -> list[tuple[str, str]]:
    """(case, reference) of each question, in the order in which the receiver signed for them."""
    found = []
    for id, _ in ledger(folder):
        question = json.loads((folder / "received" / f"{id}.document").read_bytes())
        found.append((question["data"]["verzoek"]["identificatie"], question["id"]))
    return found


def no_plaintext(*folders: Path) -> None:
    """Nothing of a document can be read in any file of ours."""
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file() and "simulators" not in file.parts:
                content = file.read_bytes()
                for word in (SECRET, JAN.bsn, "ZAAK-0"):
                    assert word.encode() not in content, file
                    assert word.encode("utf-16-le") not in content, file
