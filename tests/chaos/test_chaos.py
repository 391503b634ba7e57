"""
kill -9 of everything, at random and at every step: all arrive once, in order.

The real thing: processes, mutual TLS, two simulators as independent witnesses. `make chaos` is the
long run: `CHAOS_KILLS` kills of each installation, and every named point on both.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.errors import GatewayError, Unavailable
from gateway.ports import State
from gateway.simulators.national import National
from gateway.simulators.zsm import JAN, Zsm
from gateway.store import open_store

from ..process import Process, made, until, world
from . import launcher
from .installation import PROGRAM, Result, cluster, embedded, no_plaintext, storm

LONG = int(os.environ.get("CHAOS_KILLS", "0"))
SEED = int(os.environ.get("CHAOS_SEED", "2026"))


def _embedded_targets() -> list[str]:
    return ["gateway"] * (LONG or 5)


def _cluster_targets() -> list[str]:
    """Of a hundred: eight of the broker, which is slow to start, and fifteen of the database."""
    if not LONG:
        return ["serve-1", "serve-2", "work-1", "work-2", "postgres", "work-1", "rabbitmq"]
    shares = {"rabbitmq": 8, "postgres": 15, "serve-1": 19, "serve-2": 19, "work-1": 20}
    found = [what for what, share in shares.items() for _ in range(LONG * share // 100)]
    return [*found, *["work-2"] * (LONG - len(found))]


def _told(name: str, result: Result) -> None:
    """One line of the table in docs/reliability.md."""
    kills = ", ".join(f"{what} {count}" for what, count in sorted(result.kills.items()))
    print(
        f"\n| {name} | {sum(result.kills.values())} ({kills}) | {result.forgot} | {result.accepted} |"
        f" {result.delivered} | {result.waiting} | {result.dead} | {result.lost} |"
        f" {result.doubled} | {result.out_of_order} | {result.seconds:.0f} s |"
    )


def _nothing_lost(result: Result, targets: list[str]) -> None:
    assert sum(result.kills.values()) == len(targets)
    assert (result.lost, result.doubled, result.out_of_order) == (0, 0, 0)
    assert result.accepted == result.delivered + result.waiting + result.dead
    assert result.accepted > 2 * len(targets)


@pytest.mark.timeout(7200)
def test_all_arrive_once_and_in_order_on_the_embedded_pair(tmp_path: Path) -> None:
    targets = _embedded_targets()
    with embedded(tmp_path) as installation:
        result = storm(installation, seed=SEED, targets=targets, pause_s=0.7)
        _told("SQLite, table", result)
        _nothing_lost(result, targets)
        no_plaintext(installation.settings.directory)


@pytest.mark.broker
@pytest.mark.postgres
@pytest.mark.timeout(7200)
def test_all_arrive_once_and_in_order_on_postgresql_and_rabbitmq(tmp_path: Path) -> None:
    targets = _cluster_targets()
    with cluster(tmp_path) as installation:
        result = storm(installation, seed=SEED, targets=targets, pause_s=0.7)
        _told("PostgreSQL, RabbitMQ", result)
        _nothing_lost(result, targets)
        no_plaintext(installation.settings.directory, *installation.folders)


SHORT = (
    "store.accept:after",
    "store.save_rendered:after",
    "transport.push:after",
    "store.settle:after",
)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "point", launcher.points(launcher.ACCEPT + launcher.DELIVER) if LONG else SHORT
)
def test_a_process_that_dies_at_a_step_loses_and_doubles_nothing(
    tmp_path: Path, point: str
) -> None:
    settings = made(tmp_path / "w")
    process = Process(settings, program=PROGRAM)
    with National(settings) as landelijk, Zsm(settings) as zsm:
        process.start(CRASH_AT=point)
        document = zsm.question(JAN, reference="R-1", case="ZAAK-001")
        try:
            with suppress(Unavailable):  # died in accept, or before it could answer
                zsm.offer(document, "R-1")
            until(lambda: not process.alive, f"it dies at {point}")
            process.start()
            first = zsm.offer(document, "R-1")
            until(lambda: "R-1" in zsm.answers, "the answer has come back")
            again = zsm.offer(document, "R-1")
            assert first.raw_receipt == again.raw_receipt
            store = open_store(settings.database_url)
            until(lambda: {s for _, s in store.counts()} == {State.AFGELEVERD}, "all is settled")
            assert sum(store.counts().values()) == 2
            store.close()
        finally:
            process.kill()
        for folder in (landelijk.folder, zsm.folder):
            assert len((folder / "ledger.jsonl").read_text().splitlines()) == 1


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
