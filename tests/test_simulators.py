"""A simulated partner keeps going, and what lies in its folder is whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.setup import make_directory
from gateway.client import Sent
from gateway.core.ids import digest_of
from gateway.errors import PartnerUnavailable
from gateway.ports import Receipt, Unsealed
from gateway.settings import Settings, load
from gateway.simulators.national import National

QUESTION = b"""{
    "id": "V-1", "type": "nl.zvh.bekendheidsverzoek.v1", "data": {
        "verzoek": {"identificatie": "VVZ-1", "persoon": {"bsn": "999990342"}},
        "afzender": {"organisatie": "A"}, "ontvanger": {"organisatie": "B"}
    }
}"""


class Gateway:
    """Takes everything, or is away."""

    def __init__(self) -> None:
        self.away, self.taken = False, list[bytes]()

    def receipt(self, *told: str) -> bytes:
        return " ".join(told).encode()

    def send(self, document: bytes, **_: str) -> Sent:
        if self.away:
            raise PartnerUnavailable
        self.taken.append(document)
        return Sent(b"", Receipt("", "", "", "", "", ""), b"receipt", "")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("simulators") / "zvh"
    make_directory(folder)
    return load(folder)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def landelijk(settings: Settings, gateway: Gateway, tmp_path: Path) -> Iterator[National]:
    made = settings.model_copy(update={"directory": tmp_path})
    for name in ("pki", "keys"):
        (tmp_path / name).symlink_to(settings.directory / name)
    found = National(made)
    found.client.close()
    found.client = gateway  # type: ignore[assignment]
    yield found


def unsealed(partner: National, id: str, document: bytes) -> Unsealed:
    envelope: dict[str, Any] = {"id": id, "aud": partner.partner.oin}
    return Unsealed(partner.gateway, envelope, b"", document, digest_of(document))


def test_one_odd_document_holds_up_no_other_and_is_told_once(
    landelijk: National, gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    for id, document in (("1", b""), ("2", b"[]"), ("3", QUESTION)):
        landelijk.receive(unsealed(landelijk, id, document))

    for _ in range(3):
        landelijk.step()

    assert 1 == len(gateway.taken)
    told = capsys.readouterr().err
    assert [told.count(f"landelijk: {id}\n") for id in "123"] == [1, 1, 0], "once in three rounds"


def test_what_waits_for_the_gateway_is_answered_later_and_once(
    landelijk: National, gateway: Gateway
) -> None:
    landelijk.receive(unsealed(landelijk, "1", QUESTION))
    gateway.away = True
    with pytest.raises(PartnerUnavailable):
        landelijk.step()
    gateway.away = False
    landelijk.step()
    landelijk.step()

    assert 1 == len(gateway.taken)


def test_a_repeat_gets_the_same_receipt_and_folders_hold_whole_files(landelijk: National) -> None:
    message = unsealed(landelijk, "1", QUESTION)

    assert landelijk.receive(message) == landelijk.receive(message)
    found = {path.name for path in (landelijk.folder / "received").iterdir()}
    assert {"1.document", "1.envelope", "1.receipt"} == found


def test_the_thread_survives_a_round_that_fails(
    landelijk: National, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[int] = []

    def step() -> None:
        rounds.append(len(rounds))
        if len(rounds) > 2:
            landelijk._stopping.set()
        raise ValueError("odd")

    monkeypatch.setattr(landelijk, "step", step)
    landelijk._loop()

    assert [0, 1, 2] == rounds
