"""Dying between any two steps loses nothing and doubles nothing."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.ports import State

from .world import World


class Crash(BaseException):
    """The process is gone: nobody catches this."""


class Fuse:
    """Burns at the n-th call through any of its proxies, before or after the call is made."""

    def __init__(self, left: int, *, after: bool) -> None:
        self.left = left
        self.after = after

    def around(self, target: Any) -> Any:
        fuse = self

        class Proxy:
            def __getattr__(self, name: str) -> Any:
                real = getattr(target, name)

                def call(*args: Any, **kwargs: Any) -> Any:
                    fuse.left -= 1
                    if fuse.left == 0 and not fuse.after:
                        raise Crash
                    result = real(*args, **kwargs)
                    if fuse.left == 0:
                        raise Crash
                    return result

                return call

        return Proxy()

    def through(self, world: World) -> None:
        world.wire_up(
            store=self.around(world.store),
            sealer=self.around(world.sealer),
            vault=self.around(world.vault),
            transport=self.around(world.wire),
        )


@pytest.mark.parametrize("after", [False, True])
def test_dying_anywhere_in_accept_loses_and_doubles_nothing(world: World, after: bool) -> None:
    for step in range(1, 100):
        event = world.question(zaak=f"zaak-{step}")
        fuse = Fuse(step, after=after)
        fuse.through(world)
        try:
            world.send(event)
        except Crash:
            world.wire_up()
            repeat, again = world.send(event), world.send(event)
            assert repeat.error is None
            assert again.duplicate
            assert again.receipt == repeat.receipt
            assert len(world.store.find(event["id"])) == 1
            assert len(world.store.deliveries_of(repeat.internal_id or "")) == 1
        else:
            assert fuse.left > 0
            assert step > 8
            return
    pytest.fail("accept never came to its end")


@pytest.mark.parametrize("after", [False, True])
def test_dying_anywhere_in_deliver_still_delivers_once(world: World, after: bool) -> None:
    for step in range(1, 100):
        world.wire_up()
        delivery = world.delivery(world.send(world.question(zaak=f"zaak-{step}")))
        fuse = Fuse(step, after=after)
        fuse.through(world)
        try:
            world.run()
        except Crash:
            world.wire_up()
            world.clock.forward(seconds=301)  # the lease of the dead ends
            world.run()
            died = True
        else:
            died = False
        assert world.delivery_by_id(delivery.id).state is State.AFGELEVERD
        assert len(world.wire.ledger) == step  # the receiver took each in once
        if not died:
            assert step > 8
            return
    pytest.fail("deliver never came to its end")
