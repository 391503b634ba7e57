"""What a partner fetches itself: only its own, as often as it likes, and confirmed once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway import errors
from gateway.core.ids import new_id
from gateway.model.partner import Partner
from gateway.ports import State

from .world import HOUSE, World


@pytest.fixture
def gcos(world: World) -> Partner:
    """The partner that pulls, and it alone receives."""
    del world.partners["landelijk"]
    world.partners["gcos"] = replace(world.partner("gcos"), houses=frozenset({HOUSE}))
    return world.partner("gcos")


def fetched(world: World, partner: Partner, delivery_id: str) -> bytes:
    """A receipt for what was fetched, as an honest partner makes it."""
    sealer = world.sealer_of(partner.name)
    sealed = world.postbus.fetch(partner, delivery_id)
    opened = sealer.open(sealed, now=world.clock.now())
    assert opened.envelope["id"] == delivery_id
    return sealer.sign_receipt(world.wire.receipt(partner, delivery_id, opened.digest))


def test_what_lies_in_the_postbus_is_fetched_and_confirmed(world: World, gcos: Partner) -> None:
    accepted = world.send()
    assert [outcome.state for outcome in world.run()] == [State.ONDERWEG]
    (lying,) = world.postbus.list(gcos, limit=10)
    receipt = fetched(world, gcos, lying.id)
    assert fetched(world, gcos, lying.id)  # as often as it likes
    assert world.postbus.confirm(gcos, lying.id, receipt) is State.AFGELEVERD
    assert world.postbus.confirm(gcos, lying.id, receipt) is State.AFGELEVERD
    assert world.delivery(accepted).state is State.AFGELEVERD
    assert len(world.store.attempts_of(lying.id)) == 2
    assert world.postbus.list(gcos, limit=10) == []
    with pytest.raises(errors.NotFound):
        world.postbus.fetch(gcos, lying.id)


def test_a_partner_can_refuse_what_it_fetched(world: World, gcos: Partner) -> None:
    accepted = world.send()
    world.run()
    (lying,) = world.postbus.list(gcos, limit=10)
    refusal = world.wire.receipt(gcos, lying.id, lying.digest, code="bsn-ongeldig")
    token = world.sealer_of("gcos").sign_receipt(refusal)
    assert world.postbus.confirm(gcos, lying.id, token) is State.DOOD
    assert world.postbus.confirm(gcos, lying.id, token) is State.DOOD
    assert "bsn-ongeldig" in world.delivery(accepted).reason


def test_a_confirmation_that_proves_nothing_is_refused(world: World, gcos: Partner) -> None:
    accepted = world.send()
    world.run()
    (lying,) = world.postbus.list(gcos, limit=10)
    wrong = world.wire.receipt(gcos, lying.id, "een-ander-document")
    for token in (b"", b"x", world.sealer_of("gcos").sign_receipt(wrong)):
        with pytest.raises(errors.BadRequest):
            world.postbus.confirm(gcos, lying.id, token)
    assert world.delivery(accepted).state is State.ONDERWEG


def test_a_delivery_of_another_does_not_exist(world: World, gcos: Partner) -> None:
    world.send()
    world.run()
    (lying,) = world.postbus.list(gcos, limit=10)
    stranger = world.partner("dji")
    assert world.postbus.list(stranger, limit=10) == []
    for partner, delivery_id in ((stranger, lying.id), (gcos, new_id(world.clock.now()))):
        with pytest.raises(errors.NotFound):
            world.postbus.fetch(partner, delivery_id)
        with pytest.raises(errors.NotFound):
            world.postbus.confirm(partner, delivery_id, b"")


def test_what_is_not_fetched_in_time_is_dead_and_proof_still_counts(
    world: World, gcos: Partner
) -> None:
    accepted = world.send()
    world.run()
    (lying,) = world.postbus.list(gcos, limit=10)
    receipt = fetched(world, gcos, lying.id)
    world.clock.forward(hours=73)
    assert world.store.expire(now=world.clock.now()) == [lying.id]
    assert world.delivery(accepted).state is State.DOOD
    assert world.postbus.confirm(gcos, lying.id, receipt) is State.AFGELEVERD
