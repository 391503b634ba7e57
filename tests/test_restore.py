"""A backup that is put back: everything goes on, and nobody gets anything twice."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.bootstrap import build
from gateway.errors import Misconfigured
from gateway.ports import State
from gateway.simulators.national import National
from gateway.simulators.zsm import JAN, Zsm
from gateway.store import open_store

from .process import Process, made, until


def test_what_was_backed_up_arrives_after_a_restore_and_once(tmp_path: Path) -> None:
    """As docs/deployment.md says: the database first, then the keys; put back in a new place."""
    settings = made(tmp_path / "w")
    old, process = settings.directory, Process(settings)
    with Zsm(settings) as zsm:
        process.start()
        try:
            with National(settings) as landelijk:
                zsm.offer(_question(zsm, "delivered"), "delivered")
                until(lambda: "delivered" in zsm.answers, "the first is answered")
            first = zsm.offer(_question(zsm, "waits"), "waits")  # nobody takes it now
            backup = tmp_path / "backup"
            backup.mkdir()
            with (
                closing(sqlite3.connect(old / "gateway.db")) as live,
                closing(sqlite3.connect(backup / "gateway.db")) as copy,
            ):
                live.backup(copy)
            shutil.copytree(old / "keys", backup / "keys")
            shutil.copytree(old / "pki", backup / "pki")
            shutil.copy(old / "gateway.toml", backup)
        finally:
            process.kill()
        for name in ("gateway.db", "gateway.db-wal", "gateway.db-shm"):
            (old / name).unlink(missing_ok=True)  # the disk is lost
        shutil.rmtree(old / "keys")
        for name in ("gateway.db", "keys"):
            shutil.move(backup / name, old / name)
        process.start()
        try:
            with landelijk.__class__(settings):
                again = zsm.offer((zsm.folder / "sent" / "waits.document").read_bytes(), "waits")
                assert again.raw_receipt == first.raw_receipt
                until(lambda: "waits" in zsm.answers, "what waited is answered")
                with closing(open_store(settings.database_url)) as store:
                    until(lambda: {s for _, s in store.counts()} == {State.AFGELEVERD}, "settled")
        finally:
            process.kill()
        lines = (landelijk.folder / "ledger.jsonl").read_text().splitlines()
        assert len(lines) == 2


def test_another_key_folder_than_that_of_the_database_stops_the_start(tmp_path: Path) -> None:
    """A second node with keys of its own would let deliveries die; it must not start."""
    settings = made(tmp_path / "w")
    process = Process(settings)
    with Zsm(settings) as zsm:
        process.start()
        try:
            zsm.offer(_question(zsm, "one"), "one")
        finally:
            process.kill()
    shutil.rmtree(settings.directory / "keys" / "bodies")
    with pytest.raises(Misconfigured, match="body-keys"), build(settings):
        pass


def _question(zsm: Zsm, reference: str) -> bytes:
    document = zsm.question(JAN, reference=reference, case=f"ZAAK-{reference}")
    (zsm.folder / "sent" / f"{reference}.document").write_bytes(document)
    return document
