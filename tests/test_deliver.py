"""What goes out: delivered once with proof, tried again, or dead with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from gateway import errors
from gateway.core import outgoing
from gateway.model.envelop import Bericht
from gateway.ports import Answer, Loss, Rendered, State, Taken

from .world import DIALECT, JsonAdapter, World


def test_a_message_arrives_once_with_a_verified_receipt(world: World) -> None:
    accepted = world.send()
    (outcome,) = world.run()
    assert (outcome.state, outcome.status) == (State.AFGELEVERD, 202)
    assert outcome.receipt
    assert len(world.wire.ledger) == 1
    assert world.delivery(accepted).state is State.AFGELEVERD
    assert world.run() == []


def test_what_was_removed_does_not_arrive(world: World) -> None:
    accepted = world.send(world.question(extra=[{"naam": "opmerking", "waarde": "vrij"}]))
    seen: list[bytes] = []
    plain = world.adapter.render

    def render(bericht: Any, root: str = "") -> Any:
        made = plain(bericht, root)
        seen.append(made.document)
        return made

    world.adapter.render = render  # type: ignore[method-assign]  # to look at what is sent
    world.run()
    assert world.delivery(accepted).state is State.AFGELEVERD
    assert b"opmerking" not in seen[0]
    assert b"nietGeautoriseerd" in seen[0]


def test_a_large_message_travels_as_a_claim_check(world: World) -> None:
    extra = [{"naam": "bijlage", "waarde": "x" * outgoing.MAX_INLINE}]
    accepted = world.send(world.question(extra=extra))
    parcel = world.deliverer.pack(world.delivery(accepted).id)
    assert len(parcel) < 4096
    assert [outcome.state for outcome in world.run()] == [State.AFGELEVERD]


def test_a_parcel_of_another_delivery_is_not_delivered(world: World) -> None:
    one, other = world.delivery(world.send()), world.delivery(world.send(world.question(zaak="z2")))
    world.deliverer.claim(10)
    outcome = world.deliverer.deliver(Taken(one.id, world.deliverer.pack(other.id), None))
    assert outcome and (outcome.state, outcome.code) == (State.WACHT, "zegel-ongeldig")
    assert world.wire.ledger == {}


def test_a_parcel_we_did_not_seal_is_not_delivered(world: World) -> None:
    delivery = world.delivery(world.send())
    world.deliverer.claim(10)
    outcome = world.deliverer.deliver(Taken(delivery.id, b"vreemd", None))
    assert outcome and outcome.state is State.WACHT
    assert world.wire.ledger == {}


def test_a_parcel_that_comes_twice_is_delivered_once(world: World) -> None:
    delivery = world.delivery(world.send())
    world.deliverer.claim(10)
    taken = Taken(delivery.id, world.deliverer.pack(delivery.id), None)
    assert world.deliverer.deliver(taken)
    assert world.deliverer.deliver(taken) is None
    assert len(world.wire.digests) == 1


def test_a_document_is_rendered_once_and_every_try_sends_the_same(world: World) -> None:
    accepted = world.send()
    world.wire.script = [errors.PartnerUnavailable()] * 4
    assert [outcome.state for outcome in world.run()] == [State.WACHT]
    world.clock.forward(seconds=12)
    assert [outcome.state for outcome in world.run()] == [State.AFGELEVERD]
    assert world.adapter.rendered == 1
    assert set(world.wire.digests) == {world.delivery(accepted).digest}
    assert len(world.wire.digests) == 5  # three at once, and two the next time


def test_a_moment_of_absence_is_bridged_in_process(world: World) -> None:
    world.send()
    world.wire.script = [errors.PartnerUnavailable(), Answer(503, b"")]
    assert [outcome.state for outcome in world.run()] == [State.AFGELEVERD]


def test_retry_after_is_obeyed(world: World) -> None:
    accepted = world.send()
    world.wire.script = [errors.PartnerUnavailable(retry_after=1200.0)]
    (outcome,) = world.run()
    assert outcome.due == world.clock.now() + timedelta(seconds=1200)
    assert (world.delivery(accepted).state, len(world.wire.digests)) == (State.WACHT, 1)


def test_past_its_deadline_a_delivery_is_dead_until_a_person_requeues_it(world: World) -> None:
    accepted = world.send()
    away = errors.PartnerUnavailable(retry_after=1e9)
    world.wire.script = [away]
    world.run()
    world.clock.forward(hours=72, seconds=1)
    world.wire.script = [away]
    (last,) = world.run()
    assert (last.state, last.code) == (State.DOOD, "termijn-verstreken")
    delivery = world.delivery(accepted)
    assert world.store.requeue(delivery.id, actor="tester", now=world.clock.now())
    assert [outcome.state for outcome in world.run()] == [State.AFGELEVERD]
    assert list(world.wire.ledger) == [("landelijk", delivery.id)]


def proof(world: World, **changes: str) -> Callable[[str, str], bytes]:
    def make(delivery_id: str, digest: str) -> bytes:
        receipt = world.wire.receipt(world.partner("landelijk"), delivery_id, digest)
        return world.sealer_of("landelijk").sign_receipt(replace(receipt, **changes))

    return make


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "iets-anders"},
        {"digest": "x"},
        {"audience": "00000099000000009999"},
        {"issuer": "00000099000000009999"},
        {"outcome": "misschien"},
    ],
)
def test_a_receipt_that_proves_nothing_is_no_delivery(
    world: World, changes: dict[str, str]
) -> None:
    delivery = world.delivery(world.send())
    world.wire.script = [errors.PartnerUnavailable(retry_after=1.0)]
    world.run()
    digest = world.delivery_by_id(delivery.id).digest
    world.clock.forward(minutes=1)
    world.wire.script = [Answer(202, proof(world, **changes)(delivery.id, digest))] * 3
    assert [(o.state, o.code) for o in world.run()] == [(State.WACHT, "ontvangstbewijs-ongeldig")]


@pytest.mark.parametrize("receipt", [b"", b"geen.jws.hier"])
def test_an_answer_without_a_receipt_is_no_delivery(world: World, receipt: bytes) -> None:
    world.send()
    world.wire.script = [Answer(202, receipt)] * 3
    assert [(o.state, o.code) for o in world.run()] == [(State.WACHT, "ontvangstbewijs-ongeldig")]


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 410, 413, 415, 422])
def test_a_final_refusal_is_dead_with_the_code_of_the_receiver(world: World, status: int) -> None:
    accepted = world.send()
    world.wire.script = [Answer(status, b"", "document-ongeldig")]
    (outcome,) = world.run()
    assert (outcome.state, outcome.code) == (State.DOOD, "document-ongeldig")
    assert world.delivery(accepted).state is State.DOOD


def test_a_refusal_in_a_receipt_is_final(world: World) -> None:
    delivery = world.delivery(world.send())
    world.wire.script = [errors.PartnerUnavailable(retry_after=1.0)]
    world.run()
    digest = world.delivery_by_id(delivery.id).digest
    world.clock.forward(minutes=1)
    refusal = proof(world, outcome="geweigerd", code="bsn-ongeldig")(delivery.id, digest)
    world.wire.script = [Answer(200, refusal)]
    (outcome,) = world.run()
    assert (outcome.state, outcome.code) == (State.DOOD, "bsn-ongeldig")
    assert outcome.receipt == refusal


def test_the_text_of_a_stranger_does_not_enter_our_records(world: World) -> None:
    world.send()
    world.wire.script = [Answer(400, b"", "Jan Testpersoon 999990342")]
    (outcome,) = world.run()
    assert outcome.code == "geweigerd-door-partner"
    assert "999990342" not in outcome.reason


@pytest.mark.parametrize("status", [301, 401, 408, 429, 500, 502, 503])
def test_any_other_answer_is_tried_again(world: World, status: int) -> None:
    world.send()
    world.wire.script = [Answer(status, b"")] * 3
    assert [(o.state, o.code) for o in world.run()] == [(State.WACHT, "partner-onbereikbaar")]


def test_what_the_receiver_cannot_express_is_dead(world: World) -> None:
    world.send()
    world.wire_up(dialects={"iets-anders/1": world.adapter})
    assert [(o.state, o.code) for o in world.run()] == [(State.DOOD, "niet-uitdrukbaar")]


class Poor(JsonAdapter):
    """A dialect without a place for the person."""

    def render(self, bericht: Bericht, root: str = "") -> Rendered:
        made = super().render(bericht, root)
        return replace(made, dialect="arm/1", loss=(Loss("data.verzoek.persoon"),))


@pytest.mark.parametrize(
    ("spoken", "state", "code"),
    [("arm/1", State.DOOD, "niet-uitdrukbaar"), (f"arm/1 {DIALECT}", State.AFGELEVERD, "")],
)
def test_what_must_arrive_is_said_in_the_next_dialect_or_not_at_all(
    world: World, spoken: str, state: State, code: str
) -> None:
    world.partners["landelijk"] = replace(world.partner("landelijk"), dialects={"*": spoken})
    world.wire_up(dialects={"arm/1": Poor(), DIALECT: world.adapter})
    accepted = world.send()

    assert [(o.state, o.code) for o in world.run()] == [(state, code)]
    if state is State.DOOD:
        assert "data.verzoek.persoon" in world.delivery(accepted).reason
        assert world.wire.digests == []
    else:
        assert DIALECT == world.delivery(accepted).dialect


def test_what_is_not_allowed_any_more_is_not_sent(world: World) -> None:
    world.send()
    world.partners["landelijk"] = replace(world.partner("landelijk"), role="gemeente")
    assert [(o.state, o.code) for o in world.run()] == [(State.DOOD, "niet-toegestaan")]
    assert world.wire.digests == []


def test_a_rule_that_was_narrowed_stops_what_it_allowed_before(world: World) -> None:
    world.send()
    less = {"categorieen": ["identificerend"]}
    rules = [rule.model_copy(update=less) for rule in world.policy.regel]
    world.policy = world.policy.model_copy(update={"regel": rules})
    world.wire_up()
    assert [(o.state, o.code) for o in world.run()] == [(State.DOOD, "niet-toegestaan")]
    assert world.wire.digests == []


def test_a_delivery_whose_body_was_destroyed_is_dead(world: World) -> None:
    accepted = world.send()
    world.vault.destroy(date.max)
    assert [(o.state, o.code) for o in world.run()] == [(State.DOOD, "inhoud-vernietigd")]
    assert world.delivery(accepted).state is State.DOOD


def test_a_failing_delivery_holds_back_its_own_zaak_and_no_other(world: World) -> None:
    for number in range(3):
        world.send(world.question(id=f"a{number}", zaak="zaak-a"))
    world.wire.script = [errors.PartnerUnavailable(retry_after=60.0)]
    world.run()
    for number in range(2):
        world.send(world.question(id=f"b{number}", zaak="zaak-b"))
    world.run()
    assert world.wire.order == ["b0", "b1"]
    world.clock.forward(seconds=61)
    world.run()
    assert world.wire.order == ["b0", "b1", "a0", "a1", "a2"]


def test_a_dead_delivery_holds_back_its_zaak_until_a_person_decides(world: World) -> None:
    dead = world.delivery(world.send(world.question(id="a0")))
    world.send(world.question(id="a1"))
    world.wire.script = [Answer(400, b"")]
    world.run()
    assert world.wire.order == []
    world.store.requeue(dead.id, actor="tester", now=world.clock.now())
    world.run()
    assert world.wire.order == ["a0", "a1"]


def test_a_bug_puts_a_delivery_off_and_does_not_spin(world: World) -> None:
    delivery = world.delivery(world.send())
    world.wire.script = [ZeroDivisionError("a bug")]
    assert [outcome.code for outcome in world.run()] == ["interne-fout"]
    now = world.delivery_by_id(delivery.id)
    assert (now.state, now.attempts) == (State.WACHT, 1)
    assert world.run() == []
    world.clock.forward(seconds=12)
    assert [outcome.state for outcome in world.run()] == [State.AFGELEVERD]
