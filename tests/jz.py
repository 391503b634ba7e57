"""The documents of StUF-JZ for tests: its schemas, valid documents and ways to break one."""

import re
from pathlib import Path
from typing import Any

from lxml import etree

from gateway.formats.structure import Element, structure
from gateway.formats.xmldoc import XSI, XmlSchema, read, to_tree, to_xml
from gateway.resources import folder

from .generate import generator

OURS = Path(str(folder("schemas"))) / "stuf-jz" / "1.0.9"
PREFIXES = {
    "JZ": "http://www.stufstandaarden.nl/koppelvlak/jz0100",
    "ZKN": "http://www.egem.nl/StUF/sector/zkn/0310",
    "BG": "http://www.egem.nl/StUF/sector/bg/0310",
    "StUF": "http://www.egem.nl/StUF/StUF0301",
    "xmime": "http://www.w3.org/2005/05/xmlmime",
}
_VV = ("jz-vv.xsd", "vv/jz0100_msg_vvberichten_resolved2025.xsd")
_GM = ("jz-gm.xsd", "gm/jz0100_msg_gmberichten_resolved2025.xsd")
_VT = ("jz-vt.xsd", "vt/jz0100_msg_vtberichten_resolved2025.xsd")
_BV = ("stuf-bvfo.xsd", "gm/jz0100_msg_stuf_gmberichten_resolved2025.xsd")
# Of each root element: our schema, and the published one.
ROOTS = {
    **dict.fromkeys(("vcobDi01", "ucobDi01", "vciDi01", "uciDi01"), _VV),
    **dict.fromkeys(("meldingGeneriekDi01", "uitkomstMeldingGeneriekDi01"), _GM),
    **dict.fromkeys(("vtMeldingDi01", "vtTerugkoppelingDi01", "vtoDi01", "notificatieDi01"), _VT),
    **dict.fromkeys(("notificatiejrDi01", "zorgmeldingDi01", "zorgmeldingTerugkoppelingDi01"), _VT),
    **dict.fromkeys((f"{code}Bericht" for code in ("Bv01", "Bv03", "Bv04", "Fo01", "Fo03")), _BV),
}
MARK = "ZXQMARKQXZ"
VCOB = structure(OURS / "jz-vv.xsd", "JZ:vcobDi01", PREFIXES)
SCHEMA = XmlSchema(OURS / "jz-vv.xsd", PREFIXES)
OBJECT = "JZ:object"
PERSON = "JZ:heeftBetrekkingOp/ZKN:gerelateerde/ZKN:natuurlijkPersoon"


def qualified(root: str) -> str:
    return f"StUF:{root}" if root.endswith("Bericht") else f"JZ:{root}"


def shape(root: str) -> Element:
    return structure(OURS / ROOTS[root][0], qualified(root), PREFIXES)


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
