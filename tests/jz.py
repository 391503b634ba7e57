"""The documents of StUF-JZ for tests: its schemas, valid documents and ways to break one."""

import random
import re
from pathlib import Path
from typing import Any

from lxml import etree

from gateway.formats.placement import Items, Leaf, Object, Scope
from gateway.formats.structure import Element, structure
from gateway.formats.stuf import CONVERTERS
from gateway.formats.tree import Nil
from gateway.formats.xmldoc import XSI, XmlSchema, read, to_tree, to_xml
from gateway.resources import folder

from .berichten import bsn_of
from .generate import STUF, generator

Facts = dict[str, Any]
INCOMPLETE = f"{STUF}indOnvolledigeDatum"
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


# --- documents that mean something, and what they say ---------------------------------------------

DATES = (
    *(("19850412", None), ("19850412", "V"), ("19850400", "D"), ("19850417", "D")),
    *(("19850000", "M"), ("19850412", "J"), ("20240229", None), (" 19850412\n", None)),
)
TIMES = (
    *("20250301", "2025030110", "202507011015", "20250301101500", "202503011015001"),
    *("2025030110150012", "20250301101500123", "20251026023000", "20250330023000"),
)
_DATE_FORMS, _TIME_FORMS = ("stuf-datum", "stuf-dag"), ("stuf-tijdstip", "stuf-moment")


def written_as(scope: Scope) -> dict[str, str]:
    """By the name of each element that holds a date or a time: how it is written."""
    found: dict[str, str] = {}
    for row in scope.placements:
        if isinstance(row, Leaf):
            for form in (*_DATE_FORMS, *_TIME_FORMS, "gemeentecode"):
                if row.converter is CONVERTERS[form]:
                    found[row.partner[-1]] = form
        elif isinstance(row, Object | Items):
            found |= written_as(row.scope)
    return found


def meaningful(root: etree._Element, forms: dict[str, str], seed: int) -> etree._Element:
    """The document with what no schema asks for: BSNs that pass the 11-proef, days that exist."""
    rng = random.Random(seed)
    for node in root.iter(etree.Element):
        if node.get(f"{XSI}nil", "").strip() in ("true", "1"):
            continue
        name = etree.QName(node)
        prefix = next((p for p, space in PREFIXES.items() if space == name.namespace), "")
        form = forms.get(f"{prefix}:{name.localname}")
        if name.localname == "inp.bsn":
            node.text = next(b for n in range(rng.randrange(9000), 9999) if (b := bsn_of(n)))
        elif form in _DATE_FORMS and (node.text or "").strip():
            node.text, known = rng.choice(DATES)
            node.attrib.pop(INCOMPLETE, "")
            if known:
                node.set(INCOMPLETE, known)
        elif name.localname == "referentienummer" and not node.text:
            node.text = "1"
        elif form in _TIME_FORMS:
            node.text = rng.choice(TIMES)
        elif form:
            node.text = rng.choice(("758", " 0855\n", "0014"))
    return root


def says(node: etree._Element, spec: Element, forms: dict[str, str], path: str = "") -> Facts:
    """What a document says, with the listed normalisations of mappings/README.md, by place."""
    found: Facts = {}
    keys = spec.attribute_by_tag
    nil = node.get(f"{XSI}nil", "").strip() in ("true", "1")
    for tag, value in node.items():
        key = keys.get(str(tag))
        if key and key != spec.reason and value != spec.fixed.get(key, spec.defaults.get(key)):
            found[f"{path}/{key}"] = value
    reason = node.get(spec.reason and _tag(spec.reason)) if spec.reason else None
    if nil:
        if reason or not (spec.required or spec.wanted):
            found[path] = ("nil", reason or "")
        return found
    if reason:
        found[f"{path}/{spec.reason}"] = reason
    if spec.leaf:
        text = node.text or ""
        if spec.collapse:
            text = re.sub("[ \t\r\n]+", " ", text).strip(" ")
        if form := forms.get(spec.name):
            incomplete = found.pop(f"{path}/@StUF:indOnvolledigeDatum", "V")
            value = CONVERTERS[form].parse(text, {"@StUF:indOnvolledigeDatum": incomplete})
            found[path] = ("nil", value.reason) if isinstance(value, Nil) else value
        elif text or spec.required or spec.wanted:
            found[path] = text
        return found
    for name, inner in spec.children.items():
        twins = list(node.iterchildren(inner.tag))
        for number, child in enumerate(twins, 1):
            here = f"{path}/{name}" if path else name
            found |= says(child, inner, forms, f"{here}[{number}]" if len(twins) > 1 else here)
    return found


def without(facts: Facts, lost: list[str]) -> Facts:
    """What is left without the lost places; items after a lost one move up."""
    below = tuple(f"{path}/" for path in lost)
    nils = {path.removesuffix("/@xsi:nil") for path in lost if path.endswith("/@xsi:nil")}
    left = {
        path: value
        for path, value in facts.items()
        if path not in lost and path not in nils and not path.startswith(below)
    }
    seen: dict[tuple[str, ...], list[str]] = {}
    moved = {}
    for path, value in left.items():
        way: tuple[str, ...] = ()
        for step in path.split("/"):
            name = step.partition("[")[0]
            twins = seen.setdefault((*way, name), [])
            if step not in twins:
                twins.append(step)
            way = (*way, f"{name}[{twins.index(step) + 1}]")
        moved["/".join(way)] = value
    return moved


def _tag(key: str) -> str:
    prefix, _, local = key[1:].rpartition(":")
    return f"{{{PREFIXES[prefix]}}}{local}" if prefix else local
