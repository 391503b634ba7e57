"""Disk full, clocks that jump, partners that are slow or answer nonsense, a stop: never a lie."""

from __future__ import annotations

import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from gateway import errors
from gateway.errors import PartnerUnavailable, Unavailable
from gateway.ports import Answer, State
from gateway.simulators.national import National
from gateway.simulators.zsm import JAN, Zsm
from gateway.store import open_store

from .process import Process, made, until
from .process import world as process_world
from .world import World

# --- the clock ------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-1, 1, -100, 100])
def test_a_clock_that_jumps_between_two_tries_loses_and_doubles_nothing(
    world: World, hours: float
) -> None:
    """An hour off, as around the change to summer time, or days, as a machine without NTP."""
    accepted = world.send()
    world.wire.script = [errors.PartnerUnavailable()] * 3
    world.run()
    world.clock.forward(hours=hours)
    world.run()
    world.clock.forward(hours=abs(hours) + 1)  # and is set right
    world.run()
    if world.delivery(accepted).state is State.DOOD:  # past its deadline by that clock
        world.store.requeue(world.delivery(accepted).id, actor="Noor", now=world.clock.now())
        world.run()
    assert world.delivery(accepted).state is State.AFGELEVERD
    assert len(world.wire.ledger) == 1


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_jumps_during_a_try_takes_the_lease_and_not_the_message(
    world: World, hours: float
) -> None:
    accepted = world.send()
    push = world.wire.push

    def jumping(partner: Any, sealed: bytes) -> Answer:
        answer = push(partner, sealed)
        world.clock.forward(hours=hours)
        return answer

    world.wire.push = jumping  # type: ignore[method-assign]  # the clock moves while it is sent
    world.run()
    assert world.delivery(accepted).state is State.AFGELEVERD
    assert len(world.wire.ledger) == 1


def test_a_repeat_after_the_clock_was_set_right_gets_its_receipt(world: World) -> None:
    """A late repeat is known before any time is looked at."""
    body = world.seal(world.question())
    first = world.acceptor.accept(body, tls_oin=world.partner("zsm").oin)
    world.clock.forward(days=30)
    again = world.acceptor.accept(body, tls_oin=world.partner("zsm").oin)
    assert again.duplicate and again.receipt == first.receipt


# --- the partner ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nonsense",
    [
        Answer(200, b""),
        Answer(202, b"<html>Welkom</html>"),
        Answer(204, b"a.b.c"),
        Answer(299, b"\xff" * 100),
        Answer(100, b""),
        Answer(451, b""),
    ],
    ids=lambda answer: str(answer.status),
)
def test_an_answer_of_nonsense_is_no_delivery_and_is_tried_again(
    world: World, nonsense: Answer
) -> None:
    accepted = world.send()
    world.wire.script = [nonsense] * 3
    (outcome,) = world.run()
    assert outcome.state is State.WACHT
    world.clock.forward(seconds=12)
    world.run()
    assert world.delivery(accepted).state is State.AFGELEVERD


def test_a_receiver_that_stores_and_dies_before_its_receipt_gets_it_once(world: World) -> None:
    accepted = world.send()
    push, deaths = world.wire.push, iter([True] * 4)

    def dying(partner: Any, sealed: bytes) -> Answer:
        answer = push(partner, sealed)
        if next(deaths, False):
            raise PartnerUnavailable()
        return answer

    world.wire.push = dying  # type: ignore[method-assign]  # it dies after it stored
    world.run()
    assert world.delivery(accepted).state is State.WACHT
    world.clock.forward(seconds=12)
    world.run()
    assert world.delivery(accepted).state is State.AFGELEVERD
    assert len(world.wire.ledger) == 1
    assert len(world.wire.digests) == 5


# --- the disk -------------------------------------------------------------------------------------


def test_a_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """No receipt for what could not be stored; what was accepted before arrives."""
    settings = made(tmp_path / "w")
    process = Process(settings)
    accepted: list[str] = []
    with National(settings), Zsm(settings) as zsm:
        process.start()
        try:
            _offer(zsm, "before", accepted)
            pid = process.pid
            full = (settings.directory / "gateway.db-wal").stat().st_size + 20_000
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            # No file may grow beyond this: to the process as good as a full disk.
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (full, hard))
            refused = 0
            for number in range(60):
                try:
                    zsm.offer(_question(zsm, f"full-{number}"), f"full-{number}")
                    accepted.append(f"full-{number}")
                except PartnerUnavailable as error:
                    refused += 1
                    assert error.retry_after  # 503 with Retry-After
            assert refused
            assert process.alive
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
            for number in range(60):
                _offer(zsm, f"full-{number}", accepted)
            wanted = set(accepted)
            until(lambda: wanted <= zsm.answers.keys(), "all have arrived")
            with closing(open_store(settings.database_url)) as store:
                until(lambda: {s for _, s in store.counts()} == {State.AFGELEVERD}, "settled")
                assert sum(store.counts().values()) == 2 * len(wanted)
        finally:
            process.kill()


# --- the stop -------------------------------------------------------------------------------------


def test_a_stop_is_told_to_others_first_and_loses_nothing(tmp_path: Path) -> None:
    """SIGTERM under load: not ready at once, taking requests a while longer, then a clean end."""
    settings = made(tmp_path / "w")
    process = Process(settings)
    accepted: list[str] = []
    with National(settings), Zsm(settings) as zsm:
        process.start(ZVH_GATEWAY_DRAIN_SECONDS="2")
        over = threading.Event()

        def send(lane: int) -> None:
            number = 0
            while not over.is_set():
                number += 1
                with suppress(Unavailable):
                    reference = f"K{lane}-{number}"
                    zsm.offer(_question(zsm, reference), reference)
                    accepted.append(reference)

        with ThreadPoolExecutor(3) as pool:
            jobs = [pool.submit(send, lane) for lane in range(3)]
            until(lambda: len(accepted) > 10, "messages are accepted")
            assert process.health("ready") == 200
            process.signal(signal.SIGTERM)
            until(lambda: process.health("ready") == 503, "it says that it stops", 1.5)
            before = len(accepted)
            until(lambda: len(accepted) > before, "it still takes messages", 1.5)
            assert process.wait() == 0
            over.set()
            for job in jobs:
                job.result(timeout=60)
        process.start()
        wanted = set(accepted)
        until(lambda: wanted <= zsm.answers.keys(), "all have arrived")
        process.kill()


def test_a_second_signal_ends_it_without_waiting(tmp_path: Path) -> None:
    with process_world(tmp_path / "w") as (_, process):
        process.start(ZVH_GATEWAY_DRAIN_SECONDS="60")
        process.signal(signal.SIGTERM)
        until(lambda: process.health("ready") == 503, "it says that it stops")
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
        assert time.monotonic() - began < 15


def _question(zsm: Zsm, reference: str) -> bytes:
    return zsm.question(JAN, reference=reference, case=f"ZAAK-{reference}")


def _offer(zsm: Zsm, reference: str, accepted: list[str]) -> None:
    def taken() -> bool:
        with suppress(Unavailable):
            kept = zsm.folder / "sent" / f"{reference}.document"
            document = kept.read_bytes() if kept.exists() else _question(zsm, reference)
            zsm.offer(document, reference)
            return True
        return False

    until(taken, f"{reference} is accepted")
    if reference not in accepted:
        accepted.append(reference)
