"""bij/1.0 and zsm/1.0: what the law describes, carried both ways without loss."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from adapters.bij import BIJ_1 as BIJ
from adapters.zsm.afdoening import ZSM_1 as ZSM
from gateway.errors import InvalidDocument, InvalidValue, NotExpressible, UnknownDocument
from gateway.formats import codes, dialect
from gateway.formats.dialect import XmlDialect
from gateway.formats.structure import leaves
from gateway.formats.xmldoc import read
from gateway.model import lees, schrijf
from gateway.model.lijsten import Lijst

from .berichten import erase
from .eigen import (
    ADAPTERS,
    EXAMPLES,
    KINDS,
    ROOTS,
    SCHEMAS,
    SPECIAL,
    XSD,
    document,
    schema,
    settled,
)
from .jz import normal
from .kinds import kinds

DOCUMENTS = sorted([*(EXAMPLES / "bij").glob("*.xml"), *(EXAMPLES / "zsm").glob("*.xml")])

either = pytest.mark.parametrize(("adapter", "root"), ROOTS, ids=[root for _, root in ROOTS])


def example(name: str) -> bytes:
    return (EXAMPLES / name).read_bytes()


def of(path: Path) -> XmlDialect:
    return BIJ if path.parent.name == "bij" else ZSM


def squeezed(text: bytes) -> bytes:
    return re.sub(rb">\s+<", b"><", text).strip()


def event(name: str) -> dict[str, Any]:
    adapter = of(EXAMPLES / name)
    return schrijf(adapter.parse(example(name)).bericht)


@either
def test_a_mapping_speaks_of_every_leaf_of_both_sides(adapter: XmlDialect, root: str) -> None:
    assert [] == adapter.mappings[root].unmapped()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_an_example_is_carried_without_loss_and_comes_back_the_same(path: Path) -> None:
    adapter, text = of(path), path.read_bytes()
    parsed = adapter.parse(text)
    rendered = adapter.render(lees(schrijf(parsed.bericht)))

    assert parsed.root == adapter.recognises(text)
    assert () == parsed.loss == rendered.loss
    assert squeezed(text) == squeezed(rendered.document)


def test_every_document_has_an_example() -> None:
    assert {root.partition(":")[2] for _, root in ROOTS} == {
        p.stem.split("-")[0] for p in DOCUMENTS
    }


@either
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_document_comes_back_the_same(adapter: XmlDialect, root: str, seed: int) -> None:
    """render(parse(d)) == d, but for the listed normalisations."""
    given_document, shape = document(adapter, root, seed), adapter.structures[root]
    parsed = adapter.parse(etree.tostring(given_document))
    rendered = adapter.render(parsed.bericht)

    assert {"@noValue"} >= {entry.path.rpartition("/")[2] for entry in parsed.loss}
    assert () == rendered.loss
    assert normal(settled(given_document), shape) == normal(read(rendered.document), shape)


@cache
def _messages(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return kinds(kind, SPECIAL)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_comes_back_is_what_was_sent_without_the_loss_account(
    kind: str, data: st.DataObject
) -> None:
    """(d, loss) = render(m) implies parse(d) == erase(m, loss)."""
    sent, adapter = data.draw(_messages(kind)), KINDS[kind]
    rendered = adapter.render(lees(sent))
    back = adapter.parse(rendered.document)
    again = adapter.render(back.bericht)
    gone = [entry for entry in rendered.loss if entry.how == "weg"]
    rounded = [entry.path for entry in rendered.loss if entry.how == "afgerond"]
    expected, found = schrijf(lees(erase(sent, gone))), schrijf(back.bericht)
    for one in (expected, found):
        for elsewhere in ("source", "conversatieid"):
            one.pop(elsewhere, None)
        for path in rounded:
            assert "data.beslistOp" == path  # the only value that can be rounded here
            one["data"].pop("beslistOp", None)

    assert () == back.loss
    assert expected == found
    assert rendered.document == again.document


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda adapter: adapter.name)
def test_the_schema_knows_the_codes_of_the_tables_and_no_other(adapter: XmlDialect) -> None:
    """An enumeration that a table cannot translate would be refused without reason."""
    tables = {
        "Terugkeersoort": "terugkeer",
        "Titel": "detentietitel",
        "Basisvoorwaardesoort": "basisvoorwaarde",
        "Basisvoorwaardestand": "basisvoorwaardestand",
        "Risico": "risico",
        "Weging": "weging",
        "Reden": "herroepingsreden",
        "Geslacht": "geslacht",
        "SoortAdres": "soortadres",
        "Beslissing": "afdoening",
        "Sepotcode": "sepot",
        "Routering": "routering",
    }
    own = {"GeenWaarde", "Berichtsoort"}  # read as they are
    found = {}
    for simple in etree.parse(str(schema(adapter))).iter(f"{XSD}simpleType"):
        values = [str(node.get("value")) for node in simple.iter(f"{XSD}enumeration")]
        if values and simple.get("name") not in own:
            found[str(simple.get("name"))] = values

    assert found
    for name, values in found.items():
        table = codes.tables()[f"code {tables[name]}"]
        assert values == [table.render(table.parse(value, {})) for value in values]
        assert len(values) == len(Lijst(tables[name]).woorden)


def test_the_skn_stands_where_the_law_allows_it_and_nowhere_else() -> None:
    """Sv art. 27b, Wjsg art. 51c(2): only in detentiegegevens."""
    with_skn = {
        root
        for adapter, root in ROOTS
        for leaf in leaves(adapter.structures[root])
        if "skn" in leaf.lower()
    }

    assert {"BIJ:detentiegegevens"} == with_skn


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("bij/bijMelding.xml", "data.melding.persoon"),
        ("bij/correctie.xml", "data.melding.persoon"),
        ("bij/drPlan.xml", "data.persoon"),
        ("bij/risicoInformatie.xml", "data.persoon"),
        ("zsm/afdoeningsbeslissing.xml", "data.persoon"),
    ],
)
def test_an_skn_in_the_message_is_left_out_and_accounted_for(name: str, place: str) -> None:
    sent = event(name)
    person = sent
    for step in place.split("."):
        person = person[step]
    person["skn"] = "7654321"
    adapter = of(EXAMPLES / name)
    rendered = adapter.render(lees(sent))

    (entry,) = rendered.loss
    assert (f"{place}.skn", "justitie", "weg") == (entry.path, entry.category, entry.how)
    assert "Sv art. 27b" in entry.reason
    assert b"7654321" not in rendered.document


@pytest.mark.parametrize("change", ["four", "six", "twice"])
def test_a_plan_without_five_different_basisvoorwaarden_is_refused(change: str) -> None:
    sent = event("bij/drPlan.xml")
    root = etree.fromstring(example("bij/drPlan.xml"))
    first = root.findall("{*}basisvoorwaarde")[0]
    if change == "four":
        root.remove(first)
        del sent["data"]["basisvoorwaarden"][0]
    elif change == "six":
        first.addnext(etree.fromstring(etree.tostring(first)))
        sent["data"]["basisvoorwaarden"].append(sent["data"]["basisvoorwaarden"][0])
    else:
        first[0].text = "zorg"
        sent["data"]["basisvoorwaarden"][0]["soort"] = "zorg"

    with pytest.raises(InvalidDocument):
        BIJ.parse(etree.tostring(root))
    with pytest.raises((InvalidDocument, InvalidValue)):
        lees(sent)


def test_detentiegegevens_say_all_that_the_law_lists_or_why_not() -> None:
    """Wjsg art. 51c(2): a term without end is known to have none."""
    detentie = event("bij/detentiegegevens-tbs.xml")["data"]["detentie"]

    assert {"einde": "vastgesteldOnbekend"} == detentie["geenWaarde"]
    assert "bestemming" not in detentie
    with pytest.raises(InvalidDocument):
        text = re.sub(rb"<BIJ:bestemming[^>]*/>", b"", example("bij/detentiegegevens-tbs.xml"))
        BIJ.parse(text)


def test_a_correction_repeats_the_melding_with_another_release_date() -> None:
    first, second = event("bij/bijMelding.xml"), event("bij/correctie.xml")

    assert first["id"] == second["data"]["betreft"]["berichtid"]
    assert first["data"]["melding"]["identificatie"] == second["data"]["betreft"]["zaak"]
    assert "2026-02-14" == first["data"]["melding"]["terugkeer"].pop("datum")
    assert "2026-01-31" == second["data"]["melding"]["terugkeer"].pop("datum")
    assert first["data"]["melding"] == second["data"]["melding"]


def test_a_melding_names_both_municipalities() -> None:
    melding = event("bij/bijMelding.xml")["data"]["melding"]

    assert ("0758", "0855") == (melding["gemeente"], melding["tweedeGemeente"])


@pytest.mark.parametrize(
    ("written", "other"),
    [
        (b"02/123456-24", b"02.123456.24"),
        (b"4811AB", b"4811 AB"),
        (b"2025-11-20T09:30:00Z", b"2025-11-20T10:30:00.000+01:00"),
        (b"<BIJ:soort>definitief<", b"<BIJ:soort>\n definitief <"),
    ],
)
def test_other_spellings_mean_the_same(written: bytes, other: bytes) -> None:
    text = example("bij/bijMelding.xml")
    assert written in text
    parsed = BIJ.parse(text.replace(written, other))

    assert BIJ.parse(text).bericht == parsed.bericht
    assert () == parsed.loss


@pytest.mark.parametrize(
    ("written", "wrong", "place"),
    [
        (b"2026-02-14<", b"2026-02-30<", "BIJ:melding/BIJ:terugkeer/BIJ:datum"),
        (b"2026-02-14<", b"2026-02-14Z<", "BIJ:melding/BIJ:terugkeer/BIJ:datum"),
        (b"1985-04-12", b"0000", "BIJ:melding/BIJ:persoon/BIJ:geboortedatum"),
        (b"09:30:00Z", b"09:30:00", "BIJ:berichtgegevens/BIJ:tijdstip"),
        (b"09:30:00Z", b"24:00:00Z", "BIJ:berichtgegevens/BIJ:tijdstip"),
        (b"2025-11-20T09:30:00Z", b"0001-01-01T00:00:00+01:00", "BIJ:berichtgegevens/BIJ:tijdstip"),
        (b"999990342", b"999990343", "BIJ:melding/BIJ:persoon/BIJ:bsn"),
        (b"02/123456-24", b"02/123456.24", "BIJ:melding/BIJ:uitspraak/BIJ:parketnummer"),
        (b"4811AB", b"0811AB", "/BIJ:binnenland/BIJ:postcode"),
        (b"definitief", b"ontsnapt", "BIJ:melding/BIJ:terugkeer/BIJ:soort"),
    ],
)
def test_an_impossible_value_is_refused_and_pointed_out(
    written: bytes, wrong: bytes, place: str
) -> None:
    text = example("bij/bijMelding.xml")
    assert written in text
    with pytest.raises(InvalidDocument) as caught:
        BIJ.parse(text.replace(written, wrong, 1))

    assert (caught.value.path or "").endswith(place)
    assert wrong.decode().strip("<") not in caught.value.reason()


def test_a_time_without_minutes_is_written_with_them_and_said_to_be_rounded() -> None:
    sent = event("zsm/afdoeningsbeslissing.xml")
    sent["data"]["beslistOp"] = "2025-10-06T19+02:00"
    rendered = ZSM.render(lees(sent))

    assert b"<ZSM:beslistOp>2025-10-06T19:00:00+02:00</ZSM:beslistOp>" in rendered.document
    assert [("data.beslistOp", "afgerond")] == [(one.path, one.how) for one in rendered.loss]


def test_a_message_the_schema_has_no_room_for_is_refused_not_cut_off() -> None:
    sent = event("bij/intrekking.xml")
    sent["data"]["betreft"]["soort"] = "casus"
    with pytest.raises(NotExpressible) as caught:
        BIJ.render(lees(sent))

    assert "BIJ:intrekking/BIJ:betreft/BIJ:soort" == caught.value.path


def test_a_reference_to_detentiegegevens_does_not_tell_the_skn() -> None:
    sent = lees(event("bij/detentiegegevens.xml"))

    assert "TUL-2025-000815" == sent.data.zaak()


# --- two versions at once -------------------------------------------------------------------------

NAMESPACE = ("urn:nl:zvh:bij:1.0", "urn:nl:zvh:bij:1.1")
TOT = """      <xs:element name="tot" type="BIJ:Datum" minOccurs="0">"""
TIJD = """      <xs:element name="tijd" type="xs:time" minOccurs="0"/>\n"""
NIET = """"BIJ:tijd" = { niet = "Wij kennen de dag, niet het uur." }\n"""
CHANGES = (
    ("schemas/bij/1.1/bij.xsd", *NAMESPACE),
    ("schemas/bij/1.1/bij.xsd", 'name="inrichting"', 'name="naamInrichting"'),
    ("schemas/bij/1.1/bij.xsd", TOT, TIJD + TOT),
    ("mappings/bij/fragmenten.toml", '"BIJ:inrichting"', '"BIJ:naamInrichting"'),
    ("mappings/bij/fragmenten.toml", "[terugkeer]\n", "[terugkeer]\n" + NIET),
)
"""bij/1.1, made up: `terugkeer` has gained `tijd`, `inrichting` is called `naamInrichting`."""


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> XmlDialect:
    """An adapter for bij/1.1, over a copy of the data folders with `CHANGES`."""
    data = SCHEMAS.parent
    (tmp_path / "schemas" / "bij").mkdir(parents=True)
    shutil.copytree(data / "schemas" / "bij" / "1.0", tmp_path / "schemas" / "bij" / "1.1")
    shutil.copytree(data / "mappings" / "bij", tmp_path / "mappings" / "bij")
    for name, old, new in CHANGES:
        text = (tmp_path / name).read_text("utf-8")
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new), "utf-8")
    adapter = replace(BIJ, name="bij/1.1", prefixes={"BIJ": NAMESPACE[1]})
    with monkeypatch.context() as patched:  # it finds its files there; the other has read its own
        patched.setattr(dialect, "folder", lambda name: tmp_path / name)
        adapter.load()
    return adapter


def test_two_versions_are_live_at_once_and_mean_the_same(newer: XmlDialect) -> None:
    old_text, new_text = example("bij/bijMelding.xml"), example("bij-1.1/bijMelding.xml")
    BIJ.load()
    live = (BIJ, newer)
    read_by = {
        text: [adapter.name for adapter in live if adapter.recognises(text)]
        for text in (old_text, new_text)
    }
    old = BIJ.parse(old_text)
    new = newer.parse(new_text)

    assert {old_text: ["bij/1.0"], new_text: ["bij/1.1"]} == read_by
    assert old.bericht == new.bericht
    assert () == old.loss
    assert [("BIJ:melding/BIJ:terugkeer/BIJ:tijd", "weg")] == [(x.path, x.how) for x in new.loss]


def test_one_message_goes_out_in_the_version_each_partner_speaks(newer: XmlDialect) -> None:
    bericht = BIJ.parse(example("bij/bijMelding.xml")).bericht
    old = BIJ.render(bericht)
    new = newer.render(bericht)

    assert b"<BIJ:inrichting>PI Voorbeeld</" in old.document
    assert b"<BIJ:naamInrichting>PI Voorbeeld</" in new.document
    assert () == old.loss == new.loss
    assert bericht == newer.parse(new.document).bericht


def test_a_document_of_another_version_is_not_taken_for_one_of_this(newer: XmlDialect) -> None:
    for adapter, text in ((newer, "bij/bijMelding.xml"), (BIJ, "bij-1.1/bijMelding.xml")):
        with pytest.raises(UnknownDocument):
            adapter.parse(example(text))
