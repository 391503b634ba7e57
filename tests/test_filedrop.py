"""Folders instead of HTTP: whole files, receipts both ways, and no double after a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from adapters.gcos import GCOS_1, GCOS_CSV_1
from adapters.national import ADAPTER as NATIONAL
from gateway import errors, filedrop, ports
from gateway.bus import Address, open_bus
from gateway.errors import Misconfigured
from gateway.filedrop import FileDrop
from gateway.model import schrijf
from gateway.model.partner import Partner
from gateway.ports import Dialect, Outcome, State
from gateway.worker import Worker

from .gcos import EXAMPLES
from .test_dying import Crash, Fuse
from .test_worker import eventually
from .world import HOUSE, SELF, World


@pytest.fixture
def gcos(world: World) -> Partner:
    """A partner with a folder, that asks and is asked; nobody else answers."""
    del world.partners["landelijk"]
    both = frozenset({"bekendheidsverzoek", "bekendheidsuitslag"})
    world.partners["gcos"] = replace(
        world.partner("gcos"),
        houses=frozenset({HOUSE}),
        transport="map",
        sends=both,
        receives=both,
    )
    return world.partner("gcos")


@pytest.fixture
def drop(world: World, gcos: Partner, tmp_path: Path) -> FileDrop:
    return watcher(world, tmp_path)


def watcher(world: World, path: Path) -> FileDrop:
    gcos = world.partner("gcos")
    return FileDrop(world.acceptor, world.postbus, [gcos], path / "bestanden")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "bestanden" / "gcos"


def answer(world: World, **changes: Any) -> bytes:
    """What gcos answers to a question that it was asked."""
    question = world.question()
    world.send(question)
    event = world.answer(question["id"], **changes)
    event["source"] = f"urn:nld:oin:{world.partner('gcos').oin}:systeem:gcos"
    event["data"]["afzender"]["organisatie"] = world.partner("gcos").oin
    return orjson.dumps(event)


def put(home: Path, name: str, document: bytes, where: str = "in") -> Path:
    """As a partner does: written elsewhere, visible at once."""
    hidden = home / where / f"{name}.tmp"
    hidden.write_bytes(document)
    return hidden.rename(home / where / name)


def listed(home: Path, where: str) -> list[str]:
    return sorted(name for name in os.listdir(home / where) if name != "opgehaald")


# --- inward ---------------------------------------------------------------------------------------


def test_a_file_is_accepted_and_answered_with_a_receipt(
    world: World, drop: FileDrop, home: Path
) -> None:
    document = answer(world)
    put(home, "antwoord.json", document)
    assert drop.watch() == filedrop.POLL_S

    assert [] == listed(home, "in") == listed(home, ".bezig")
    assert ["antwoord.json", "antwoord.json.ontvangstbewijs"] == listed(home, "verwerkt")
    assert document == (home / "verwerkt" / "antwoord.json").read_bytes()
    event_id = orjson.loads(document)["id"]
    (message,) = world.store.find(event_id)
    kept = (home / "verwerkt" / "antwoord.json.ontvangstbewijs").read_bytes()
    assert world.store.receipt_of(message.id) == kept
    receipt = world.sealer_of("gcos").verify_receipt(kept, partner=SELF, now=world.clock.now())
    assert (event_id, "geaccepteerd", world.partner("gcos").oin) == (
        *(receipt.id, receipt.outcome),
        receipt.audience,
    )
    (delivery,) = world.store.deliveries_of(message.id)
    world.run()
    assert world.delivery_by_id(delivery.id).state is State.AFGELEVERD
    assert "zsm" == delivery.receiver


def test_what_the_gateway_witnessed_is_kept_in_place_of_a_signature(
    world: World, drop: FileDrop, home: Path
) -> None:
    document = answer(world)
    put(home, "a.json", document)
    drop.watch()
    (message,) = world.store.find(orjson.loads(document)["id"])
    (delivery,) = world.store.deliveries_of(message.id)
    bodies = world.store.bodies(delivery.id)
    key = world.vault.unwrap(bodies.wrapped_key, message.destroy_by)
    jws = world.vault.open(key, bodies.sealed_jws, context=f"{message.id}:jws")

    said = orjson.loads(world.sealer.verify_own(jws))
    assert ("gcos", message.message_id, message.digest) == (said["map"], said["id"], said["digest"])


def test_a_refused_file_says_what_to_change_and_no_value(
    world: World, drop: FileDrop, home: Path
) -> None:
    event = orjson.loads(answer(world))
    event["data"]["uitslagen"][0]["persoon"] = {"bsn": "999990343", "geslachtsnaam": "Testpersoon"}
    put(home, "fout.json", orjson.dumps(event))
    drop.watch()

    names = ["fout.json", "fout.json.ontvangstbewijs", "fout.json.reden.txt"]
    assert names == listed(home, "geweigerd")
    assert [] == listed(home, "verwerkt") == listed(home, "in")
    reason = (home / "geweigerd" / names[2]).read_text("utf-8")
    assert "bsn-ongeldig" in reason and "elfproef" in reason
    assert "Plaats: data.uitslagen.0.persoon.bsn" in reason
    assert "999990343" not in reason and "Testpersoon" not in reason


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", "bericht-leeg"),
        (b" \n", "bericht-leeg"),
        (b"zomaar wat", "document-onbekend"),
        (b"{", "document-ongeldig"),
    ],
)
def test_a_file_that_is_no_document_is_refused(
    drop: FileDrop, home: Path, document: bytes, code: str
) -> None:
    put(home, "x.json", document)
    drop.watch()
    assert f"Code: {code}" in (home / "geweigerd" / "x.json.reden.txt").read_text("utf-8")


def test_a_file_that_is_too_large_is_refused_without_being_read_whole(
    drop: FileDrop, home: Path
) -> None:
    with (home / "in" / "groot.json").open("wb") as file:
        file.truncate(ports.MAX_DOCUMENT * 4)  # sparse
    drop.watch()
    assert "bericht-te-groot" in (home / "geweigerd" / "groot.json.reden.txt").read_text("utf-8")


def test_a_partner_may_send_only_what_was_agreed(world: World, drop: FileDrop, home: Path) -> None:
    document = answer(world)
    world.partners["gcos"] = replace(world.partner("gcos"), sends=frozenset())
    drop = FileDrop(world.acceptor, world.postbus, [world.partner("gcos")], home.parent)
    put(home, "a.json", document)
    drop.watch()
    assert "niet-toegestaan" in (home / "geweigerd" / "a.json.reden.txt").read_text("utf-8")


def test_unfinished_files_links_and_folders_are_left_alone(
    world: World, drop: FileDrop, home: Path
) -> None:
    document = answer(world)
    for name in (".verborgen", "half.tmp", "half.part"):
        (home / "in" / name).write_bytes(document)
    (home / "in" / "map").mkdir()
    (home / "in" / "link.json").symlink_to("/etc/passwd")
    os.mkfifo(home / "in" / "pijp.json")
    drop.watch()

    assert [] == listed(home, "verwerkt") == listed(home, "geweigerd")
    assert 6 == len(listed(home, "in"))


def test_the_same_file_again_gets_the_same_receipt(
    world: World, drop: FileDrop, home: Path
) -> None:
    document = answer(world)
    for name in ("a.json", "b.json", "a.json"):
        put(home, name, document)
        drop.watch()

    receipts = [name for name in listed(home, "verwerkt") if name.endswith("bewijs")]
    assert 3 == len(receipts)  # an earlier file of the same name is not overwritten
    assert 1 == len({(home / "verwerkt" / name).read_bytes() for name in receipts})
    assert 1 == len(world.store.find(orjson.loads(document)["id"]))


def test_another_document_under_a_used_id_is_refused(
    world: World, drop: FileDrop, home: Path
) -> None:
    document = answer(world)
    put(home, "a.json", document)
    put(home, "b.json", document + b" ")
    drop.watch()
    assert "id-hergebruikt" in (home / "geweigerd" / "b.json.reden.txt").read_text("utf-8")


@pytest.mark.parametrize("name", ["a b'\"$(x);.json", "é" * 120 + ".json", "..json", "\n.json"])
def test_any_file_name_is_only_a_name(world: World, drop: FileDrop, home: Path, name: str) -> None:
    if name.startswith("."):
        name = "x" + name
    put(home, name, answer(world))
    drop.watch()
    assert 2 == len(listed(home, "verwerkt"))
    assert [] == listed(home, "in")


def test_files_are_taken_in_the_order_they_came(world: World, drop: FileDrop, home: Path) -> None:
    for number, name in enumerate(("c", "a", "b")):
        file = put(home, f"{name}.json", answer(world, id=f"antwoord-{name}"))
        os.utime(file, ns=(number * 10**9, number * 10**9))
    with capture_logs() as logs:
        drop.watch()
    accepted = [entry["message"] for entry in logs if entry["event"] == "message_accepted"]
    assert [world.store.find(f"antwoord-{name}")[0].id for name in ("c", "a", "b")] == accepted
    assert 6 == len(listed(home, "verwerkt"))


def test_a_file_put_in_place_of_another_while_that_is_handled_is_not_lost(
    world: World, drop: FileDrop, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = answer(world), answer(world)
    put(home, "a.json", first)
    real = filedrop.Folder.read

    def slow(folder: filedrop.Folder, where: str, name: str) -> bytes:
        found = real(folder, where, name)
        if found == first:
            put(home, "a.json", second)
        return found

    monkeypatch.setattr(filedrop.Folder, "read", slow)
    drop.watch()
    drop.watch()
    kept = {(home / "verwerkt" / name).read_bytes() for name in listed(home, "verwerkt")}
    assert {first, second} <= kept


def test_a_store_that_is_away_leaves_the_file_where_it_can_be_taken_again(
    world: World, drop: FileDrop, home: Path, tmp_path: Path
) -> None:
    class Away:
        def __getattr__(self, name: str) -> Any:
            raise errors.StoreUnavailable()

    put(home, "a.json", answer(world))
    world.wire_up(store=Away())
    with pytest.raises(errors.StoreUnavailable):
        watcher(world, tmp_path).watch()
    assert ["a.json"] == listed(home, ".bezig")
    world.wire_up()
    watcher(world, tmp_path).watch()
    assert 2 == len(listed(home, "verwerkt"))


# --- outward --------------------------------------------------------------------------------------


def asked(world: World, **changes: Any) -> str:
    """A question for gcos, rendered and lying ready; the id of its delivery."""
    delivery = world.delivery(world.send(world.question(**changes)))
    world.run()
    return delivery.id


def test_a_delivery_lies_whole_in_uit_until_it_is_taken(
    world: World, drop: FileDrop, home: Path
) -> None:
    delivery = asked(world)
    drop.watch()
    drop.watch()
    (name,) = listed(home, "uit")
    assert f"{delivery}.json" == name
    assert "vraag" in orjson.loads((home / "uit" / name).read_bytes())["id"]
    assert world.delivery_by_id(delivery).state is State.ONDERWEG

    (home / "uit" / name).rename(home / "uit" / "opgehaald" / name)
    drop.watch()
    assert world.delivery_by_id(delivery).state is State.AFGELEVERD
    assert [] == listed(home, "uit")
    attempt = world.store.attempts_of(delivery)[-1]
    proof = world.sealer_of("gcos").verify_receipt(
        attempt["receipt"], partner=SELF, now=world.clock.now()
    )
    assert (delivery, "geaccepteerd") == (proof.id, proof.outcome)


def test_what_was_changed_is_not_what_was_delivered(
    world: World, drop: FileDrop, home: Path
) -> None:
    delivery = asked(world)
    drop.watch()
    (name,) = listed(home, "uit")
    (home / "uit" / name).unlink()
    put(home, name, b"{}", "uit/opgehaald")
    drop.watch()
    assert world.delivery_by_id(delivery).state is State.ONDERWEG


def test_the_next_of_a_casus_waits_until_the_first_is_taken(
    world: World, drop: FileDrop, home: Path
) -> None:
    first, second = asked(world, zaak="z"), asked(world, zaak="z")
    drop.watch()
    assert [f"{first}.json"] == listed(home, "uit")
    (home / "uit" / f"{first}.json").rename(home / "uit" / "opgehaald" / f"{first}.json")
    drop.watch()
    world.run()
    drop.watch()
    assert [f"{second}.json"] == listed(home, "uit")


def test_what_is_not_fetched_in_time_needs_a_person_and_still_counts_when_taken(
    world: World, drop: FileDrop, home: Path
) -> None:
    delivery = asked(world)
    drop.watch()
    world.clock.forward(hours=73)
    world.deliverer.expire()
    assert world.delivery_by_id(delivery).state is State.DOOD
    drop.watch()
    assert [f"{delivery}.json"] == listed(home, "uit")
    world.store.requeue(delivery, actor="test", now=world.clock.now())
    world.run()
    (home / "uit" / f"{delivery}.json").rename(home / "uit" / "opgehaald" / f"{delivery}.json")
    drop.watch()
    assert world.delivery_by_id(delivery).state is State.AFGELEVERD


def test_what_was_withdrawn_meanwhile_is_taken_away(
    world: World, drop: FileDrop, home: Path
) -> None:
    delivery = asked(world)
    drop.watch()
    assert [f"{delivery}.json"] == listed(home, "uit")
    gone = Outcome(State.INGETROKKEN, "De afzender trok het in.")
    world.store.settle(delivery, gone, now=world.clock.now())
    drop.watch()
    assert [] == listed(home, "uit")


def test_a_file_of_the_partner_in_uit_is_left_alone(
    world: World, drop: FileDrop, home: Path
) -> None:
    put(home, "notitie.txt", b"van ons", "uit")
    drop.watch()
    assert ["notitie.txt"] == listed(home, "uit")


# --- a casus, as GCOS writes it ------------------------------------------------------------------


@pytest.fixture
def migrating(world: World, tmp_path: Path) -> FileDrop:
    """GCOS hands in a casus by its folder and gets the changes of the national system there."""
    casus = frozenset({"casus", "bekendheidsverzoek"})
    for name, role, dialect, how in (
        ("gcos", "gcos", {"casus": "gcos-csv/1", "*": "gcos/1.0"}, "map"),
        ("landelijk", "landelijk", {"*": "landelijk/1.0"}, "push"),
    ):
        world.partners[name] = replace(
            world.partner(name),
            role=role,
            dialects=dialect,
            transport=how,
            sends=casus,
            receives=casus,
            houses=frozenset({HOUSE}),
        )
    spoken: tuple[Dialect, ...] = (GCOS_1, GCOS_CSV_1, *NATIONAL.dialects)
    dialects = {one.name: one for one in spoken}
    world.wire_up(dialects={**dialects, world.adapter.name: world.adapter})
    return watcher(world, tmp_path)


@pytest.mark.parametrize("dialect", ["gcos/1.0", "gcos-csv/1"])
def test_a_casus_in_either_form_reaches_the_national_system(
    world: World, migrating: FileDrop, home: Path, dialect: str
) -> None:
    document = (EXAMPLES / "casus.xml").read_bytes().replace(b"zvh-debaronie", HOUSE.encode())
    sent = GCOS_1.parse(document).bericht
    if dialect == "gcos-csv/1":
        document = GCOS_CSV_1.render(sent).document
    put(home, "BAR-2024-0815.zip", document)
    migrating.watch()
    world.run()

    assert [] == listed(home, "geweigerd")
    (message,) = world.store.find(sent.id)
    (delivery,) = world.store.deliveries_of(message.id)
    assert (dialect, "casus", "landelijk") == (message.dialect, message.kind, delivery.receiver)
    assert delivery.state is State.AFGELEVERD
    assert () == delivery.loss == message.loss == delivery.removed
    bodies = world.store.bodies(delivery.id)
    key = world.vault.unwrap(bodies.wrapped_key, message.destroy_by)
    arrived = world.vault.open(
        key, bodies.sealed_rendered or b"", context=f"{message.id}:{delivery.id}"
    )
    assert schrijf(sent)["data"] == orjson.loads(arrived)["data"]


def test_a_casus_of_the_national_system_comes_out_as_a_zip(
    world: World, migrating: FileDrop, home: Path
) -> None:
    text = (EXAMPLES / "casus-isd.xml").read_bytes().replace(b"zvh-debaronie", HOUSE.encode())
    event = schrijf(GCOS_1.parse(text).bericht)
    event["data"]["afzender"]["organisatie"] = world.partner("landelijk").oin
    event["source"] = f"urn:nld:oin:{world.partner('landelijk').oin}:systeem:landelijk"
    accepted = world.send(event, sender="landelijk")
    delivery = world.delivery(accepted)
    world.run()
    migrating.watch()

    (name,) = listed(home, "uit")
    assert f"{delivery.id}.zip" == name
    found = GCOS_CSV_1.parse((home / "uit" / name).read_bytes()).bericht
    assert event["data"] == schrijf(found)["data"]


# --- several, and the worker ----------------------------------------------------------------------


def test_two_processes_do_not_watch_one_folder_at_a_time(
    world: World, drop: FileDrop, home: Path
) -> None:
    put(home, "a.json", answer(world))
    code = "import fcntl,sys; f=open(sys.argv[1],'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    (home / ".slot").touch()
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home / ".slot")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout and other.stdout.readline()
        drop.watch()
        assert ["a.json"] == listed(home, "in")
        other.kill()  # the lock goes with it
    drop.watch()
    assert [] == listed(home, "in")


def test_a_folder_that_is_gone_does_not_stop_another(
    world: World, gcos: Partner, tmp_path: Path
) -> None:
    broken = replace(gcos, name="kapot", systeem="kapot")
    drop = FileDrop(world.acceptor, world.postbus, [broken, gcos], tmp_path)
    (tmp_path / "kapot").rename(tmp_path / "weg")
    put(tmp_path / "gcos", "a.json", answer(world))
    with pytest.raises(FileNotFoundError):
        drop.watch()  # the worker pauses longer, and tells
    assert 2 == len(listed(tmp_path / "gcos", "verwerkt"))


def test_a_folder_that_cannot_be_made_stops_the_start(
    world: World, gcos: Partner, tmp_path: Path
) -> None:
    (tmp_path / "bestanden").write_text("geen map")
    with pytest.raises(Misconfigured):
        watcher(world, tmp_path)


def test_the_worker_watches(world: World, drop: FileDrop, home: Path) -> None:
    bus = open_bus(Address("table", ()), source=world.deliverer)
    worker = Worker(bus, world.deliverer, threads=1, also=[drop.watch])
    put(home, "a.json", answer(world))
    worker.start()
    try:
        eventually(lambda: bool(world.wire.ledger) and len(listed(home, "verwerkt")) == 2)
    finally:
        worker.stop()
        bus.close()


# --- dying ----------------------------------------------------------------------------------------


class Disk:
    """The module `os`, of which every call may be the last."""

    def __init__(self, fuse: Fuse) -> None:
        self._calls = fuse.around(os)

    def __getattr__(self, name: str) -> Any:
        found = getattr(os, name)
        burns = callable(found) and name not in ("close", "makedirs", "fsencode", "scandir")
        return getattr(self._calls, name) if burns else found


def dying(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    path: Path,
    fuse: Fuse,
) -> bool:
    """A round that may die; whether it did."""
    fuse.through(world)
    monkeypatch.setattr(filedrop, "os", Disk(fuse))
    try:
        watcher(world, path).watch()
    except Crash:
        return True
    finally:
        monkeypatch.setattr(filedrop, "os", os)
        world.wire_up()
    return False


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("good", [True, False])
def test_dying_anywhere_while_taking_in_loses_and_doubles_nothing(
    world: World,
    drop: FileDrop,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: bool,
    good: bool,
) -> None:
    where, files = ("verwerkt", 2) if good else ("geweigerd", 3)
    for step in range(1, 200):
        document = answer(world, id=f"antwoord-{step}")
        put(home, f"{step}.json", document if good else document.replace(b'"bekend"', b'"onb"'))
        died = dying(world, monkeypatch, tmp_path, Fuse(step, after=after))
        watcher(world, tmp_path).watch()

        mine = [name for name in listed(home, where) if name.split(".")[0] == str(step)]
        assert files == len(mine)
        assert [] == listed(home, "in") == listed(home, ".bezig")
        assert len(world.store.find(f"antwoord-{step}")) == int(good)
        if good:
            (message,) = world.store.find(f"antwoord-{step}")
            kept = (home / where / f"{step}.json.ontvangstbewijs").read_bytes()
            assert world.store.receipt_of(message.id) == kept
        if not died:
            assert step > 15
            return
    pytest.fail("it never came to its end")


@pytest.mark.parametrize("after", [False, True])
def test_dying_anywhere_while_giving_out_delivers_once(
    world: World,
    drop: FileDrop,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: bool,
) -> None:
    taken: list[bytes] = []

    def fetch() -> None:
        """The partner takes what it finds, at any moment."""
        for name in listed(home, "uit"):
            if not name.startswith("."):
                taken.append((home / "uit" / name).read_bytes())
                (home / "uit" / name).rename(home / "uit" / "opgehaald" / name)

    for step in range(1, 200):
        delivery = asked(world, zaak=f"zaak-{step}")
        died = dying(world, monkeypatch, tmp_path, Fuse(step, after=after))
        fetch()
        died |= dying(world, monkeypatch, tmp_path, Fuse(step, after=after))
        for _ in range(2):
            watcher(world, tmp_path).watch()
            fetch()
        watcher(world, tmp_path).watch()

        assert world.delivery_by_id(delivery).state is State.AFGELEVERD
        assert step == len(taken) == len(set(taken))
        if not died:
            assert step > 8
            return
    pytest.fail("it never came to its end")
