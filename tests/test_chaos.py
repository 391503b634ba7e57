"""
kill -9 of the gateway, and of RabbitMQ, at random during a stream: all arrive once, in order.

The real thing: `gateway run` as a process, real mutual TLS, the two simulators as independent
witnesses. `CHAOS_MESSAGES=500` makes it the long run.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.bus import declare
from gateway.errors import GatewayError, Unavailable
from gateway.ports import State
from gateway.settings import Settings
from gateway.simulators.national import National
from gateway.simulators.zsm import JAN, Zsm
from gateway.store import open_store

from .broker import own_broker
from .process import Process, until, world

MESSAGES = int(os.environ.get("CHAOS_MESSAGES", "120"))
CASES = max(MESSAGES // 10, 1)
SECRET = "Testpersoon"  # a name in every document of the stream
PATIENCE_S = 120 + MESSAGES / 2


def _stream(zsm: Zsm, case: int) -> None:
    """The messages of one case, each after the receipt of the one before; repeated until taken."""
    for number in range(MESSAGES // CASES):
        reference = f"K{case:03}-{number:03}"
        document = zsm.question(JAN, reference=reference, case=f"ZAAK-{case:03}")
        (zsm.folder / "sent" / f"{reference}.document").write_bytes(document)
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                zsm.offer(document, reference)
                break
            except Unavailable:
                assert time.monotonic() < end, reference
                time.sleep(0.1)


def _received(folder: Path) -> list[tuple[str, str]]:
    """(case, reference) in the order in which the receiver signed for them."""
    found = []
    for line in (folder / "ledger.jsonl").read_text().splitlines():
        document = folder / "received" / f"{json.loads(line)['id']}.document"
        question = json.loads(document.read_bytes())
        found.append((question["data"]["verzoek"]["identificatie"], question["id"]))
    return found


def _run(settings: Settings, process: Process, disturb: Callable[[], None]) -> None:
    process.start()
    chance = random.Random(MESSAGES)  # the same disturbance every run
    with Zsm(settings) as zsm, National(settings) as landelijk:
        done = threading.Event()

        def disturber() -> None:
            while not done.wait(chance.uniform(0.5, 2.5)) or process.kills < 2:
                disturb()

        thread = threading.Thread(target=disturber)
        thread.start()
        try:
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda case: _stream(zsm, case), range(CASES)))
        finally:
            done.set()
            thread.join()
        store = open_store(settings.database_url)
        try:
            until(lambda: len(zsm.answers) == MESSAGES, "every answer has come back", PATIENCE_S)
            until(
                lambda: {state for _, state in store.counts()} == {State.AFGELEVERD},
                "every delivery is settled",
                PATIENCE_S,
            )
        finally:
            store.close()
        questions = _received(landelijk.folder)
        answers = [
            json.loads(line)["id"]
            for line in (zsm.folder / "ledger.jsonl").read_text().splitlines()
        ]

    assert MESSAGES == len(questions) == len(set(questions))
    assert MESSAGES == len(answers) == len(set(answers))
    for case in {case for case, _ in questions}:
        order = [reference for of, reference in questions if of == case]
        assert sorted(order) == order, case
    assert process.kills > 1


def _no_plaintext(*folders: Path) -> None:
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file() and "simulators" not in file.parts:
                content = file.read_bytes()
                for word in (SECRET, JAN.bsn, "ZAAK-0"):
                    assert word.encode() not in content, file
                    assert word.encode("utf-16-le") not in content, file


@pytest.mark.timeout(900)
def test_all_arrive_once_and_in_order_while_the_gateway_is_killed(tmp_path: Path) -> None:
    with world(tmp_path / "w") as (settings, process):

        def disturb() -> None:
            process.kill()
            process.start()

        _run(settings, process, disturb)
        _no_plaintext(settings.directory)


@pytest.mark.broker
@pytest.mark.timeout(900)
def test_all_arrive_once_and_in_order_while_rabbitmq_is_killed_too(tmp_path: Path) -> None:
    with own_broker(tmp_path / "broker") as broker:
        password = urlsplit(broker.url).password or ""
        bus = {
            "bus": broker.url.replace(f":{password}@", "@"),
            "bus_password_file": 'bus-password-file = "keys/bus.password"',
            "bus_password": password,
        }
        with world(tmp_path / "w", **bus) as (settings, process):
            declare(settings.bus_url, partners=[entry.name for entry in settings.partner])

            turns = itertools.count(1)

            def disturb() -> None:
                if next(turns) % 3 == 0:
                    broker.stop()
                    broker.start()
                else:
                    process.kill()
                    process.start()

            _run(settings, process, disturb)
            _no_plaintext(settings.directory, tmp_path / "broker")


def test_a_sender_that_was_answered_by_a_crash_gets_the_same_receipt(tmp_path: Path) -> None:
    """kill -9 right after the commit: the answer was never sent, the repeat gets the stored one."""
    with world(tmp_path / "w") as (settings, process):
        process.start()
        with Zsm(settings) as zsm:
            first = zsm.offer(zsm.question(JAN, reference="R-1", case="ZAAK-001"), "R-1")
            process.kill()
            process.start()
            document = (zsm.folder / "sent" / "R-1.document").read_bytes()
            again = zsm.offer(document, "R-1")

    assert first.raw_receipt == again.raw_receipt
    assert first.sealed != again.sealed


def test_gateway_errors_are_all_the_client_sees_of_a_dead_gateway(tmp_path: Path) -> None:
    with world(tmp_path / "w") as (settings, process):
        process.start()
        with Zsm(settings) as zsm:
            process.kill()
            with pytest.raises(GatewayError):
                zsm.ask(JAN)
            process.start()
