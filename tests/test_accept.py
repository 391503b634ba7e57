"""What is taken in: refused with a reason, or stored once with a receipt."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import orjson
import pytest

from gateway import errors
from gateway.core import accept
from gateway.core.gebieden import Gebieden, Rij
from gateway.core.ids import digest_of, new_id
from gateway.model.envelop import source_of, type_of
from gateway.ports import State

from .world import GATEWAY_OIN, HOUSE, TestClock, World


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
    known = world.partners.get(tls)
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
    world.partners["zsm"] = replace(world.partner("zsm"), dialects={"*": "stuf-jz/1.0.9"})
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
    world.partners["zsm"] = replace(world.partner("zsm"), senders=frozenset({"123456"}))
    event = world.question()
    event["data"]["afzender"]["organisatie"] = written_as
    assert world.send(event).error is None


def test_step_5_of_two_systems_under_one_oin_the_signer_is_the_sender(world: World) -> None:
    accepted = world.send(sender="gps")
    assert world.delivery(accepted).message.sender == "gps"


def test_step_6_a_kind_outside_the_agreement_is_refused(world: World) -> None:
    event = world.question()
    world.partners["zsm"] = replace(world.partner("zsm"), sends=frozenset())
    assert code_of(world, world.seal(event)) == "niet-toegestaan"


def test_step_6_without_a_rule_everything_is_refused(world: World) -> None:
    world.policy = world.policy.model_copy(update={"regel": []})
    world.wire_up()
    assert code_of(world, world.seal(world.question())) == "niet-toegestaan"


def test_step_6_without_a_receiver_the_sender_is_told(world: World) -> None:
    del world.partners["landelijk"]
    assert code_of(world, world.seal(world.question())) == "geen-ontvanger"


def test_step_6_a_house_decides_who_receives(world: World) -> None:
    event = world.question(huis="zvh-elders")
    event["data"]["ontvanger"]["organisatie"] = "onbekend"
    accepted = world.send(event)
    receivers = {d.receiver for d in world.store.deliveries_of(accepted.internal_id or "")}
    assert receivers == {"gcos", "landelijk"}


def test_step_6_two_gemeenten_of_two_houses_reach_both_and_the_first_is_the_house(
    world: World,
) -> None:
    def rows(**of: str) -> dict[str, tuple[Rij, ...]]:
        found = {code.strip("_"): house for code, house in of.items()}
        return {
            code: (Rij({"huis": house}, date.min, date.max, "proef"),)
            for code, house in found.items()
        }

    lists = {"gemeenten": rows(_0001="", _0002=""), "mandaten": rows(_0001="een", _0002="twee")}
    kinds = frozenset({"bij-melding"})
    world.partners["dji"] = replace(world.partner("dji"), sends=kinds)
    for name, house in (("gcos", "twee"), ("landelijk", "een")):
        houses = frozenset({house})
        world.partners[name] = replace(world.partner(name), receives=kinds, houses=houses)
    world.wire_up(gebieden=Gebieden(lists | {"instanties": {}}))
    sender = world.partner("dji")
    melding = {
        "identificatie": "BIJ-1",
        "gemeente": "0001",
        "tweedeGemeente": "0002",
        "persoon": {"geslachtsnaam": "Testpersoon"},
        "terugkeer": {"soort": "definitief", "datum": "2030-01-01"},
    }
    accepted = world.send(
        world.question(
            type=type_of("bij-melding"),
            source=source_of(sender.oin, sender.systeem),
            data={
                "afzender": {"organisatie": sender.oin, "applicatie": "DJI"},
                "ontvanger": {"organisatie": "onbekend", "applicatie": "ZVH"},
                "melding": melding,
            },
        ),
        sender="dji",
    )
    deliveries = world.store.deliveries_of(accepted.internal_id or "")

    assert {"gcos", "landelijk"} == {delivery.receiver for delivery in deliveries}
    assert {"een"} == {delivery.message.house for delivery in deliveries}


def test_step_6_one_receiver_that_may_not_does_not_stop_the_others(world: World) -> None:
    kinds = frozenset({"bekendheidsverzoek"})
    world.partners["dji"] = replace(world.partner("dji"), receives=kinds, houses=frozenset({"*"}))
    assert world.delivery(world.send()).receiver == "landelijk"


def test_step_6_what_the_receiver_may_not_have_is_told_at_once(world: World) -> None:
    accepted = world.send(world.question(extra=[{"naam": "opmerking", "waarde": "vrij"}]))
    (loss,) = world.delivery(accepted).removed
    assert (loss.path, loss.category) == ("data.verzoek.extra", "vrije-tekst")


def test_step_6_an_answer_goes_only_to_the_one_who_asked(world: World) -> None:
    world.partners["ander-om"] = replace(
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
    world.partners["gcos"] = gcos = replace(
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


def test_ids_sort_by_time() -> None:
    clock = TestClock()
    ids = []
    for _ in range(5):
        clock.forward(milliseconds=1)
        ids.append(new_id(clock.now()))
    assert ids == sorted(set(ids))
    assert all(one[14] == "7" and one[19] in "89ab" for one in ids)
