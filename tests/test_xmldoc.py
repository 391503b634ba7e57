"""Reading and checking XML: what is hostile is refused at once, a fault told without values."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.errors import (
    DtdForbidden,
    Empty,
    GatewayError,
    InvalidDocument,
    SchemaMissing,
    TooDeep,
    TooLarge,
    UnknownDocument,
)
from gateway.formats import jsondoc
from gateway.formats.xmldoc import XSI, XmlSchema, read

from .generate import mutated
from .jz import (
    MARK,
    OBJECT,
    OURS,
    PERSON,
    PREFIXES,
    SCHEMA,
    attribute,
    changed,
    full_seed,
    text,
    vcob,
)

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
