"""The laws of the mapping engine, over the mappings that ship."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from gateway.errors import InvalidBsn, InvalidDocument, MappingInvalid, NotExpressible, UnknownCode
from gateway.formats import codes, xmldoc
from gateway.formats.mapping import Mapping, Shared
from gateway.formats.placement import Object
from gateway.formats.stuf import CONVERTERS
from gateway.formats.stufjz import STUF_JZ as ADAPTER
from gateway.model import lees, schrijf

from .berichten import erase, events

EXAMPLES = Path(__file__).parent / "examples" / "stuf-jz" / "valid"
ROOTS = [document.root for document in ADAPTER.documents]


@pytest.fixture
def vcob() -> bytes:
    return (EXAMPLES / "vcobDi01.xml").read_bytes()


@pytest.mark.parametrize("root", ROOTS)
def test_a_mapping_speaks_of_every_leaf_of_both_sides(root: str) -> None:
    assert [] == ADAPTER.mappings[root].unmapped()


def test_a_mapping_that_is_not_total_stops_the_start() -> None:
    adapter = replace(ADAPTER)
    adapter.load()
    rows = adapter.mappings["JZ:vcobDi01"].scope.elements["JZ:object",]
    assert isinstance(rows, Object)
    rows.scope.placements = [
        x for x in rows.scope.placements if "identificatie" != x.partner[0][3:]
    ]

    with pytest.raises(MappingInvalid, match="JZ:identificatie"):
        adapter.load()


def _comparable(event: dict[str, Any], mapping: Mapping, rounded: list[str]) -> dict[str, Any]:
    """In normal form, without what travels elsewhere and without what was rounded."""
    left = {key: value for key, value in event.items() if key not in mapping.elders}
    for path in rounded:
        left.pop(path, None)  # only `time` can be rounded in these messages
    return left


@given(event=events)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_comes_back_is_what_was_sent_without_the_loss_account(event: dict[str, Any]) -> None:
    """(d, loss) = render(m) implies parse(d) == erase(m, loss)."""
    bericht = lees(event)
    try:
        rendered = ADAPTER.render(bericht)
    except NotExpressible:
        return  # a text with white space that XML cannot keep; said aloud, never silent
    back = ADAPTER.parse(rendered.document)
    mapping = ADAPTER.mappings[f"JZ:{rendered.root}"]
    rounded = [entry.path for entry in rendered.loss if entry.how == "afgerond"]
    gone = [entry for entry in rendered.loss if entry.how == "weg"]
    expected = schrijf(lees(erase(event, gone)))

    assert () == back.loss
    assert _comparable(expected, mapping, rounded) == _comparable(
        schrijf(back.bericht), mapping, rounded
    )


@given(event=events)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_rendering_what_was_parsed_gives_the_same_document(event: dict[str, Any]) -> None:
    """render(parse(d)) == d for documents in normal form: those we wrote ourselves."""
    try:
        first = ADAPTER.render(lees(event))
    except NotExpressible:
        return
    again = ADAPTER.render(ADAPTER.parse(first.document).bericht)

    assert first.document == again.document
    assert () == again.loss


def test_a_value_without_a_row_stands_in_the_account_with_its_category_never_its_value() -> None:
    event = {
        "specversion": "1.0",
        "id": "vraag-1",
        "source": "urn:nld:oin:00000099000000001000:systeem:Test",
        "type": "nl.zvh.bekendheidsverzoek.v1",
        "time": "2026-01-01T12:00:00Z",
        "antwoordop": "geheim-1",
        "data": {
            "afzender": {"organisatie": "00000099000000001000", "applicatie": "ZSM"},
            "ontvanger": {"organisatie": "00000099000000002000", "applicatie": "ZVH"},
            "verzoek": {
                "identificatie": "ZAAK-1",
                "soortVerzoeker": "zsm-raadpleger",
                "aanvrager": {"geenWaarde": {"contactpersoon": "waardeOnbekend"}},
            },
        },
    }
    rendered = ADAPTER.render(lees(event))

    assert {"antwoordop"} <= {entry.path for entry in rendered.loss}
    assert "geheim-1" not in repr(rendered.loss)


def test_an_attribute_that_means_nothing_to_us_is_accounted_for(vcob: bytes) -> None:
    marked = vcob.replace(
        b'<JZ:object StUF:entiteittype="VVZ">',
        b'<JZ:object StUF:entiteittype="VVZ" StUF:sleutelSynchronisatie="S1">',
    )
    parsed = ADAPTER.parse(marked)

    assert ["JZ:object/@StUF:sleutelSynchronisatie"] == [entry.path for entry in parsed.loss]


def test_absent_nil_and_novalue_are_told_apart(vcob: bytes) -> None:
    def persoon(xml: bytes) -> dict[str, Any]:
        parsed = ADAPTER.parse(vcob.replace(b"<BG:voornamen>Jan</BG:voornamen>", xml))
        found: dict[str, Any] = schrijf(parsed.bericht)["data"]["verzoek"]["persoon"]
        return found

    xsi = b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    absent = persoon(b"")
    nil = persoon(b"<BG:voornamen " + xsi + b' xsi:nil="true"/>')
    reason = persoon(
        b"<BG:voornamen " + xsi + b' xsi:nil="true" StUF:noValue="nietGeautoriseerd"/>'
    )

    assert "geenWaarde" not in absent
    assert {"voornamen": "leeg"} == nil["geenWaarde"]
    assert {"voornamen": "nietGeautoriseerd"} == reason["geenWaarde"]


def test_a_code_without_a_row_names_table_and_field_not_the_value() -> None:
    converter = codes.table("proef", _table(("A", "a")))
    with pytest.raises(UnknownCode) as caught:
        converter.parse("GEHEIM", {})

    assert "proef" in caught.value.detail
    assert "GEHEIM" not in caught.value.reason()


def test_a_table_that_cannot_be_read_backwards_is_refused() -> None:
    with pytest.raises(MappingInvalid):
        codes.table("proef", _table(("A", "a"), ("B", "a")))


def _table(*rows: tuple[str, str]) -> dict[str, Any]:
    codes = [{"partner": theirs, "canoniek": ours, "betekenis": "x"} for theirs, ours in rows]
    return {"bron": "proef", "code": codes}


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ('"JZ:bestaatNiet" = "id"', "staat niet in het schema"),
        ('"JZ:stuurgegevens/StUF:referentienummer*" = "id"', "herhaalt niet"),
        ('"JZ:stuurgegevens/StUF:referentienummer" = "id | toverstaf"', "kent geen omzetting"),
        (
            """
            "JZ:stuurgegevens/StUF:referentienummer" = "id"
            "JZ:stuurgegevens/StUF:tijdstipBericht" = "id"
            """,
            "meer dan een rij",
        ),
        ('"JZ:object" = { naar = "data.verzoek", gebruik = "spook" }', "kent geen fragment"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_when_it_is_read(rows: str, complaint: str) -> None:
    with pytest.raises(MappingInvalid, match=complaint):
        file = {"root": "JZ:vcobDi01", "soort": "bekendheidsverzoek", "rows": tomllib.loads(rows)}
        Mapping("proef.toml", file, ADAPTER.structures["JZ:vcobDi01"], {}, Shared(CONVERTERS))


def test_an_impossible_value_is_pointed_out_in_the_words_of_the_sender(vcob: bytes) -> None:
    with pytest.raises(InvalidBsn) as caught:
        ADAPTER.parse(vcob.replace(b"999990342", b"999990343"))

    assert caught.value.path == (
        "JZ:vcobDi01/JZ:object/JZ:heeftBetrekkingOp/ZKN:gerelateerde/ZKN:natuurlijkPersoon/BG:inp.bsn"
    )


def test_a_constant_that_differs_is_refused(vcob: bytes) -> None:
    tree = xmldoc.to_tree(xmldoc.read(vcob), ADAPTER.structures["JZ:vcobDi01"])
    tree["JZ:stuurgegevens"]["StUF:functie"] = "anders"
    with pytest.raises(InvalidDocument):
        ADAPTER.mappings["JZ:vcobDi01"].parse(tree)
