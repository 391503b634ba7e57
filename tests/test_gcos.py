"""gcos/1.0: what the legacy case system says, carried both ways without loss."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from adapters.gcos import GCOS_1 as GCOS
from adapters.gcos.waarden import CONVERTERS
from gateway.errors import InvalidDocument, InvalidValue
from gateway.formats import codes
from gateway.formats.xmldoc import read
from gateway.model import lees, schrijf
from gateway.model.lijsten import Lijst

from .berichten import erase
from .gcos import EXAMPLES, KINDS, ROOTS, SCHEMA, document, messages, settled
from .jz import normal
from .kinds import tijdstippen

DOCUMENTS = sorted(EXAMPLES.glob("*.xml"))
XSD = "{http://www.w3.org/2001/XMLSchema}"

every_root = pytest.mark.parametrize("root", ROOTS)


def squeezed(text: bytes) -> bytes:
    return re.sub(rb">\s+<", b"><", text).strip()


@every_root
def test_a_mapping_speaks_of_every_leaf_of_both_sides(root: str) -> None:
    assert [] == GCOS.mappings[root].unmapped()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_an_example_is_carried_without_loss_and_comes_back_the_same(path: Any) -> None:
    text = path.read_bytes()
    parsed = GCOS.parse(text)
    rendered = GCOS.render(lees(schrijf(parsed.bericht)))

    assert parsed.root == GCOS.recognises(text) == path.stem.split("-")[0]
    assert () == parsed.loss == rendered.loss
    assert squeezed(text) == squeezed(rendered.document)


def test_every_document_has_an_example() -> None:
    assert {root.partition(":")[2] for root in ROOTS} == {p.stem.split("-")[0] for p in DOCUMENTS}


@every_root
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_document_comes_back_the_same(root: str, seed: int) -> None:
    """render(parse(d)) == d, but for the listed normalisations."""
    given_document, shape = document(root, seed), GCOS.structures[root]
    parsed = GCOS.parse(etree.tostring(given_document))
    rendered = GCOS.render(parsed.bericht)

    assert () == parsed.loss == rendered.loss
    expected = normal(settled(_without_empty(given_document, shape)), shape)
    assert expected == normal(read(rendered.document), shape)


def _without_empty(node: etree._Element, shape: Any) -> etree._Element:
    """Empty optional elements say nothing and are dropped."""
    for child in list(node):
        spec = shape.by_tag[child.tag]
        if spec.leaf and not spec.required and not child.text:
            node.remove(child)
        else:
            _without_empty(child, spec)
    return node


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_comes_back_is_what_was_sent_without_the_loss_account(
    kind: str, data: st.DataObject
) -> None:
    """(d, loss) = render(m) implies parse(d) == erase(m, loss)."""
    sent = data.draw(messages(kind))
    rendered = GCOS.render(lees(sent))
    back = GCOS.parse(rendered.document)
    expected, found = schrijf(lees(erase(sent, list(rendered.loss)))), schrijf(back.bericht)
    for one in (expected, found):
        for elsewhere in ("source", "conversatieid"):
            one.pop(elsewhere, None)

    assert {"weg"} >= {entry.how for entry in rendered.loss}
    assert () == back.loss
    assert expected == found
    assert rendered.document == GCOS.render(back.bericht).document


def test_the_schema_knows_the_codes_of_the_tables_and_no_other() -> None:
    tables = {
        "Thema": "gcos-thema",
        "Casusstatus": "gcos-status",
        "Casusrol": "gcos-rol",
        "Vertrouwelijkheid": "gcos-vertrouwelijkheid",
        "Deelnemerrol": "gcos-deelnemerrol",
        "Overlegsoort": "gcos-overleg",
        "Actiestatus": "gcos-actiestatus",
        "Isdfase": "gcos-isdfase",
        "Documentsoort": "gcos-document",
        "Positie": "gcos-positie",
        "Triagebesluit": "gcos-triagebesluit",
        "Triagecriterium": "gcos-criterium",
        "Oordeel": "gcos-oordeel",
        "SoortContact": "gcos-contact",
        "Geslacht": "geslacht",
        "SoortAdres": "soortadres",
        "Relatie": "relatie",
        "Hoedanigheid": "hoedanigheid",
        "Betrokkenheid": "betrokkenheid",
        "Informeringswijze": "informeringswijze",
        "Leefgebiedcode": "leefgebied",
        "Bestemming": "bestemming",
        "SoortVrager": "soortverzoeker",
        "RedenVraag": "redenverzoek",
        "Uitkomst": "meldingstatus",
    }
    found = {}
    for simple in etree.parse(str(SCHEMA)).iter(f"{XSD}simpleType"):
        values = [str(node.get("value")) for node in simple.iter(f"{XSD}enumeration")]
        if values and simple.get("name") != "JaNee":
            found[str(simple.get("name"))] = values

    assert tables.keys() == found.keys()
    for name, values in found.items():
        table = codes.tables()[f"code {tables[name]}"]
        assert values == [table.render(table.parse(value, {})) for value in values]


@pytest.mark.parametrize(
    "own", [name for name in codes.tables() if name.startswith("code gcos-")], ids=str
)
def test_a_table_of_gcos_has_a_code_for_every_word_of_ours(own: str) -> None:
    """Otherwise a casus from the national system could not go back while GCOS still leads."""
    same = {
        "gcos-status": "casusstatus",
        "gcos-rol": "casusrol",
        "gcos-overleg": "overlegsoort",
        "gcos-document": "documentsoort",
        "gcos-criterium": "triagecriterium",
        "gcos-contact": "contactsoort",
    }
    name = own.removeprefix("code ")
    words = Lijst(same.get(name, name.removeprefix("gcos-"))).woorden

    assert len(words) == len({codes.tables()[own].render(word) for word in words})


@pytest.mark.parametrize(
    ("thema", "level"),
    [("weegploeg", "verhoogd"), ("mensenhandel", "strikt"), ("isd", "normaal")]
    + [(thema, "normaal") for thema in Lijst("thema").woorden],
)
def test_every_theme_arrives_with_its_vertrouwelijkheid(thema: str, level: str) -> None:
    sent = schrijf(GCOS.parse((EXAMPLES / "casus.xml").read_bytes()).bericht)
    sent["data"]["casus"] |= {"thema": thema, "vertrouwelijkheid": level}
    back = schrijf(GCOS.parse(GCOS.render(lees(sent)).document).bericht)

    assert (thema, level) == tuple(back["data"]["casus"][k] for k in ("thema", "vertrouwelijkheid"))


# --- dates, times, numbers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("12-04-1985", "1985-04-12"), ("00-04-1985", "1985-04"), ("00-00-1985", "1985")],
)
def test_an_unknown_part_of_a_date_is_00(theirs: str, ours: str) -> None:
    datum = CONVERTERS["gcos-datum"]
    assert (ours, theirs) == (datum.parse(theirs, {}), datum.render(ours))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("06-10-2025 19:30", "2025-10-06T19:30+02:00"),
        ("06-01-2025 19", "2025-01-06T19+01:00"),
        ("06-10-2025 19:30:05.120", "2025-10-06T19:30:05.120+02:00"),
        ("26-10-2025 02:30", "2025-10-26T02:30+02:00"),  # the first of two
        ("26-10-2025 02:30+01:00", "2025-10-26T02:30+01:00"),  # the second
        ("06-10-2025 19:30Z", "2025-10-06T19:30Z"),
        ("00-10-2025", "2025-10"),
    ],
)
def test_a_time_without_zone_is_dutch_and_another_zone_is_written(theirs: str, ours: str) -> None:
    tijdstip = CONVERTERS["gcos-tijdstip"]
    assert (ours, theirs) == (tijdstip.parse(theirs, {}), tijdstip.render(ours))


@given(tijdstippen)
def test_no_instant_changes_on_the_way(value: str) -> None:
    tijdstip = CONVERTERS["gcos-tijdstip"]
    assert value == tijdstip.parse(tijdstip.render(value), {})


@pytest.mark.parametrize("text", ["31-02-2025", "12-00-2025", "00-13-2025", "01-01-0000", "1-1-25"])
def test_a_date_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        CONVERTERS["gcos-datum"].parse(text, {})
    assert text not in caught.value.reason()


@pytest.mark.parametrize(
    "text", ["06-10-2025 24:00", "00-10-2025 12:00", "06-10-2025 19:3", "01-01-1900 12:00"]
)
def test_a_time_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        CONVERTERS["gcos-tijdstip"].parse(text, {})


def test_the_first_day_of_the_calendar_has_no_utc_and_is_refused() -> None:
    with pytest.raises(InvalidValue):
        CONVERTERS["gcos-moment"].parse("01-01-0001 00:00:00+01:00", {})


@pytest.mark.parametrize(
    ("written", "other"),
    [(b"4811 AB", b"4811AB"), (b">999990342<", b"> 999990342\n<"), (b">HG<", b"> HG <")],
)
def test_other_spellings_mean_the_same(written: bytes, other: bytes) -> None:
    text = (EXAMPLES / "casus.xml").read_bytes()
    assert written in text
    assert GCOS.parse(text).bericht == GCOS.parse(text.replace(written, other)).bericht


@pytest.mark.parametrize(
    ("written", "wrong", "place"),
    [
        (b"999990342", b"999990343", "GCOS:bsn"),
        (b">HG<", b">XX<", "GCOS:thema"),
        (b"12-04-1985", b"31-02-1985", "GCOS:gebDatum"),
        (b"ongeboren>J<", b"ongeboren>ja<", "GCOS:ongeboren"),
    ],
)
def test_an_impossible_value_is_refused_and_pointed_out(
    written: bytes, wrong: bytes, place: str
) -> None:
    text = (EXAMPLES / "casus.xml").read_bytes()
    assert written in text
    with pytest.raises(InvalidDocument) as caught:
        GCOS.parse(text.replace(written, wrong, 1))

    assert (caught.value.path or "").endswith(place)
    assert wrong.decode().strip("<>") not in caught.value.reason()
