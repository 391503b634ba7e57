"""StUF-JZ 1.0.9: every root carried both ways; what has no place is accounted for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.errors import GatewayError, NotExpressible, UnknownCode
from gateway.formats import codes
from gateway.formats.stufjz import STUF_JZ
from gateway.formats.xmldoc import XSI, read
from gateway.model import SOORTEN, lees, schrijf
from gateway.model.velden import velden

from .berichten import erase, tekst
from .generate import Generator, generator
from .jz import OURS, ROOTS, meaningful, says, without, written_as
from .kinds import Special, kinds

ELSEWHERE = ("vto", "notificatie", "zorgmelding", "Bv", "Fo")  # tests/test_onderzoek.py
DOCUMENTS = [d.name for d in STUF_JZ.documents if not d.name.startswith(ELSEWHERE)]
PUBLISHED = Path(__file__).resolve().parents[2] / "shared" / "standards" / "corv-1.0.9"
REFUSALS = {"waarde-ongeldig", "bsn-ongeldig", "code-onbekend"}

each_root = pytest.mark.parametrize("root", DOCUMENTS)
lenient = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def _qualified(root: str) -> str:
    return next(document.root for document in STUF_JZ.documents if document.name == root)


def _made(root: str, published: bool) -> Generator:
    ours, theirs = ROOTS[root]
    return generator(PUBLISHED / theirs if published else OURS / ours, root)


def _carried(root: str, document: etree._Element) -> None:
    """render(parse(d)) is valid and says what d says, but for what the account names."""
    shape, forms = STUF_JZ.structures[_qualified(root)], _forms(root)
    parsed = STUF_JZ.parse(etree.tostring(document))
    rendered = STUF_JZ.render(lees(schrijf(parsed.bericht)), root)

    assert () == rendered.loss
    expected = without(says(document, shape, forms), [loss.path for loss in parsed.loss])
    assert expected == without(says(read(rendered.document), shape, forms), [])
    assert all(loss.reason for loss in parsed.loss), parsed.loss


@cache
def _forms(root: str) -> dict[str, str]:
    return written_as(STUF_JZ.mappings[_qualified(root)].scope)


@each_root
@pytest.mark.parametrize("published", [False, True], ids=["our schema", "published schema"])
@lenient
@given(seed=st.integers(0, 2**32))
def test_a_valid_document_comes_back_the_same(root: str, published: bool, seed: int) -> None:
    if published and not PUBLISHED.is_dir():
        pytest.skip("the published schemas are not in ../shared/standards")
    made = _made(root, published).valid(seed, typed=seed % 2 > 0)
    _carried(root, meaningful(made, _forms(root), seed))


@each_root
@lenient
@given(seed=st.integers(0, 2**32))
def test_a_valid_document_full_of_borders_is_read_or_refused_with_a_reason(
    root: str, seed: int
) -> None:
    document = etree.tostring(_made(root, PUBLISHED.is_dir()).valid(seed))
    try:
        STUF_JZ.parse(document)
    except GatewayError as error:
        assert error.code in REFUSALS, (error.code, error.path)
        assert error.path


EXAMPLES = Path(__file__).parent / "examples" / "stuf-jz" / "valid"
TYPE = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type='
CONTACT = "StUF:aanvullendeIdentificerendeGegevens"
SAFETY = "JZ:verantwoordelijkVoorZichtOpDeVeiligheidBelegdBij"
CONTACTED = f"""<StUF:zender{TYPE}"StUF:Systeem-corv-e">\\1<{CONTACT}>
<StUF:emailadres>proef@voorbeeld.example</StUF:emailadres></{CONTACT}></StUF:zender>"""
NUMBERED = f"""\\1<JZ:betreft StUF:entiteittype="VTMZOS"><JZ:gerelateerde StUF:entiteittype="ZOS">
<{SAFETY} StUF:entiteittype="ZOSBTR"><JZ:gerelateerde{TYPE}"ZKN:BTR-r-e-vt-terugkoppeling">
<ZKN:naam>G. Proef</ZKN:naam><ZKN:oinNummer>00000099000000004000</ZKN:oinNummer>
</JZ:gerelateerde></{SAFETY}></JZ:gerelateerde></JZ:betreft>"""
SEARCHED = f'<StUF:tijdstipBericht{TYPE}"StUF:Tijdstip-e" StUF:exact="false">'
# A document, what is replaced in it to name a type with more in it, and the end of what is lost.
DERIVED = {
    "an element of a system": (
        *("meldingGeneriekDi01", "<StUF:zender>(.*?)</StUF:zender>", CONTACTED),
        f"StUF:zender/{CONTACT}",
    ),
    "an element of an organisation": (
        *("vtTerugkoppelingDi01", "(</JZ:identificatieVtMelding>)", NUMBERED),
        f"{SAFETY}/JZ:gerelateerde/ZKN:oinNummer",
    ),
    "an attribute of a text": (
        *("notificatieDi01", "<StUF:tijdstipBericht>", SEARCHED),
        "StUF:tijdstipBericht/@StUF:exact",
    ),
}


@pytest.mark.parametrize("name", DERIVED)
def test_what_only_a_derived_type_adds_is_accounted_for(name: str) -> None:
    """With xsi:type a document holds more than the element that our structure knows."""
    root, old, new, lost = DERIVED[name]
    text = (EXAMPLES / f"{root}.xml").read_text()
    document, times = re.subn(old, new, text, flags=re.DOTALL)
    assert times == 1
    parsed = STUF_JZ.parse(document.encode())
    (entry,) = parsed.loss

    assert entry.path.endswith(lost)
    assert entry.reason
    assert () == STUF_JZ.parse(STUF_JZ.render(parsed.bericht, root).document).loss


XSD = "{http://www.w3.org/2001/XMLSchema}"
CODE_LISTS = {
    "BetrokkenheidContentType": "betrokkenheid",
    "BetrokkenheidHoedanigheidType": "hoedanigheid",
    "BetrokkenheidRelatieType": "relatie",
    "Foutplek": "foutplek",
    "Geslachtsaanduiding": "geslacht",
    "Informeringswijze": "informeringswijze",
    "LeefgebiedType": "leefgebied",
    "RedenMeldingContentTypeEnum": "redenverzoek",
    "SASHniveau": "sashniveau",
    "SoortAdresType": "soortadres",
    "SoortMeldingContentType": "bestemming",
    "StatusMeldingContentType": "meldingstatus",
    "StatusVeiligheidsbeoordeling": "vt-status",
    "UitkomstVeiligheidsbeoordeling": "vt-uitkomst",
    "VertrouwelijkAanduiding": "vertrouwelijkaanduiding",
    "VraagAntwoordType": "vraagcode",
}
NO_LISTS = {"AardAantal", "Berichtcode", "BerichtcodeDi01", "INDIC", "IndOnvolledigeDatum"} | {
    *("Indicatie", "NoValue", "Verwerkingssoort", "scope")  # read as they are, or fixed
}


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="the published schemas lie beside the checkout")
def test_every_code_list_of_the_standard_is_a_table_and_whole() -> None:
    found: dict[str, set[str]] = {}
    for path in PUBLISHED.rglob("*.xsd"):
        for simple in etree.parse(str(path)).iter(f"{XSD}simpleType"):
            values = {str(node.get("value")) for node in simple.iter(f"{XSD}enumeration")}
            parent = simple.getparent()
            assert parent is not None
            name = str(simple.get("name") or parent.get("name"))
            if values and name not in NO_LISTS and not name.startswith("Functie-"):
                found.setdefault(name, set()).update(values)

    assert CODE_LISTS.keys() == found.keys()
    for name, values in found.items():
        table = codes.tables()[f"code {CODE_LISTS[name]}"]
        assert values == {table.render(table.parse(value, {})) for value in values}, name
        with pytest.raises(UnknownCode):
            table.parse("geen code", {})


@pytest.mark.parametrize("root", [document.name for document in STUF_JZ.documents])
@lenient
@given(seed=st.integers(0, 2**32))
def test_a_marker_in_any_leaf_or_attribute_is_found_again_or_accounted_for(
    root: str, seed: int
) -> None:
    """Every text a document holds is in what we make of it, or its place is in the account."""
    made = _made(root, PUBLISHED.is_dir())
    document = meaningful(made.valid(seed), _forms(root), seed)
    marked = dict(_marked(document, made))
    try:
        parsed = STUF_JZ.parse(etree.tostring(document))
    except GatewayError as error:  # a mark where the model is stricter than the schema
        assert error.code in REFUSALS
        return
    said = str(schrijf(parsed.bericht))
    gone = [re.sub(r"\[\d+\]|\w+:", "", loss.path) for loss in parsed.loss]
    for mark, place in marked.items():
        assert mark in said or any(f"{place}/".startswith(f"{path}/") for path in gone), place
        assert mark not in repr(parsed.loss)


def _marked(document: etree._Element, made: Generator) -> Iterator[tuple[str, str]]:
    """Put a mark wherever the schema takes one; each with its place."""
    for number, node in enumerate(document.iter(etree.Element)):
        way = [node, *node.iterancestors()][:-1][::-1]
        place = "/".join(etree.QName(step).localname for step in way)
        for at, name in enumerate(node.attrib):
            mark, before = f"A{number:03}Z{at}Q", node.get(name)
            node.set(name, mark)
            if not str(name).startswith(XSI) and made.judge.validate(document):
                yield mark, f"{place}/@{etree.QName(name).localname}"
            else:
                node.set(name, before or "")
        text, mark = node.text, f"Z{number:03}Q"
        if len(node) == 0 and (text or "").strip():
            node.text = mark
            if made.judge.validate(document):
                yield mark, place
            else:
                node.text = text


SPECIAL: Special = {
    **dict.fromkeys(
        ("identificatie", "verzoekidentificatie", "verwijzing", "registratienummer"),
        lambda _: tekst(10, shortest=5),
    ),
    "applicatie": lambda _: tekst(10, shortest=3),
    "voorvoegsel": lambda _: tekst(10),
    "huisnummer": lambda _: st.integers(1, 99999).map(str),
    "huisletter": lambda _: st.sampled_from(["a", "Z"]),
    "toevoeging": lambda _: st.sampled_from(["bis", "2"]),
}
"""What the model leaves free and StUF-JZ does not."""


@cache
def _messages(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return kinds(kind, SPECIAL)


def _sorted(value: Any) -> Any:
    """Lists fed by several elements come back in the order of the document."""
    if isinstance(value, dict):
        inside = {key: _sorted(inner) for key, inner in sorted(value.items())}
        return {key: inner for key, inner in inside.items() if inner != {}}
    if isinstance(value, list):
        return sorted((_sorted(inner) for inner in value), key=repr)
    return value


FILLED: dict[str, dict[str, Any]] = {
    "data": {
        "gemeldOp": "2025-03-01",
        "verwijzing": "melding-1",
        "sashIngevuld": True,
        "resultaat": {"status": "overdracht"},
    },
    "verzoek": {"vragen": [{"code": "1"}]},
    "informatie": {"toelichting": "x", "antwoorden": [{"code": "1", "antwoord": "x"}]},
    "antwoorden": {"antwoord": "x"},
    "bijlagen": {"inhoud": "AA==", "naam": "x", "bestandsnaam": "x", "mediatype": "text/plain"},
    "betrokkenen": {
        "hoedanigheid": "verdachte",
        "relatie": "ouder",
        "betrokkenheid": "hulpverlener",
        "rol": "jeugdige",
    },
    "incident": {"begin": "2025-03-01"},
    "vragen": {"antwoord": "x"},
    "uitvoerende": {"naam": "x"},
    "indiener": {"naam": "x"},
}
"""What some document demands and the model does not: by the field in which it stands."""


def _filled(value: Any, fields: Any, place: str = "") -> Any:
    """The message with those of FILLED that the model of this kind knows."""
    if isinstance(value, list):
        return [_filled(item, fields, place) for item in value]
    if not isinstance(value, dict):
        return value
    wanted = {
        name: given
        for name, given in FILLED.get(place.rpartition(".")[2], {}).items()
        if any(f"{path}.".startswith(f"{place}.{name}.") for path in fields)
    }
    filled = {**wanted, **value}
    reasons = {k: r for k, r in value.get("geenWaarde", {}).items() if k not in wanted}
    filled.pop("geenWaarde", None)
    inner = {k: _filled(v, fields, f"{place}.{k}".strip(".")) for k, v in filled.items()}
    return {**inner, **({"geenWaarde": reasons} if reasons else {})}


def _comparable(event: dict[str, Any], root: str, rounded: list[str]) -> Any:
    """In normal form, without what travels in the envelope and without what was rounded."""
    elders = STUF_JZ.mappings[_qualified(root)].elders
    left = {key: value for key, value in event.items() if key not in elders}
    for path in rounded:
        _forget(left, re.sub(r"\[\d+\]", "", path).split("."))
    return _sorted(left)


def _forget(here: Any, path: list[str]) -> None:
    if isinstance(here, list):
        for item in here:
            _forget(item, path)
    elif path[0] in here and len(path) == 1:
        del here[path[0]]
    elif path[0] in here:
        _forget(here[path[0]], path[1:])


@each_root
@lenient
@given(data=st.data())
def test_what_comes_back_is_what_was_sent_without_the_loss_account(
    root: str, data: st.DataObject
) -> None:
    """(d, loss) = render(m) implies parse(d) == erase(m, loss)."""
    soort = STUF_JZ.mappings[_qualified(root)].soort
    sent = data.draw(_messages(soort))
    if data.draw(st.booleans()):
        sent = schrijf(lees({"antwoordop": "vraag-1", **_filled(sent, velden(SOORTEN[soort]))}))
    try:
        rendered = STUF_JZ.render(lees(sent), root)
    except (NotExpressible, UnknownCode) as error:
        assert error.path
        return
    back = STUF_JZ.parse(rendered.document)
    gone = [entry for entry in rendered.loss if entry.how == "weg"]
    rounded = [entry.path for entry in rendered.loss if entry.how == "afgerond"]
    expected, found = schrijf(lees(erase(sent, gone))), schrijf(back.bericht)

    assert () == back.loss
    assert _comparable(expected, root, rounded) == _comparable(found, root, rounded)
