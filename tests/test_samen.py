"""One question to two case systems, one answer; what waits for its day; what takes another's place."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.core.accept import Accepted
from gateway.errors import NotExpressible
from gateway.model.envelop import source_of, type_of
from gateway.ports import Rendered, State

from .world import HOUSE, HOUSE_OIN, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """GCOS works for the same house as the national system: both are asked, both answer."""
    world = World(tmp_path)
    both: dict[str, Any] = {
        "houses": frozenset({HOUSE}),
        "transport": "push",
        "url": "https://localhost/gcos",
    }
    world.partners["gcos"] = replace(world.partner("gcos"), **both)
    world.partners["landelijk"] = replace(world.partner("landelijk"), houses=frozenset({HOUSE}))
    return world


def answer(world: World, question: dict[str, Any], sender: str, bekend: bool) -> Accepted:
    partner = world.partner(sender)
    uitslag = {"identificatie": sender, "verzoekidentificatie": "zaak-1", "bekend": bekend}
    event = world.answer(
        question["id"],
        source=source_of(partner.oin, partner.systeem),
    )
    event["data"]["uitslagen"] = [uitslag]
    accepted = world.send(event, sender=sender)
    assert accepted.error is None
    return accepted


def heard(world: World) -> list[list[dict[str, Any]]]:
    """The uitslagen in each answer that ZSM took in."""
    return [
        orjson.loads(document)["data"]["uitslagen"]
        for (partner, _), document in world.wire.documents.items()
        if partner == "zsm"
    ]


def test_the_answers_of_two_systems_arrive_as_one(world: World) -> None:
    question = world.question()
    world.send(question)
    world.run()
    first = answer(world, question, "gcos", bekend=True)
    waits = world.delivery(first)
    world.run()
    assert (waits.state, heard(world)) == (State.WACHT, [])

    second = answer(world, question, "landelijk", bekend=False)
    world.run()

    ((*both,),) = heard(world)
    assert {("gcos", True), ("landelijk", False)} == {
        (u["identificatie"], u["bekend"]) for u in both
    }
    assert all("extra" not in u for u in heard(world)[0])
    assert world.delivery(second).state is State.AFGELEVERD
    world.clock.forward(hours=5)
    world.run()
    assert world.delivery(first).state is State.VERVALLEN
    assert 1 == len(heard(world))


def test_after_the_deadline_a_partial_answer_says_that_it_is_partial(world: World) -> None:
    question = world.question()
    world.send(question)
    world.run()
    answer(world, question, "gcos", bekend=True)
    world.clock.forward(hours=5)
    world.run()

    ((only,),) = heard(world)
    assert ("gcos", True) == (only["identificatie"], only["bekend"])
    assert [{"naam": "deelantwoord", "waarde": "ja"}] == only["extra"]

    answer(world, question, "landelijk", bekend=False)  # late, but not lost
    world.run()
    assert ["landelijk"] == [u["identificatie"] for u in heard(world)[1]]


@pytest.mark.parametrize("order", list(itertools.permutations(["gcos", "landelijk"])))
def test_two_answers_that_come_due_together_are_one_answer(
    world: World, order: tuple[str, str]
) -> None:
    """As when each was accepted before the other could be seen: both wait, and one carries both."""
    question = world.question()
    world.send(question)
    world.run()
    answers = [answer(world, question, sender, bekend=True) for sender in order]
    for accepted in answers:
        record = world.delivery(accepted)
        assert record.state in (State.WACHT, State.KLAAR)
    world.clock.forward(hours=5)
    world.run()

    assert 1 == len(heard(world))
    assert set(order) == {u["identificatie"] for u in heard(world)[0]}
    assert {State.AFGELEVERD, State.VERVALLEN} == {world.delivery(a).state for a in answers}


def bij(world: World, kind: str, **data: Any) -> dict[str, Any]:
    dji = world.partner("dji")
    return {
        "specversion": "1.0",
        "id": f"bij-{next(world.numbers)}",
        "source": source_of(dji.oin, dji.systeem),
        "type": type_of(kind),
        "time": f"{world.clock.now():%Y-%m-%dT%H:%M:%SZ}",
        "data": {
            "afzender": {"organisatie": dji.oin, "applicatie": "BIJ"},
            "ontvanger": {"organisatie": HOUSE_OIN, "applicatie": "ZVH"},
            **data,
        },
    }


def terugkeer(world: World, days: int) -> dict[str, Any]:
    day = (world.clock.now() + timedelta(days=days)).date().isoformat()
    return {
        "identificatie": "BIJ-1",
        "gemeente": "0758",
        "persoon": {"bsn": "999990342", "nationaliteiten": [{"code": "0001"}]},
        "terugkeer": {"soort": "definitief", "datum": day},
    }


@pytest.fixture
def with_dji(world: World) -> World:
    kinds = frozenset({"bij-melding", "correctie", "intrekking"})
    world.partners["dji"] = replace(world.partner("dji"), houses=frozenset({"*"}), sends=kinds)
    world.partners["landelijk"] = replace(world.partner("landelijk"), receives=kinds)
    return world


def test_a_return_is_not_told_more_than_three_months_before_it(with_dji: World) -> None:
    world = with_dji
    accepted = world.send(bij(world, "bij-melding", melding=terugkeer(world, 200)), sender="dji")
    world.run()
    held = world.delivery(accepted)

    assert (held.state, held.attempts) == (State.WACHT, 0)
    assert held.deadline and held.due and held.deadline > held.due
    world.clock.forward(days=200 - 92, hours=1)
    world.run()
    assert world.delivery(accepted).state is State.AFGELEVERD


def test_what_waits_behind_another_is_still_held_when_its_turn_comes(with_dji: World) -> None:
    world = with_dji
    soon = world.send(bij(world, "bij-melding", melding=terugkeer(world, 30)), sender="dji")
    later = world.send(bij(world, "bij-melding", melding=terugkeer(world, 200)), sender="dji")
    assert world.delivery(later).state is State.GEPARKEERD
    world.run()

    assert world.delivery(soon).state is State.AFGELEVERD
    held = world.delivery(later)
    assert (held.state, held.attempts) == (State.WACHT, 0)
    world.clock.forward(days=200 - 92, hours=1)
    world.run()
    assert world.delivery(later).state is State.AFGELEVERD


def test_a_correction_takes_the_place_of_what_was_held_and_is_not_held_itself(
    with_dji: World,
) -> None:
    world = with_dji
    original = bij(world, "bij-melding", melding=terugkeer(world, 200))
    held = world.send(original, sender="dji")
    about = {"berichtid": original["id"], "soort": "bij-melding", "zaak": "BIJ-1"}
    correction = world.send(
        bij(
            world,
            "correctie",
            betreft=about,
            reden="gewijzigd",
            melding=terugkeer(world, 180),
        ),
        sender="dji",
    )
    world.run()

    assert world.delivery(held).state is State.VERVALLEN
    assert world.delivery(correction).state is State.AFGELEVERD


def test_a_withdrawal_goes_to_who_got_the_original(with_dji: World) -> None:
    world = with_dji
    original = bij(world, "bij-melding", melding=terugkeer(world, 30))
    told = world.send(original, sender="dji")
    world.run()
    about = {"berichtid": original["id"], "soort": "bij-melding", "zaak": "BIJ-1"}
    withdrawn = world.send(bij(world, "intrekking", betreft=about, reden="onjuist"), sender="dji")
    world.run()

    assert world.delivery(told).state is State.AFGELEVERD  # it had arrived: that is not undone
    assert ("landelijk", State.AFGELEVERD) == (
        world.delivery(withdrawn).receiver,
        world.delivery(withdrawn).state,
    )


def test_what_the_first_dialect_cannot_say_goes_in_the_next(world: World) -> None:
    class Terse:
        """A dialect that can say nothing."""

        name = "kort/1"

        def load(self) -> None: ...

        def recognises(self, document: bytes) -> None:
            return None

        def validate(self, document: bytes) -> None: ...

        def parse(self, document: bytes) -> Any: ...

        def render(self, bericht: Any, root: str = "") -> Rendered:
            raise NotExpressible("Dit dialect kent geen personen zonder BSN.")

    world.wire_up(dialects={"kort/1": Terse(), world.adapter.name: world.adapter})
    both = {"*": f"kort/1 {world.adapter.name}"}
    world.partners["landelijk"] = replace(world.partner("landelijk"), dialects=both)
    world.partners.pop("gcos")
    accepted = world.send()
    world.run()

    delivery = world.delivery(accepted)
    assert (delivery.state, delivery.dialect) == (State.AFGELEVERD, world.adapter.name)
