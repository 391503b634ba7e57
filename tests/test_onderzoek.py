"""Verzoek tot onderzoek, notificatie, zorgmelding and the Bv and Fo answers, both ways."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway import errors
from gateway.core.policy import Policy
from gateway.formats.stufjz import STUF_JZ, acknowledgement, stuf_code
from gateway.formats.xmldoc import read
from gateway.model import lees, schrijf
from gateway.model.envelop import Systeem
from gateway.resources import folder

from .berichten import erase
from .kinds import kinds, vnummers
from .onderzoek import ROOTS, accounted, document, fitted, texts

EXAMPLES = Path(__file__).parent / "examples" / "stuf-jz" / "valid"
SOAP = b'<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>%s</soap:Body></soap:Envelope>'
NOW = "2026-11-24T12:00:00Z"

each = pytest.mark.parametrize("root", ROOTS)


def example(root: str) -> bytes:
    return (EXAMPLES / f"{root}.xml").read_bytes()


def event(root: str) -> dict[str, Any]:
    return schrijf(STUF_JZ.parse(example(root)).bericht)


def squeezed(text: bytes) -> bytes:
    return re.sub(rb"<([^ >]+)></\1>", rb"<\1/>", re.sub(rb">\s+<", b"><", text)).strip()


def kind_of(root: str) -> str:
    return next(m.soort for name, m in STUF_JZ.mappings.items() if name.endswith(f":{root}"))


# --- both laws ------------------------------------------------------------------------------------


@each
def test_an_example_is_carried_without_loss_and_comes_back_the_same(root: str) -> None:
    parsed = STUF_JZ.parse(example(root))
    rendered = STUF_JZ.render(lees(schrijf(parsed.bericht)), root)

    assert root == parsed.root == STUF_JZ.recognises(example(root))
    assert () == parsed.loss == rendered.loss
    assert squeezed(example(root)) == squeezed(rendered.document)


@each
def test_no_text_of_a_document_disappears_without_an_entry(root: str) -> None:
    """Over documents made from the schema; each comes back, and what comes back does so the same."""
    for seed in range(25):
        sent = document(root, seed)
        parsed = STUF_JZ.parse(etree.tostring(sent))
        rendered = STUF_JZ.render(parsed.bericht, root)
        again = STUF_JZ.parse(rendered.document)
        gone = Counter(texts(sent)) - Counter(texts(read(rendered.document)))

        assert [] == [path for path, _ in gone if not accounted(path, parsed.loss)]
        assert [] == [entry for entry in parsed.loss if not entry.reason]
        assert parsed.bericht == again.bericht
        assert () == rendered.loss == again.loss
        assert rendered.document == STUF_JZ.render(again.bericht, root).document


@cache
def _messages(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return kinds(kind, {"vnummer": lambda _: vnummers})


@each
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_comes_back_is_what_was_sent_without_the_loss_account(
    root: str, data: st.DataObject
) -> None:
    """(d, loss) = render(m) implies parse(d) == erase(m, loss)."""
    sent = fitted(data.draw(_messages(kind_of(root))), root)
    rendered = STUF_JZ.render(lees(sent), root)
    back = STUF_JZ.parse(rendered.document)
    gone = [entry for entry in rendered.loss if entry.how == "weg"]
    rounded = {entry.path.rpartition(".")[2] for entry in rendered.loss if entry.how == "afgerond"}
    expected, found = schrijf(lees(erase(sent, gone))), schrijf(back.bericht)

    assert () == back.loss
    assert rounded <= {"time", "gezetOp", "gemeldOp", "positie", "soort"}
    assert _coarse(expected, rounded) == _coarse(found, rounded)
    assert [] == [entry for entry in gone if not entry.reason and "geenWaarde" not in entry.path]


ordered = partial(json.dumps, sort_keys=True)
ELSEWHERE = {"source", "conversatieid", "huis"}


def _coarse(part: Any, rounded: set[str]) -> Any:
    """Without what was rounded or travels elsewhere; lists fed by several elements in any order."""
    if isinstance(part, dict):
        kept = {k: _coarse(v, rounded) for k, v in part.items() if k not in rounded | ELSEWHERE}
        return {k: v for k, v in kept.items() if v not in ({}, [])}
    if isinstance(part, list):
        return sorted((_coarse(one, rounded) for one in part), key=ordered)
    return part


# --- who it is about ------------------------------------------------------------------------------


def test_twins_are_two_children_even_when_one_has_no_bsn() -> None:
    born, unborn = event("vtoDi01")["data"]["clienten"]

    assert ["Bo", "Cas"] == [kind["voornamen"] for kind in born["kinderen"]]
    assert ["2019-03-04"] * 2 == [kind["geboortedatum"] for kind in born["kinderen"]]
    assert "bsn" not in born["kinderen"][1]
    assert ("kind", "ongeboren-kind") == (born["soort"], unborn["soort"])


def test_an_unborn_child_has_a_name_and_says_why_it_has_no_bsn() -> None:
    sent = event("vtoDi01")
    unborn = sent["data"]["clienten"][1]

    assert [{"bsn": "geenWaarde"}] == [kind["geenWaarde"] for kind in unborn["kinderen"]]
    unborn["kinderen"] *= 2  # unborn twins, alike as they are
    again = schrijf(STUF_JZ.parse(STUF_JZ.render(lees(sent)).document).bericht)
    assert unborn == again["data"]["clienten"][1]


def test_one_person_in_two_roles_stands_in_it_twice() -> None:
    roles = Counter(
        one["persoon"].get("bsn")
        for one in event("vtoDi01")["data"]["belanghebbenden"]
        if "persoon" in one
    )

    assert 2 == roles["999990019"]


def test_of_a_number_that_repeats_the_first_counts_and_the_rest_is_entered() -> None:
    bsn = b"<BG:inp.bsn>999999047</BG:inp.bsn>"
    other = bsn + b"<BG:inp.bsn>999990342</BG:inp.bsn>"
    parsed = STUF_JZ.parse(example("vtoDi01").replace(bsn, other))

    assert event("vtoDi01") == schrijf(parsed.bericht)
    (lost,) = parsed.loss
    assert lost.path.endswith("ZKN:natuurlijkPersoon[1]/BG:inp.bsn[2]")
    assert "999990342" not in repr(parsed.loss)


def test_a_v_number_of_ten_digits_has_no_room_and_is_entered_as_lost() -> None:
    sent = event("vtoDi01")
    sent["data"]["clienten"][0]["kinderen"][1]["vnummer"] = "0000012345"

    lost = [entry.path for entry in STUF_JZ.render(lees(sent)).loss]
    assert ["data.clienten[0].kinderen[1].vnummer"] == lost


def test_the_bytes_of_an_attachment_come_back_though_it_was_written_in_lines() -> None:
    text = example("vtoDi01")
    whole = re.search(rb'bestandsnaam="vto.txt"[^>]*>([^<]+)<', text)
    assert whole
    lines = whole[1][:8] + b"\r\n" + whole[1][8:]

    assert event("vtoDi01") == schrijf(STUF_JZ.parse(text.replace(whole[1], lines)).bericht)


def test_more_than_ten_documents_go_with_a_request() -> None:
    sent = event("vtoDi01")
    first = sent["data"]["documenten"][0]
    sent["data"]["documenten"] = [first | {"identificatie": f"DOC-{n}"} for n in range(1, 26)]
    rendered = STUF_JZ.render(lees(sent))
    again = schrijf(STUF_JZ.parse(rendered.document).bericht)

    assert () == rendered.loss
    assert sent["data"]["documenten"] == again["data"]["documenten"]


def test_a_request_about_nobody_is_what_the_standard_takes() -> None:
    nobody = etree.fromstring(example("vtoDi01"))
    for clients in nobody.findall(".//{*}heeftBetrekkingOp"):
        clients[:], clients.text = [], None
        clients.set("{http://www.w3.org/2001/XMLSchema-instance}nil", "true")
    parsed = STUF_JZ.parse(etree.tostring(nobody))

    assert "clienten" not in schrijf(parsed.bericht)["data"]
    STUF_JZ.validate(STUF_JZ.render(parsed.bericht).document)


NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
REASON = "{http://www.egem.nl/StUF/StUF0301}noValue"


def emptied(root: str, *places: str, reason: str = "") -> bytes:
    """The example with these elements nil."""
    found = etree.fromstring(example(root))
    for place in places:
        node = found.find(place)
        assert node is not None
        node[:], node.text = [], None
        node.set(NIL, "true")
        if reason:
            node.set(REASON, reason)
    return etree.tostring(found)


@pytest.mark.parametrize("which", ["medewerker", "nietNatuurlijkPersoon"])
@pytest.mark.parametrize("reason", ["", "geenWaarde"])
def test_of_two_who_make_a_request_one_may_be_nil(which: str, reason: str) -> None:
    """The standard counts two; a nil one is no item of ours, and is written as nil again."""
    place = f".//{{*}}heeftAlsUitvoerende//{{*}}{which}"
    parsed = STUF_JZ.parse(emptied("vtoDi01", place, reason=reason))
    rendered = STUF_JZ.render(parsed.bericht)
    again = STUF_JZ.parse(rendered.document)

    if reason:
        assert 1 == len(parsed.loss)
    assert all(loss.path.endswith(f"ZKN:{which}") for loss in parsed.loss)
    assert () == rendered.loss == again.loss
    assert parsed.bericht == again.bericht
    assert 1 == rendered.document.count(b'<ZKN:medewerker StUF:entiteittype="MDW" xsi:nil')


NILS = ("kenmerk", "heeftRelevant", "heeftRelevant/{*}gerelateerde")


@pytest.mark.parametrize("place", NILS)
def test_a_zorgmelding_without_number_or_document_comes_back(place: str) -> None:
    """A constant does not call the group into being that the document left nil."""
    parsed = STUF_JZ.parse(emptied("zorgmeldingDi01", f".//{{*}}object/{{*}}{place}"))
    rendered = STUF_JZ.render(parsed.bericht, "zorgmeldingDi01")
    again = STUF_JZ.parse(rendered.document)

    assert () == parsed.loss == rendered.loss == again.loss
    assert parsed.bericht == again.bericht
    assert f"<ZKN:{place.partition('/')[0]} ".encode() in rendered.document


def test_what_a_fixed_text_has_beside_it_is_accounted_for() -> None:
    text = b"<ZKN:omschrijvingGeneriek>Overwegen"
    beside = text.replace(b">", b' StUF:noValue="geenWaarde" StUF:exact="false">', 1)
    assert text in example("vtoDi01")
    parsed = STUF_JZ.parse(example("vtoDi01").replace(text, beside))

    assert event("vtoDi01") == schrijf(parsed.bericht)
    assert {"@StUF:noValue", "@StUF:exact"} == {x.path.rpartition("/")[2] for x in parsed.loss}
    assert all(loss.reason for loss in parsed.loss)


def test_a_zorgmelding_with_half_a_document_is_still_refused() -> None:
    sent = event("zorgmeldingDi01")
    del sent["data"]["gemeldOp"]
    with pytest.raises(errors.NotExpressible) as refusal:
        STUF_JZ.render(lees(sent), "zorgmeldingDi01")

    assert (refusal.value.path or "").endswith("ZKN:creatiedatum")


def test_a_notificatie_refers_to_the_zaak_of_the_verzoek() -> None:
    verzoek = lees(event("vtoDi01")).data
    notificatie = lees(event("notificatieDi01")).data

    assert verzoek.zaak() == notificatie.zaak() == "GEM-2025-00417"
    assert lees(event("notificatiejrDi01")).data.zaak() is None


# --- the document a message becomes ---------------------------------------------------------------


@each
def test_without_a_root_the_document_follows_from_what_the_message_says(root: str) -> None:
    if root.startswith("zorg"):
        return  # legacy: only for who asks for it
    assert root == STUF_JZ.render(lees(event(root))).root


def test_a_receipt_is_not_written_as_the_end_of_processing() -> None:
    with pytest.raises(errors.NotExpressible):
        STUF_JZ.render(lees(event("Bv04Bericht")), "Bv01Bericht")


@each
def test_a_soap_envelope_around_a_document_changes_nothing(root: str) -> None:
    inside = example(root).partition(b"?>")[2]
    wrapped = SOAP % inside

    assert root == STUF_JZ.recognises(wrapped)
    assert STUF_JZ.parse(example(root)).bericht == STUF_JZ.parse(wrapped).bericht


def test_the_suffix_of_a_test_system_is_kept_as_it_is() -> None:
    sender = event("vtoDi01")["data"]["afzender"]

    assert "00000099000000004000_OTA" == sender["organisatie"]
    assert (
        b"<StUF:organisatie>00000099000000004000_OTA<"
        in STUF_JZ.render(lees(event("vtoDi01"))).document
    )


# --- bevestiging and foutbericht ------------------------------------------------------------------


def test_an_answer_need_not_name_an_organisation() -> None:
    text = re.sub(rb"<StUF:organisatie>[^<]*</StUF:organisatie>", b"", example("Fo01Bericht"))
    parsed = STUF_JZ.parse(text)

    assert {"applicatie": "KBPS"} == schrijf(parsed.bericht)["data"]["afzender"]
    assert squeezed(text) == squeezed(STUF_JZ.render(parsed.bericht).document)


def test_a_bv04_without_reference_number_is_taken_and_comes_back() -> None:
    parsed = STUF_JZ.parse(example("Bv04Bericht"))

    assert not parsed.bericht.antwoordop
    assert b"<StUF:crossRefnummer></StUF:crossRefnummer>" in STUF_JZ.render(parsed.bericht).document


def test_xml_in_the_details_of_a_fault_is_dropped_with_an_entry() -> None:
    end = b"</StUF:details>"
    anything = (
        b'<StUF:detailsXML><x xmlns="urn:y" z="geheim">geheim<y/></x><BG:w xmlns:BG="urn:w"/>'
    )
    text = example("Fo01Bericht").replace(end, end + anything + b"</StUF:detailsXML>")
    parsed = STUF_JZ.parse(text)

    assert event("Fo01Bericht") == schrijf(parsed.bericht)
    (lost,) = parsed.loss
    assert ("StUF:body/StUF:detailsXML", "vrije-tekst") == (lost.path, lost.category)
    assert "geheim" not in repr(parsed.loss)


@pytest.mark.parametrize(("plek", "who"), [(b"client", "indiener"), (b"server", "verwerker")])
def test_a_fault_says_who_must_mend_it(plek: bytes, who: str) -> None:
    text = example("Fo01Bericht").replace(b">client<", b">" + plek + b"<")

    assert who == schrijf(STUF_JZ.parse(text).bericht)["data"]["plek"]


TO = Systeem(organisatie="00000099000000001000_OTA", applicatie="PGAx", gebruiker="tester")


def test_our_acknowledgement_is_a_bv03_about_the_document() -> None:
    made = acknowledgement(TO, "ref-1", oin="00000099000000000100", id="a-1", time=NOW)
    parsed = STUF_JZ.parse(made)

    assert ("Bv03Bericht", "ref-1") == (parsed.root, parsed.bericht.antwoordop)
    assert TO.model_dump() == parsed.bericht.data.ontvanger.model_dump()
    assert "00000099000000000100" == parsed.bericht.data.afzender.organisatie


@pytest.mark.parametrize(
    ("error", "code", "plek"),
    [
        (errors.IdReused(), "StUF016", "indiener"),
        (errors.InvalidDocument("Regel."), "StUF055", "indiener"),
        (errors.InvalidBsn(path="JZ:object/BG:inp.bsn"), "StUF055", "indiener"),
        (errors.UnknownDocument(), "StUF034", "indiener"),
        (errors.NotAllowed(), "StUF052", "indiener"),
        (errors.UnknownPartner(), "StUF013", "indiener"),
        (errors.NoReceiver(), "StUF010", "indiener"),
        (errors.UnknownQuestion(), "StUF043", "indiener"),
        (errors.TooLarge(), "StUF058", "indiener"),
        (errors.StoreUnavailable(), "StUF046", "verwerker"),
        (errors.BusUnavailable(), "StUF058", "verwerker"),
        (errors.GatewayError("geheim van ons"), "StUF058", "verwerker"),
    ],
)
def test_our_refusal_is_a_fo03_with_a_code_of_stuf(
    error: errors.GatewayError, code: str, plek: str
) -> None:
    made = acknowledgement(TO, "ref-1", error, oin="0" * 20, id="a-1", time=NOW)
    parsed = STUF_JZ.parse(made)
    data = schrijf(parsed.bericht)["data"]

    assert ("Fo03Bericht", "ref-1") == (parsed.root, parsed.bericht.antwoordop)
    assert (code, plek, error.titel) == (data["code"], data["plek"], data["omschrijving"])
    assert code == stuf_code(error)
    assert (plek == "indiener") == (error.code in data.get("details", ""))
    assert b"geheim van ons" not in made


def test_every_error_of_ours_has_a_code_of_stuf() -> None:
    todo = [errors.GatewayError]
    while todo:
        kind = todo.pop()
        todo += [k for k in kind.__subclasses__() if k.__module__ == errors.__name__]
        assert re.fullmatch("StUF[0-9]{3}", stuf_code(kind("x" * 2000)))
        made = acknowledgement(TO, "", kind("x" * 2000), oin="0" * 20, id="a", time=NOW)
        STUF_JZ.validate(made)


def test_an_answer_answers_any_question_and_a_notificatie_one() -> None:
    policy = Policy.read((folder("mappings") / "doelbinding.toml").read_text("utf-8"))

    assert "*" == policy.answers["bevestiging"] == policy.answers["foutbericht"]
    assert "verzoek-tot-onderzoek" == policy.answers["notificatie"]
