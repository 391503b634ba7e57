"""Bodies at rest: what is destroyed stays destroyed, what is not can be read."""

from __future__ import annotations

import stat
import threading
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import pytest

from gateway.errors import BadSeal, BodyDestroyed, StoreUnavailable
from gateway.security.vault import FileVault

DAY = date(2031, 11, 24)


def test_a_body_comes_back_as_it_was(tmp_path: Path) -> None:
    vault = FileVault(tmp_path / "keys")
    key, wrapped = vault.new_key(DAY)
    sealed = vault.seal(key, b"vertrouwelijk", context="1/document")
    assert b"vertrouwelijk" not in sealed
    later = FileVault(tmp_path / "keys")
    assert later.open(later.unwrap(wrapped, DAY), sealed, context="1/document") == b"vertrouwelijk"


def test_the_same_body_is_never_sealed_alike(tmp_path: Path) -> None:
    vault = FileVault(tmp_path)
    key, _ = vault.new_key(DAY)
    assert vault.seal(key, b"x", context="1") != vault.seal(key, b"x", context="1")


def test_each_message_has_its_own_key(tmp_path: Path) -> None:
    vault = FileVault(tmp_path)
    assert vault.new_key(DAY)[0] != vault.new_key(DAY)[0]


@pytest.mark.parametrize("place", [0, 11, 12, -1])
def test_a_changed_byte_or_another_context_does_not_open(tmp_path: Path, place: int) -> None:
    vault = FileVault(tmp_path)
    key, _ = vault.new_key(DAY)
    sealed = bytearray(vault.seal(key, b"inhoud", context="1/document"))
    with pytest.raises(BadSeal):
        vault.open(key, bytes(sealed), context="1/jws")
    sealed[place] ^= 1
    for broken in (bytes(sealed), b"", bytes(sealed[:9])):
        with pytest.raises(BadSeal):
            vault.open(key, broken, context="1/document")


def test_destroying_a_date_destroys_its_bodies_and_no_other(tmp_path: Path) -> None:
    vault = FileVault(tmp_path)
    _, old = vault.new_key(DAY)
    _, new = vault.new_key(date(2031, 11, 25))
    assert [DAY] == vault.destroy(DAY)
    with pytest.raises(BodyDestroyed):
        vault.unwrap(old, DAY)
    assert 32 == len(vault.unwrap(new, date(2031, 11, 25)))
    assert [] == vault.destroy(DAY)


def test_a_wrapped_key_belongs_to_its_date(tmp_path: Path) -> None:
    vault = FileVault(tmp_path)
    _, wrapped = vault.new_key(DAY)
    vault.new_key(date(2031, 11, 25))
    for bad in (wrapped, wrapped[:-8], b""):
        with pytest.raises(BadSeal):
            vault.unwrap(bad, date(2031, 11, 25))


def test_date_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    FileVault(tmp_path / "keys").new_key(DAY)
    assert [f"{DAY}.key"] == [p.name for p in (tmp_path / "keys").iterdir()]
    assert 0o600 == stat.S_IMODE((tmp_path / "keys" / f"{DAY}.key").stat().st_mode)
    assert 0o700 == stat.S_IMODE((tmp_path / "keys").stat().st_mode)


def test_a_lost_folder_is_transient(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable):
        FileVault(tmp_path / "file").new_key(DAY)


def test_processes_and_threads_that_race_agree_on_the_key(tmp_path: Path) -> None:
    made: list[tuple[bytes, bytes]] = []

    def wrap() -> None:
        made.append(FileVault(tmp_path).new_key(DAY))

    threads = [threading.Thread(target=wrap) for _ in range(4)]
    with ProcessPoolExecutor(3, mp_context=get_context("spawn")) as pool:
        # A method of the product: no process finds these tests beside an installed wheel.
        racing = [pool.submit(FileVault(tmp_path).new_key, DAY) for _ in range(9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        made += [each.result() for each in racing]
    vault = FileVault(tmp_path)
    assert all(key == vault.unwrap(wrapped, DAY) for key, wrapped in made)
    assert len(made) == 13
