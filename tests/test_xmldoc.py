"""Reading, checking, taking apart and writing XML and JSON documents."""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.errors import (
    DtdForbidden,
    DuplicateKey,
    Empty,
    GatewayError,
    InvalidDocument,
    NotExpressible,
    SchemaMissing,
    TooDeep,
    TooLarge,
    UnknownDocument,
)
from gateway.formats import jsondoc
from gateway.formats.structure import Element, structure
from gateway.formats.xmldoc import XSI, XmlSchema, read, to_tree, to_xml

from .generate import generator, mutated
from .test_schemas import OURS, PREFIXES, ROOTS

MARK = "ZXQMARKQXZ"
VCOB = structure(OURS / "jz-vv.xsd", "JZ:vcobDi01", PREFIXES)
SCHEMA = XmlSchema(OURS / "jz-vv.xsd", PREFIXES)


def shape(root: str) -> Element:
    return structure(OURS / ROOTS[root][0], f"JZ:{root}", PREFIXES)


def vcob(seed: int = 3) -> etree._Element:
    return generator(OURS / "jz-vv.xsd", "vcobDi01").valid(seed)


def at(root: etree._Element, path: str) -> etree._Element:
    found = root.find(path, PREFIXES)
    assert found is not None
    return found


def normal(node: etree._Element, spec: Element) -> tuple[object, ...]:
    """A document as it reads after the listed normalisations of `to_tree` and `to_xml`."""
    keys = spec.attribute_by_tag
    attributes = {keys[str(t)]: v for t, v in node.items() if t in keys}
    attributes |= spec.fixed
    attributes = {k: v for k, v in attributes.items() if spec.defaults.get(k) != v}
    nil = node.get(f"{XSI}nil", "").strip() in ("true", "1")
    text = node.text or "" if spec.leaf and not nil else ""
    if spec.collapse:
        text = re.sub("[ \t\r\n]+", " ", text).strip(" ")
    children = [normal(child, spec.by_tag[child.tag]) for child in node]
    return node.tag, attributes, nil, text, children


# --- reading ---------------------------------------------------------------------------------------


def bomb() -> bytes:
    levels = "".join(f'<!ENTITY x{i} "{f"&x{i - 1};" * 10}">' for i in range(1, 12))
    return f'<!DOCTYPE a [<!ENTITY x0 "{MARK}">{levels}]><a>&x11;</a>'.encode()


HOSTILE: dict[str, tuple[type[GatewayError], bytes]] = {
    "nothing": (Empty, b""),
    "white space": (Empty, b" \n\t"),
    "doctype": (DtdForbidden, b"<!DOCTYPE a><a/>"),
    "doctype in utf-16": (DtdForbidden, "<!DOCTYPE a><a/>".encode("utf-16")),
    "broken doctype in utf-16": (DtdForbidden, "<!DOCTYPE a><a>".encode("utf-16")),
    "external dtd": (DtdForbidden, b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'),
    "internal entity": (DtdForbidden, f'<!DOCTYPE a [<!ENTITY x "{MARK}">]><a>&x;</a>'.encode()),
    "external entity": (
        DtdForbidden,
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    ),
    "parameter entity": (
        DtdForbidden,
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/">%x;]><a/>',
    ),
    "billion laughs": (DtdForbidden, bomb()),
    "quadratic blow-up": (
        DtdForbidden,
        b'<!DOCTYPE a [<!ENTITY x "' + b"y" * 100_000 + b'">]><a>' + b"&x;" * 10_000 + b"</a>",
    ),
    "61 levels": (TooDeep, b"<a>" * 61 + b"</a>" * 61),
    "300 levels": (TooDeep, b"<a>" * 300 + b"</a>" * 300),
    "100 000 levels": (TooDeep, b"<a>" * 100_000 + b"</a>" * 100_000),
    "a text of 11 MB": (InvalidDocument, b"<a>" + b"x" * 11_000_000 + b"</a>"),
    "an attribute of 11 MB": (InvalidDocument, b'<a b="' + b"x" * 11_000_000 + b'"/>'),
    "two million elements": (TooLarge, b"<a>" + b"<b/>" * 2_000_000 + b"</a>"),
    "a million attributes": (
        TooLarge,
        b"<a " + b" ".join(b'b%d=""' % i for i in range(1_000_000)) + b"/>",
    ),
    "wide but not too wide": (InvalidDocument, b"<a>" + b"<b/>" * 400_000),
    "an entity called depth": (InvalidDocument, b"<a>&depth;</a>"),
    "unknown entity": (InvalidDocument, f"<a>&{MARK};</a>".encode()),
    "not closed": (InvalidDocument, f"<{MARK}>".encode()),
    "closed otherwise": (InvalidDocument, f"<{MARK}></x{MARK}>".encode()),
    "two roots": (InvalidDocument, b"<a/><b/>"),
    "same attribute twice": (InvalidDocument, f'<a {MARK}="1" {MARK}="2"/>'.encode()),
    "unknown prefix": (InvalidDocument, f"<{MARK}:a/>".encode()),
    "control character": (InvalidDocument, b"<a>\x01</a>"),
    "zero byte": (InvalidDocument, b"<a>\x00</a>"),
    "wrong bytes": (InvalidDocument, "<a>é</a>".encode("latin-1")),
    "unknown encoding": (InvalidDocument, f'<?xml version="1.0" encoding="{MARK}"?><a/>'.encode()),
    "json": (InvalidDocument, f'{{"a": "{MARK}"}}'.encode()),
    "binary": (InvalidDocument, bytes(range(256)) * 40),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_document_is_refused_at_once(name: str) -> None:
    expected, document = HOSTILE[name]
    started = time.monotonic()
    with pytest.raises(GatewayError) as refusal:
        read(document)
    assert type(refusal.value) is expected
    assert MARK not in f"{refusal.value} {refusal.value.detail} {refusal.value.path}"
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None
    assert time.monotonic() - started < 2


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(document: bytes) -> None:
    for reader in (read, jsondoc.read):
        with suppress(InvalidDocument, Empty):
            reader(document)


def test_sixty_levels_are_read() -> None:
    assert read(b"<a>" * 60 + b"</a>" * 60).tag == "a"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_an_encoding_that_is_declared_is_read(encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?><a>café</a>'
    assert read(text.encode(encoding)).text == "café"


def test_comments_and_instructions_are_dropped_and_text_stays_whole() -> None:
    root = read(b"<?x y?><!-- <!DOCTYPE a> --><a>1<!-- c -->2<?x y?>3<![CDATA[<4>]]></a>")
    assert root.text == "123<4>"
    assert len(root) == 0


# --- checking --------------------------------------------------------------------------------------

OBJECT = "JZ:object"
PERSON = "JZ:heeftBetrekkingOp/ZKN:gerelateerde/ZKN:natuurlijkPersoon"


def changed(path: str, how: Any) -> etree._Element:
    root = read(to_xml(to_tree(vcob(full_seed()), VCOB), VCOB))
    how(at(root, path))
    return root


def full_seed() -> int:
    """A document with a person that has a BSN and a date of birth, neither nil."""
    for seed in range(1000):
        root = vcob(seed)
        person = root.find(f"{OBJECT}/{PERSON}", PREFIXES)
        if person is not None and all(
            (leaf := person.find(name, PREFIXES)) is not None and leaf.text
            for name in ("BG:inp.bsn", "BG:geboortedatum")
        ):
            return seed
    raise AssertionError("no such document")


def text(value: str) -> Any:
    return lambda node: setattr(node, "text", value)


def attribute(tag: str, value: str) -> Any:
    return lambda node: node.set(tag, value)


STUF = f"{{{PREFIXES['StUF']}}}"
FAULTS: dict[str, tuple[str, Any, str, str]] = {
    "pattern": (
        f"{OBJECT}/{PERSON}/BG:inp.bsn",
        text(MARK),
        f"{OBJECT}/{PERSON}/BG:inp.bsn",
        "De waarde past niet in het patroon: [0-9]{9}.",
    ),
    "enumeration": (
        f"{OBJECT}/JZ:soortVerzoeker",
        text(MARK),
        f"{OBJECT}/JZ:soortVerzoeker",
        "De waarde is geen van de toegestane waarden: 01, 02, 03, 04, 05.",
    ),
    "too long": (
        f"{OBJECT}/JZ:identificatie",
        text(MARK * 5),
        f"{OBJECT}/JZ:identificatie",
        "De waarde heeft meer tekens dan het maximum: 40.",
    ),
    "too short": (
        f"{OBJECT}/JZ:identificatie",
        text("x"),
        f"{OBJECT}/JZ:identificatie",
        "De waarde heeft minder tekens dan het minimum: 5.",
    ),
    "type": (
        f"{OBJECT}/{PERSON}/BG:geboortedatum",
        text(MARK),
        f"{OBJECT}/{PERSON}/BG:geboortedatum",
        "De waarde is niet van het juiste type.",
    ),
    "digits": (
        f"{OBJECT}/{PERSON}/BG:geboortedatum",
        text("123456789"),
        f"{OBJECT}/{PERSON}/BG:geboortedatum",
        "De waarde heeft meer cijfers dan het maximum: 8.",
    ),
    "missing": (
        OBJECT,
        lambda node: node.remove(node[-1]),
        OBJECT,
        "Een verplicht element ontbreekt; verwacht: JZ:heeftAlsInitiator.",
    ),
    "missing in the middle": (
        OBJECT,
        lambda node: node.remove(node[0]),
        f"{OBJECT}/JZ:soortVerzoeker",
        "Dit element is hier niet toegestaan; verwacht: JZ:identificatie.",
    ),
    "unknown element": (
        OBJECT,
        lambda node: etree.SubElement(node, MARK),
        f"{OBJECT}/?",
        "Dit element is hier niet toegestaan.",
    ),
    "twice": (
        f"{OBJECT}/JZ:identificatie",
        lambda node: node.addnext(etree.fromstring(etree.tostring(node))),
        f"{OBJECT}/JZ:identificatie[2]",
        "Dit element is hier niet toegestaan; verwacht: JZ:soortVerzoeker.",
    ),
    "text between elements": (
        OBJECT,
        text(MARK),
        OBJECT,
        "Dit element bevat alleen elementen, geen tekst.",
    ),
    "element in text": (
        f"{OBJECT}/JZ:identificatie",
        lambda node: etree.SubElement(node, MARK),
        f"{OBJECT}/JZ:identificatie",
        "Dit element bevat alleen tekst, geen elementen.",
    ),
    "nil that may not be": (
        f"{OBJECT}/JZ:identificatie",
        attribute(f"{XSI}nil", "true"),
        f"{OBJECT}/JZ:identificatie",
        "Dit element mag niet met xsi:nil leeg gelaten worden.",
    ),
    "nil with content": (
        f"{OBJECT}/{PERSON}/BG:inp.bsn",
        attribute(f"{XSI}nil", "true"),
        f"{OBJECT}/{PERSON}/BG:inp.bsn",
        "Een element met xsi:nil heeft geen inhoud.",
    ),
    "attribute that may not be": (
        f"{OBJECT}/{PERSON}",
        attribute(f"{STUF}scope", MARK),
        f"{OBJECT}/{PERSON}/@StUF:scope",
        "Dit attribuut is hier niet toegestaan: StUF:scope.",
    ),
    "unknown attribute": (
        f"{OBJECT}/{PERSON}",
        attribute(MARK, MARK),
        f"{OBJECT}/{PERSON}/@?",
        "Dit attribuut is hier niet toegestaan.",
    ),
    "attribute missing": (
        OBJECT,
        lambda node: node.attrib.clear(),
        OBJECT,
        "Een verplicht attribuut ontbreekt: StUF:entiteittype.",
    ),
    "attribute value": (
        f"{OBJECT}/{PERSON}",
        attribute(f"{STUF}verwerkingssoort", MARK),
        f"{OBJECT}/{PERSON}/@StUF:verwerkingssoort",
        "De waarde is geen van de toegestane waarden: T, W, V, E, I, R, S, O.",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_by_place_and_rule(name: str) -> None:
    target, change, place, rule = FAULTS[name]
    with pytest.raises(InvalidDocument) as refusal:
        SCHEMA.validate(changed(target, change))
    assert refusal.value.detail == rule
    assert refusal.value.path == f"JZ:vcobDi01/{place}"


def test_the_place_does_not_depend_on_the_prefixes_of_the_sender() -> None:
    document = etree.tostring(changed(f"{OBJECT}/JZ:soortVerzoeker", text("99"))).decode()
    document = document.replace("JZ:", "").replace("xmlns:JZ=", "xmlns=")
    document = document.replace("ZKN:", f"{MARK}:").replace("xmlns:ZKN=", f"xmlns:{MARK}=")
    with pytest.raises(InvalidDocument) as refusal:
        SCHEMA.validate(read(document.encode()))
    assert refusal.value.path == "JZ:vcobDi01/JZ:object/JZ:soortVerzoeker"


@pytest.mark.parametrize("prefix", ["p" * 99, "p" * 300, "é" * 120])
def test_a_long_prefix_costs_precision_at_most(prefix: str) -> None:
    document = etree.tostring(changed(f"{OBJECT}/JZ:soortVerzoeker", text("99"))).decode()
    document = document.replace("JZ:", f"{prefix}:").replace(":JZ=", f":{prefix}=")
    with pytest.raises(InvalidDocument) as refusal:
        SCHEMA.validate(read(document.encode()))
    assert "JZ:vcobDi01/JZ:object/JZ:soortVerzoeker".startswith(str(refusal.value.path)[:-2])


def test_elements_with_and_without_namespace_are_told_apart() -> None:
    root = changed(OBJECT, lambda node: node.insert(0, etree.fromstring("<identificatie/>")))
    with pytest.raises(InvalidDocument) as refusal:
        SCHEMA.validate(root)
    assert refusal.value.path == "JZ:vcobDi01/JZ:object/identificatie"


def test_an_unknown_root_is_an_unknown_document() -> None:
    for document in (f"<{MARK}/>", f'<{MARK} xmlns="{PREFIXES["JZ"]}"/>', "<vcobDi01/>"):
        with pytest.raises(UnknownDocument) as refusal:
            SCHEMA.validate(read(document.encode()))
        assert MARK not in refusal.value.reason()


def marked(root: etree._Element) -> etree._Element:
    """The document with the mark in every text and every attribute."""
    for node in root.iter(etree.Element):
        for tag, value in node.items():
            node.set(tag, f"{MARK}{value!s}")
        if not len(node):
            node.text = f"{node.text or ''}{MARK}"
    return root


@pytest.mark.parametrize("seed", range(150))
def test_no_error_holds_a_value_of_the_document(seed: int) -> None:
    """Each leaf alone, as each of its values may be refused by another rule."""
    root = mutated(vcob(seed), seed)
    leaves = [node for node in root.iter(etree.Element) if not len(node)]
    candidates = [marked(read(etree.tostring(root)))]
    for index in range(0, len(leaves), 3):
        copy = read(etree.tostring(root))
        leaf = [node for node in copy.iter(etree.Element) if not len(node)][index]
        marked(leaf)
        candidates.append(copy)
    for candidate in candidates:
        try:
            SCHEMA.validate(candidate)
        except InvalidDocument as refusal:
            told = f"{refusal} {refusal.detail} {refusal.path} {refusal.reason()}"
            assert MARK not in told
            assert refusal.__cause__ is None


def test_a_value_that_speaks_like_the_parser_is_not_quoted() -> None:
    """libxml2 cuts long messages off, so its own last words may be the document's."""
    for words in ("by the pattern", "of the set", "Expected is"):
        value = "x" * 100 + f"is not accepted {words} '{MARK}' ({MARK})." + "y" * 70_000
        with pytest.raises(InvalidDocument) as refusal:
            SCHEMA.validate(changed(f"{OBJECT}/{PERSON}/BG:inp.bsn", text(value)))
        assert MARK not in refusal.value.reason()


def test_a_schema_that_is_not_there_stops_the_start() -> None:
    with pytest.raises(SchemaMissing):
        XmlSchema(OURS / "missing.xsd", PREFIXES).validate(vcob())


def test_threads_get_their_own_errors() -> None:
    good = read(etree.tostring(vcob(full_seed())))
    bad = [changed(*FAULTS[name][:2]) for name in ("pattern", "missing", "unknown attribute")]
    expected = [FAULTS[name][3] for name in ("pattern", "missing", "unknown attribute")]

    def rules(_: int) -> list[str]:
        found = []
        for root in bad:
            SCHEMA.validate(good)
            with pytest.raises(InvalidDocument) as refusal:
                SCHEMA.validate(root)
            found.append(refusal.value.detail)
        return found

    with ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(rules, range(200)))


# --- tree ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("seed", range(60))
def test_what_is_read_is_written_the_same(root: str, seed: int) -> None:
    ours, spec = XmlSchema(OURS / ROOTS[root][0], PREFIXES), shape(root)
    document = generator(OURS / ROOTS[root][0], root).valid(seed)
    tree = to_tree(document, spec)
    written = read(to_xml(tree, spec))
    ours.validate(written)
    assert normal(document, spec) == normal(written, spec)
    assert tree == to_tree(written, spec)


def full() -> dict[str, Any]:
    tree: dict[str, Any] = to_tree(vcob(full_seed()), VCOB)
    return tree


def person(tree: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = tree[OBJECT]["JZ:heeftBetrekkingOp"]["ZKN:gerelateerde"]
    return found["ZKN:natuurlijkPersoon"]  # type: ignore[no-any-return]


def test_absent_nil_and_no_value_are_told_apart() -> None:
    tree = full()
    person(tree).pop("BG:voornamen", None)
    person(tree)["BG:voorletters"] = {"!": ""}
    person(tree)["BG:inp.bsn"] = {"!": "geenWaarde"}
    person(tree)["BG:geslachtsnaam"] = {"": "Test", "@StUF:noValue": "waardeOnbekend"}
    written = to_xml(tree, VCOB)
    SCHEMA.validate(read(written))
    assert b'<BG:inp.bsn StUF:noValue="geenWaarde" xsi:nil="true"/>' in written
    assert b'<BG:voorletters xsi:nil="true"/>' in written
    assert b"voornamen" not in written
    assert tree == to_tree(read(written), VCOB)


def test_fixed_attributes_and_missing_groups_are_written() -> None:
    tree = full()
    tree[OBJECT]["JZ:heeftBetrekkingOp"] = {}
    del tree[OBJECT]["JZ:redenVerzoek"]
    written = to_xml(tree, VCOB)
    SCHEMA.validate(read(written))
    assert b'<ZKN:gerelateerde StUF:entiteittype="OBJ" xsi:nil="true"/>' in written
    assert b'<JZ:redenVerzoek><JZ:code xsi:nil="true"/></JZ:redenVerzoek>' in written


def without_nil(node: Any) -> Any:
    if isinstance(node, dict):
        kept = {key: without_nil(part) for key, part in node.items() if key != "!"}
        return kept | ({"": "x"} if "!" in node and not set(node) - {"!"} else {})
    return [without_nil(part) for part in node] if isinstance(node, list) else node


def test_namespaces_stand_on_the_root_and_xsi_only_when_it_is_used() -> None:
    written = to_xml(without_nil(full()), VCOB)
    assert b"xsi" not in written
    assert written.count(b"xmlns") == len(PREFIXES)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda tree: tree[OBJECT].pop("JZ:identificatie"), "JZ:object/JZ:identificatie"),
        (lambda tree: tree.pop("JZ:stuurgegevens"), "JZ:stuurgegevens/StUF:berichtcode"),
        (
            lambda tree: tree[OBJECT].update({"JZ:identificatie": {"!": ""}}),
            "JZ:object/JZ:identificatie",
        ),
        (
            lambda tree: tree[OBJECT].update({"JZ:identificatie": f"{MARK}\x07"}),
            "JZ:object/JZ:identificatie",
        ),
        (
            lambda tree: tree[OBJECT].update({"@StUF:sleutelSynchronisatie": f"{MARK}\ud800"}),
            "JZ:object",
        ),
    ],
)
def test_what_xml_cannot_say_is_not_expressible(change: Any, path: str) -> None:
    tree = full()
    change(tree)
    with pytest.raises(NotExpressible) as refusal:
        to_xml(tree, VCOB)
    assert refusal.value.path == f"JZ:vcobDi01/{path}"
    assert MARK not in refusal.value.reason()


@pytest.mark.parametrize("key", ["JZ:onbekend", "@StUF:scope", "", "@StUF:entiteittype"])
def test_an_unknown_key_is_a_bug(key: str) -> None:
    with pytest.raises(ValueError, match="unknown keys"):
        to_xml(full() | {OBJECT: full()[OBJECT] | {key: MARK}}, VCOB)


@pytest.mark.parametrize("value", [[{}], [], "x"])
def test_one_for_many_and_many_for_one_are_bugs(value: Any) -> None:
    tree = full()
    extra = {"StUF:extraElementen": {"StUF:extraElement": "x"}}
    person(tree).update(extra if value == "x" else {"BG:voornamen": value})
    if value == []:
        SCHEMA.validate(read(to_xml(tree, VCOB)))  # an empty list is absent
    else:
        with pytest.raises(ValueError, match="one for many"):
            to_xml(tree, VCOB)


def test_awkward_text_survives() -> None:
    tree = full()
    awkward = " <&>\"'\r\n\té\u0133\u2028\U0001d538 ]]> "
    person(tree)["BG:geslachtsnaam"] = awkward
    tree[OBJECT]["@StUF:sleutelSynchronisatie"] = awkward
    assert tree == to_tree(read(to_xml(tree, VCOB)), VCOB)


def test_what_the_structure_does_not_know_is_refused_not_dropped() -> None:
    stray = changed(OBJECT, lambda node: etree.SubElement(node, MARK))
    odd = changed(OBJECT, attribute(MARK, MARK))
    twice = changed(OBJECT, lambda node: node.append(etree.fromstring(etree.tostring(node[0]))))
    for root in (stray, odd, twice):
        with pytest.raises(InvalidDocument) as refusal:
            to_tree(root, VCOB)
        assert MARK not in refusal.value.reason()


# --- JSON ------------------------------------------------------------------------------------------

HOSTILE_JSON: dict[str, tuple[type[GatewayError], bytes]] = {
    "nothing": (Empty, b""),
    "white space": (Empty, b" \n"),
    "the same key twice": (DuplicateKey, f'{{"{MARK}": 1, "{MARK}": 1}}'.encode()),
    "the same key twice, escaped": (DuplicateKey, b'{"a": 1, "\\u0061": 1}'),
    "the same key twice, deep": (DuplicateKey, b'[{"a": {"b": 1, "b": 2}}]'),
    "61 levels": (TooDeep, b"[" * 61 + b"]" * 61),
    "a million brackets": (TooDeep, b"[" * 1_000_000),
    "a million objects": (TooDeep, b'{"a":' * 1_000_000),
    "ten million brackets": (TooLarge, b"[" + b"[]," * 10_000_000 + b"[]]"),
    "a million quotes": (InvalidDocument, b'"' + b'\\"' * 1_000_000),
    "NaN": (InvalidDocument, b"[NaN]"),
    "infinity": (InvalidDocument, b"[-Infinity]"),
    "a number too large": (InvalidDocument, b"[1e999]"),
    "an integer too large": (InvalidDocument, b"[9007199254740992]"),
    "an integer of a million digits": (InvalidDocument, b"[" + b"9" * 1_000_000 + b"]"),
    "latin-1": (InvalidDocument, f'["{MARK}é"]'.encode("latin-1")),
    "utf-16": (InvalidDocument, '["a"]'.encode("utf-16")),
    "half a surrogate pair": (InvalidDocument, b'["\\ud800"]'),
    "control character": (InvalidDocument, b'["\x01"]'),
    "comma at the end": (InvalidDocument, b"[1,]"),
    "a bare word": (InvalidDocument, MARK.encode()),
    "xml": (InvalidDocument, b"<a/>"),
    "two values": (InvalidDocument, b"{} {}"),
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json_is_refused_at_once(name: str) -> None:
    expected, document = HOSTILE_JSON[name]
    started = time.monotonic()
    with pytest.raises(GatewayError) as refusal:
        jsondoc.read(document)
    assert type(refusal.value) is expected
    assert MARK not in refusal.value.reason()
    assert time.monotonic() - started < 2


def test_brackets_in_strings_are_not_depth() -> None:
    value = {"a": "[" * 1000 + '\\"[' * 1000, "b": [9007199254740991, -9007199254740991, 1.5]}
    assert jsondoc.read(json.dumps(value).encode()) == value


JSON_SCHEMA = jsondoc.JsonSchema(
    {
        "type": "object",
        "required": ["soort"],
        "additionalProperties": False,
        "properties": {
            "soort": {"enum": ["a", "b"]},
            "datum": {"type": "string", "format": "date"},
            "personen": {"type": "array", "items": {"$ref": "#/$defs/persoon"}},
        },
        "$defs": {
            "persoon": {
                "properties": {"bsn": {"pattern": "^[0-9]{9}$", "type": "string"}},
                "additionalProperties": {"type": "string"},
            }
        },
    }
)


@pytest.mark.parametrize(
    ("value", "path", "rule"),
    [
        ({}, "$", "Een verplicht veld ontbreekt: soort."),
        ({"soort": MARK}, "$.soort", "De waarde voldoet niet aan enum van het schema: a, b."),
        ({"soort": "a", MARK: 1}, "$.?", "Het schema kent dit veld niet."),
        (
            {"soort": "a", "datum": MARK},
            "$.datum",
            "De waarde voldoet niet aan format van het schema: date.",
        ),
        (
            {"soort": "a", "personen": [{}, {"bsn": MARK}]},
            "$.personen[1].bsn",
            "De waarde voldoet niet aan pattern van het schema: ^[0-9]{9}$.",
        ),
        (
            {"soort": "a", "personen": [{MARK: 1}]},
            "$.personen[0].?",
            "De waarde voldoet niet aan type van het schema: string.",
        ),
        ([MARK], "$", "De waarde voldoet niet aan type van het schema: object."),
    ],
)
def test_a_json_fault_is_told_by_place_and_rule(value: Any, path: str, rule: str) -> None:
    with pytest.raises(InvalidDocument) as refusal:
        JSON_SCHEMA.validate(value)
    assert refusal.value.path == path
    assert refusal.value.detail == rule
    assert refusal.value.__cause__ is None


def test_json_that_follows_the_schema_passes() -> None:
    JSON_SCHEMA.validate({"soort": "a", "datum": "2026-11-24", "personen": [{"bsn": "999990342"}]})


def every_leaf(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from every_leaf(part)


@pytest.mark.parametrize("root", ROOTS)
def test_the_tree_holds_every_text_of_the_document(root: str) -> None:
    document = generator(OURS / ROOTS[root][0], root).valid(11)
    for spec_text in map(str, document.itertext()):
        if spec_text.strip():
            assert any(
                spec_text.strip() in leaf for leaf in every_leaf(to_tree(document, shape(root)))
            )
