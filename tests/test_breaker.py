"""A partner that fails is left alone, and gets everything, in order, when it is back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway import errors
from gateway.core.breaker import LONGEST_S, THRESHOLD
from gateway.core.deliver import MAX_BEGUN
from gateway.core.retry import QUICK_TRIES
from gateway.ports import Answer, State, Taken

from .world import World


@pytest.fixture(autouse=True)
def gps_receives(world: World) -> None:
    """A second partner that is pushed to: questions go to both."""
    gps = replace(world.partners["landelijk"], name="gps", oin=world.partners["gps"].oin)
    world.partners["gps"] = replace(gps, systeem="gps", url="https://localhost/gps")
    world.wire_up()


def _ask(world: World, count: int) -> None:
    for number in range(count):
        world.send(world.question(id=f"{number:03}", zaak=f"zaak-{number % 10}"))


def _pushed(world: World) -> int:
    return len(world.wire.digests)


def test_a_partner_that_is_down_is_tried_by_a_few_and_not_by_all(world: World) -> None:
    _ask(world, 50)
    world.wire.down = {"landelijk"}
    world.run()
    assert {name for name, _ in world.wire.ledger} == {"gps"}
    assert len(world.wire.ledger) == 50
    assert _pushed(world) == 50 + THRESHOLD * QUICK_TRIES
    assert world.store.counts()["landelijk", State.KLAAR] == 10 - THRESHOLD


def test_what_comes_in_meanwhile_waits_without_a_try(world: World) -> None:
    world.wire.down = {"landelijk"}
    _ask(world, THRESHOLD)
    world.run()
    before = _pushed(world)
    world.send(world.question(id="later", zaak="zaak-later"))
    world.run()
    assert _pushed(world) == before + 1  # to the other partner
    (waits,) = [d for d in world.store.deliveries(state=State.KLAAR, limit=9)]
    assert (waits.receiver, waits.attempts) == ("landelijk", 0)


def test_a_day_of_absence_costs_a_probe_now_and_then_and_all_arrives_in_order(world: World) -> None:
    world.wire.down = {"landelijk"}
    _ask(world, 60)
    for _ in range(24 * 12):
        world.run()
        world.clock.forward(seconds=LONGEST_S + 1)
    tries = _pushed(world) - 60
    assert tries <= (THRESHOLD + 24 * 12 + 5) * QUICK_TRIES

    world.wire.down = set()
    world.run()
    before = _pushed(world)
    world.clock.forward(seconds=LONGEST_S + 1)
    world.run()
    arrived = [id for name, id in world.wire.ledger if name == "landelijk"]
    assert len(arrived) == 60
    assert _pushed(world) <= before + 60  # each once: nobody tries again what arrived
    for zaak in range(10):
        ids = [world.delivery_by_id(id).message.message_id for id in arrived]
        of = [id for id in ids if int(id) % 10 == zaak]
        assert sorted(of) == of
    assert world.store.standings().get("landelijk") is None


def test_what_failed_goes_at_once_when_its_partner_is_back(world: World) -> None:
    """Its own next try may lie hours ahead."""
    world.wire.down = {"landelijk"}
    _ask(world, THRESHOLD)
    for _ in range(15):
        world.run()
        world.clock.forward(seconds=LONGEST_S + 1)
    waits = world.store.deliveries(state=State.WACHT, limit=9)
    assert any(d.due and (d.due - world.clock.now()).total_seconds() > 60 for d in waits)
    world.wire.down = set()
    world.run()
    world.run()
    assert ("landelijk", State.AFGELEVERD) in world.store.counts()
    assert ("landelijk", State.WACHT) not in world.store.counts()


def test_one_message_that_its_receiver_cannot_take_does_not_close_the_way_for_others(
    world: World,
) -> None:
    """A fault of theirs with one message: the probe is one that failed less."""
    poison = world.delivery_by_id(
        next(
            d.id
            for d in world.store.deliveries_of(world.send(world.question()).internal_id or "")
            if d.receiver == "landelijk"
        )
    )
    for _ in range(THRESHOLD):
        world.wire.script = [Answer(500, b"")] * 99
        world.deliverer.claim(10)
        world.store.renew([poison.id], lease_s=60, now=world.clock.now())
        world.deliverer.deliver(Taken(poison.id, world.deliverer.pack(poison.id), None))
        world.clock.forward(hours=4)
    world.wire.script = []
    standing = world.store.standings().get("landelijk")
    assert standing and standing.failures >= THRESHOLD
    world.send(world.question(id="fine", zaak="zaak-fine"))
    assert "fine" in _probed(world)


def _probed(world: World) -> list[str]:
    claimed = world.deliverer.claim(10)
    return [d.message.message_id for d in map(world.delivery_by_id, claimed) if d.receiver != "gps"]


def test_those_under_way_when_the_circuit_opens_do_not_lengthen_the_pause(world: World) -> None:
    world.wire.down = {"landelijk"}
    _ask(world, 9)
    claimed = world.deliverer.claim(100)
    begun = [
        (id, world.store.begin(id, lease_s=60, now=world.clock.now()))
        for id in claimed
        if world.delivery_by_id(id).receiver == "landelijk"
    ]
    assert {count for _, count in begun} == {1}
    world.run()
    standing = world.store.standings().get("landelijk")
    assert standing is None  # nobody failed yet
    for id, _ in begun:
        world.deliverer.deliver(Taken(id, world.deliverer.pack(id), None))
    standing = world.store.standings().get("landelijk")
    assert standing and standing.failures == THRESHOLD


def test_what_waits_for_a_partner_past_its_deadline_is_dead_without_a_try(world: World) -> None:
    world.wire.down = {"landelijk"}
    _ask(world, THRESHOLD + 3)
    world.run()
    before = _pushed(world)
    world.clock.forward(hours=73)
    world.deliverer.expire()
    dead = world.store.deliveries(state=State.DOOD, limit=99)
    assert len(dead) == THRESHOLD + 3
    assert {d.reason.partition(":")[0] for d in dead} == {"termijn-verstreken"}
    assert _pushed(world) == before


def test_an_answer_that_proves_nothing_counts_as_a_failure(world: World) -> None:
    world.wire.script = [Answer(202, b"nonsense")] * 99
    _ask(world, THRESHOLD)
    world.run()
    standing = world.store.standings().get("landelijk")
    assert standing and standing.reason.startswith("ontvangstbewijs-ongeldig")


def test_a_refusal_shows_that_the_partner_is_there(world: World) -> None:
    world.wire.down = {"landelijk"}
    _ask(world, THRESHOLD - 1)
    world.run()
    world.wire.down = set()
    world.send(world.question(id="refused", zaak="zaak-refused"))
    world.wire.script = [Answer(400, b""), Answer(400, b"")]
    world.run()
    assert world.store.standings().get("landelijk") is None


def test_a_delivery_that_takes_its_worker_down_each_time_is_quarantined(world: World) -> None:
    accepted = world.send()
    (delivery,) = [
        d for d in world.store.deliveries_of(accepted.internal_id or "") if d.receiver == "gps"
    ]
    for _ in range(MAX_BEGUN):
        assert delivery.id in world.deliverer.claim(10)
        assert world.store.begin(delivery.id, lease_s=30, now=world.clock.now())
        world.clock.forward(seconds=31)  # the worker died
    world.run()
    now = world.delivery_by_id(delivery.id)
    assert now.state is State.DOOD
    assert now.reason == f"in-quarantaine: Na {MAX_BEGUN} pogingen was er nog geen uitkomst."
    world.store.requeue(delivery.id, actor="tester", now=world.clock.now())
    world.run()
    assert world.delivery_by_id(delivery.id).state is State.AFGELEVERD


def test_dying_with_a_worker_now_and_then_is_no_quarantine(world: World) -> None:
    world.wire.down = {"gps"}
    accepted = world.send()
    (delivery,) = [
        d for d in world.store.deliveries_of(accepted.internal_id or "") if d.receiver == "gps"
    ]
    for _ in range(MAX_BEGUN):
        for _ in range(2):
            if delivery.id in world.deliverer.claim(10):
                world.store.begin(delivery.id, lease_s=30, now=world.clock.now())
            world.clock.forward(seconds=31)
        world.run()
        world.clock.forward(hours=4)
    assert errors.Quarantined.code not in world.delivery_by_id(delivery.id).reason
