"""The two pipelines: what is refused and why, what is never lost, and what happens when it dies."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from gateway import errors
from gateway.bus import open_bus
from gateway.core import accept, outgoing
from gateway.core.ids import digest_of, new_id
from gateway.core.policy import Policy
from gateway.model.partner import Partner
from gateway.ports import Answer, State, Taken
from gateway.worker import Worker

from .world import GATEWAY_OIN, HOUSE, TestClock, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.store.close()


# --- accept ---------------------------------------------------------------------------------------


def test_what_is_accepted_is_stored_with_its_delivery_and_a_verifiable_receipt(
    world: World,
) -> None:
    event = world.question()
    accepted = world.send(event)
    receipt = world.receipt(accepted)
    assert (accepted.error, accepted.duplicate) == (None, False)
    assert (receipt.id, receipt.outcome) == (event["id"], "geaccepteerd")
    assert (receipt.issuer, receipt.audience) == (GATEWAY_OIN, world.partner("zsm").oin)
    assert receipt.digest == digest_of(orjson.dumps(event))
    delivery = world.delivery(accepted)
    assert (delivery.receiver, delivery.state) == ("landelijk", State.KLAAR)
    assert delivery.message.house == HOUSE
    assert "Wgs art. 2.28" in delivery.message.grounds


def code_of(world: World, body: bytes, *, tls: str = "zsm") -> str:
    """The code of a refusal, after checking that it is signed, told and nothing was stored."""
    known = world.partners.by_name(tls)
    accepted = world.acceptor.accept(body, tls_oin=known.oin if known else tls)
    assert accepted.error
    assert accepted.internal_id is None
    if known:  # a stranger has no name to address a receipt to
        receipt = world.receipt(accepted, reader=tls)
        assert (receipt.outcome, receipt.code) == ("geweigerd", accepted.error.code)
    assert world.store.counts() == {}
    return accepted.error.code


def test_step_1_a_stranger_is_refused(world: World) -> None:
    body = world.seal(world.question())
    assert code_of(world, body, tls="00000099000000009999") == "onbekende-partner"


def test_step_2_nothing_is_refused(world: World) -> None:
    assert code_of(world, b"") == "bericht-leeg"


def test_step_2_what_is_no_seal_is_refused(world: World) -> None:
    assert code_of(world, b"geen zegel") == "zegel-ongeldig"


def test_step_2_another_signer_than_the_client_is_refused(world: World) -> None:
    assert code_of(world, world.seal(world.question()), tls="landelijk") == "onbekende-partner"


def test_step_2_a_refusal_of_what_did_not_open_names_the_body(world: World) -> None:
    accepted = world.acceptor.accept(b"geen zegel", tls_oin=world.partner("zsm").oin)
    receipt = world.receipt(accepted)
    assert (receipt.id, receipt.digest) == ("", digest_of(b"geen zegel"))


def test_step_3_an_id_used_for_another_document_is_refused(world: World) -> None:
    first = world.question()
    world.send(first)
    again = world.send(world.question(id=first["id"], zaak="zaak-2"))
    assert isinstance(again.error, errors.IdReused)
    assert world.store.counts() == {("landelijk", "klaar"): 1}


def test_step_3_a_repeat_gets_the_same_receipt_bytes_even_much_later(world: World) -> None:
    event = world.question()
    first = world.send(event)
    world.clock.forward(minutes=1)
    resealed = world.send(event)
    sealed = world.seal(event)
    world.clock.forward(days=30)
    late = world.acceptor.accept(sealed, tls_oin=world.partner("zsm").oin)
    for repeat in (resealed, late):
        assert repeat.duplicate
        assert (repeat.receipt, repeat.internal_id) == (first.receipt, first.internal_id)
    assert world.store.counts() == {("landelijk", "klaar"): 1}


def test_step_4_a_message_for_another_is_refused(world: World) -> None:
    """Addressed to somebody whose key we happen to hold: a message that was passed on to us."""
    landelijk = world.partner("landelijk")
    world.wire_up(sealer=world.make_sealer("gateway", also_opens=("landelijk",)))
    sealer = world.make_sealer("zsm", knows=(landelijk,))
    sealed = world.seal(world.question(), sealer=sealer, receiver=landelijk)
    assert code_of(world, sealed) == "verkeerde-ontvanger"


@pytest.mark.parametrize(
    ("shift", "code"),
    [
        (accept.MAX_AGE + timedelta(seconds=2), "bericht-verlopen"),
        (-accept.MAX_AHEAD - timedelta(seconds=2), "bericht-uit-de-toekomst"),
    ],
)
def test_step_4_outside_the_time_window_is_refused(
    world: World, shift: timedelta, code: str
) -> None:
    sealed = world.seal(world.question())
    world.clock.at += shift
    assert code_of(world, sealed) == code


@pytest.mark.parametrize("shift", [accept.MAX_AGE, -accept.MAX_AHEAD])
def test_step_4_the_edge_of_the_time_window_is_inside(world: World, shift: timedelta) -> None:
    world.clock.at = world.clock.at.replace(microsecond=0)
    sealed = world.seal(world.question())
    world.clock.at += shift
    assert world.acceptor.accept(sealed, tls_oin=world.partner("zsm").oin).error is None


def test_step_5_an_unknown_document_is_refused(world: World) -> None:
    assert code_of(world, world.seal(world.question(), body=b"a,b\n1,2")) == "document-onbekend"


def test_step_5_a_dialect_that_was_not_agreed_is_refused(world: World) -> None:
    world.partners.known["zsm"] = replace(world.partner("zsm"), dialects={"*": "stuf-jz/1.0.9"})
    assert code_of(world, world.seal(world.question())) == "document-onbekend"


def test_step_5_a_broken_document_is_refused(world: World) -> None:
    assert code_of(world, world.seal(world.question(), body=b"{")) == "document-ongeldig"


def test_step_5_an_impossible_bsn_is_refused(world: World) -> None:
    event = world.question()
    event["data"]["verzoek"]["persoon"]["bsn"] = "999990341"
    assert code_of(world, world.seal(event)) == "bsn-ongeldig"


@pytest.mark.parametrize(
    "envelope",
    [
        {"id": "een-ander-id"},
        {"type": "nl.zvh.bekendheidsuitslag.v1"},
        {"type": "iets-anders"},
        {"datacontenttype": "application/xml"},
    ],
)
def test_step_5_an_envelope_that_contradicts_its_document_is_refused(
    world: World, envelope: dict[str, Any]
) -> None:
    assert code_of(world, world.seal(world.question(), **envelope)) == "envelop-wijkt-af"


def other_writer(event: dict[str, Any]) -> None:
    event["data"]["afzender"]["organisatie"] = "00000099000000009999"


def other_source(event: dict[str, Any]) -> None:
    event["source"] = "urn:nld:oin:00000099000000009999:systeem:zsm"


@pytest.mark.parametrize("change", [other_writer, other_source])
def test_step_5_a_document_of_another_organisation_is_refused(
    world: World, change: Callable[[dict[str, Any]], None]
) -> None:
    change(event := world.question())
    assert code_of(world, world.seal(event)) == "envelop-wijkt-af"


@pytest.mark.parametrize("written_as", ["123456", "00000099000000001000_OTA"])
def test_step_5_a_registered_or_test_name_is_the_partner(world: World, written_as: str) -> None:
    world.partners.known["zsm"] = replace(world.partner("zsm"), senders=frozenset({"123456"}))
    event = world.question()
    event["data"]["afzender"]["organisatie"] = written_as
    assert world.send(event).error is None


def test_step_5_of_two_systems_under_one_oin_the_signer_is_the_sender(world: World) -> None:
    accepted = world.send(sender="gps")
    assert world.delivery(accepted).message.sender == "gps"


def test_step_6_a_kind_outside_the_agreement_is_refused(world: World) -> None:
    event = world.question()
    world.partners.known["zsm"] = replace(world.partner("zsm"), sends=frozenset())
    assert code_of(world, world.seal(event)) == "niet-toegestaan"


def test_step_6_without_a_rule_everything_is_refused(world: World) -> None:
    world.policy = Policy((), world.policy.ordered, world.policy.answers)
    world.wire_up()
    assert code_of(world, world.seal(world.question())) == "niet-toegestaan"


def test_step_6_without_a_receiver_the_sender_is_told(world: World) -> None:
    del world.partners.known["landelijk"]
    assert code_of(world, world.seal(world.question())) == "geen-ontvanger"


def test_step_6_a_house_decides_who_receives(world: World) -> None:
    event = world.question(huis="zvh-elders")
    event["data"]["ontvanger"]["organisatie"] = "onbekend"
    accepted = world.send(event)
    receivers = {d.receiver for d in world.store.deliveries_of(accepted.internal_id or "")}
    assert receivers == {"gcos", "landelijk"}


def test_step_6_one_receiver_that_may_not_does_not_stop_the_others(world: World) -> None:
    kinds = frozenset({"bekendheidsverzoek"})
    world.partners.known["dji"] = replace(
        world.partner("dji"), receives=kinds, houses=frozenset({"*"})
    )
    assert world.delivery(world.send()).receiver == "landelijk"


def test_step_6_what_the_receiver_may_not_have_is_told_at_once(world: World) -> None:
    accepted = world.send(world.question(extra=[{"naam": "opmerking", "waarde": "vrij"}]))
    (loss,) = world.delivery(accepted).removed
    assert (loss.path, loss.category) == ("data.verzoek.extra", "vrije-tekst")


def test_step_6_an_answer_goes_only_to_the_one_who_asked(world: World) -> None:
    world.partners.known["ander-om"] = replace(
        world.partner("zsm"), name="ander-om", oin="00000099000000006000"
    )
    question = world.question()
    asked = world.send(question, conversatieid="gesprek-1")
    world.run()
    answered = world.send(world.answer(question["id"]), sender="landelijk")
    delivery = world.delivery(answered)
    assert delivery.receiver == "zsm"
    assert delivery.message.conversation == "gesprek-1"
    assert delivery.message.house == world.delivery(asked).message.house == HOUSE


@pytest.mark.parametrize("antwoordop", ["nooit-gesteld", None])
def test_step_6_an_answer_to_no_question_is_refused(world: World, antwoordop: str | None) -> None:
    event = world.answer("")
    event["antwoordop"] = antwoordop
    assert (
        code_of(world, world.seal(event, sender="landelijk"), tls="landelijk") == "vraag-onbekend"
    )


def test_step_6_an_answer_to_a_question_put_to_another_is_refused(world: World) -> None:
    world.send(question := world.question())
    world.partners.known["gcos"] = gcos = replace(
        world.partner("gcos"), sends=frozenset({"bekendheidsuitslag"})
    )
    event = world.answer(question["id"], source=f"urn:nld:oin:{gcos.oin}:systeem:gcos")
    event["data"]["afzender"]["organisatie"] = gcos.oin
    assert isinstance(world.send(event, sender="gcos").error, errors.UnknownQuestion)


def test_a_conversation_gets_an_id_when_the_sender_gives_none(world: World) -> None:
    assert len(world.delivery(world.send()).message.conversation) == 36


def test_step_8_two_requests_at_once_are_one_message_and_one_receipt(world: World) -> None:
    event = world.question()
    sealed, oin = world.seal(event), world.partner("zsm").oin
    answers: list[accept.Accepted] = []
    start = threading.Barrier(4)

    def request() -> None:
        start.wait()
        answers.append(world.acceptor.accept(sealed, tls_oin=oin))

    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.receipt for answer in answers}) == 1
    assert sorted(answer.duplicate for answer in answers) == [False, True, True, True]
    assert world.store.counts() == {("landelijk", "klaar"): 1}


# --- deliver --------------------------------------------------------------------------------------


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

    def render(bericht: Any, *, dialect: str) -> Any:
        made = plain(bericht, dialect=dialect)
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
    world.adapter.dialects = frozenset({"iets-anders/1"})
    assert [(o.state, o.code) for o in world.run()] == [(State.DOOD, "niet-uitdrukbaar")]


def test_what_is_not_allowed_any_more_is_not_sent(world: World) -> None:
    world.send()
    world.partners.known["landelijk"] = replace(world.partner("landelijk"), role="gemeente")
    assert [(o.state, o.code) for o in world.run()] == [(State.DOOD, "niet-toegestaan")]
    assert world.wire.digests == []


def test_a_rule_that_was_narrowed_stops_what_it_allowed_before(world: World) -> None:
    world.send()
    rules = tuple({**rule, "categorieen": ["identificerend"]} for rule in world.policy.rules)
    world.policy = Policy(rules, world.policy.ordered, world.policy.answers)
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
    world.deliverer.claim(1)
    world.deliverer.put_off(delivery.id)
    now = world.delivery_by_id(delivery.id)
    assert (now.state, now.attempts) == (State.WACHT, 1)
    assert world.run() == []
    world.clock.forward(seconds=12)
    assert [outcome.state for outcome in world.run()] == [State.AFGELEVERD]


# --- postbus --------------------------------------------------------------------------------------


@pytest.fixture
def gcos(world: World) -> Partner:
    """The partner that pulls, and it alone receives."""
    del world.partners.known["landelijk"]
    world.partners.known["gcos"] = replace(world.partner("gcos"), houses=frozenset({HOUSE}))
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


# --- dying ----------------------------------------------------------------------------------------


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


def test_ids_sort_by_time() -> None:
    clock = TestClock()
    ids = []
    for _ in range(5):
        clock.forward(milliseconds=1)
        ids.append(new_id(clock.now()))
    assert ids == sorted(set(ids))
    assert all(one[14] == "7" and one[19] in "89ab" for one in ids)


# --- worker ---------------------------------------------------------------------------------------


def eventually(promise: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait for a promise, but not for ever."""
    end = time.monotonic() + seconds
    while not promise():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@contextmanager
def working(world: World, *, store: Any = None) -> Iterator[Worker]:
    """The threads of a worker on the embedded bus."""
    bus = open_bus("table", source=world.deliverer, partners=["landelijk"])
    worker = Worker(
        bus=bus,
        deliverer=world.deliverer,
        store=store or world.store,
        clock=world.clock,
        threads=3,
    )
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()
        bus.close()


def test_the_worker_delivers_in_order_within_a_zaak(world: World) -> None:
    sent = [f"{zaak}{number}" for number in range(5) for zaak in "abc"]
    with working(world):
        for one in sent:
            world.send(world.question(id=one, zaak=one[0]))
        eventually(lambda: len(world.wire.order) == len(sent))
    for zaak in "abc":
        assert [one for one in world.wire.order if one[0] == zaak] == sent["abc".index(zaak) :: 3]
    eventually(lambda: world.store.counts() == {("landelijk", "afgeleverd"): len(sent)})


def test_the_worker_outlives_a_store_that_is_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.worker.BACKOFF_S", (0.01, 0.02))
    away = threading.Event()
    away.set()
    failures: list[str] = []

    class Flaky:
        """The real store, while it is there."""

        def __getattr__(self, name: str) -> Any:
            if away.is_set() and name in ("claim", "renew", "settle", "expire"):
                failures.append(name)
                raise errors.StoreUnavailable()
            return getattr(world.store, name)

    world.send()
    world.wire_up(store=Flaky())
    with working(world, store=Flaky()):
        eventually(lambda: failures.count("claim") > 3)
        away.clear()
        eventually(lambda: len(world.wire.ledger) == 1)


def test_a_bug_in_one_delivery_does_not_stop_the_worker(world: World) -> None:
    bad = world.delivery(world.send(world.question(id="a0", zaak="a")))
    world.wire.script = [ZeroDivisionError("Jan Testpersoon 999990342")]
    with capture_logs() as logs, working(world):
        eventually(lambda: world.delivery_by_id(bad.id).state is State.WACHT)
        world.send(world.question(id="b0", zaak="b"))
        eventually(lambda: world.wire.order == ["b0"])
    told = [entry for entry in logs if entry["event"] == "delivery_failed"]
    assert [entry["error"] for entry in told] == ["ZeroDivisionError"]
    assert "999990342" not in str(logs)
    assert "interne-fout" in world.delivery_by_id(bad.id).reason


def test_stopping_finishes_what_is_in_hand(world: World) -> None:
    accepted = world.send()
    started, go_on = threading.Event(), threading.Event()
    push = world.wire.push

    def slow(partner: Partner, sealed: bytes) -> Answer:
        started.set()
        assert go_on.wait(20)
        return push(partner, sealed)

    world.wire.push = slow  # type: ignore[method-assign]  # a receiver that takes its time
    with working(world) as worker:
        assert started.wait(20)
        stopping = threading.Thread(target=worker.stop)
        stopping.start()
        go_on.set()
        stopping.join(20)
    assert world.delivery(accepted).state is State.AFGELEVERD
