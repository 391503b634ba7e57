"""The dialects of our own for tests: their adapters, documents made from their schemas."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from lxml import etree

from adapters.bij import BIJ_1 as BIJ
from adapters.zsm.afdoening import ZSM_1 as ZSM
from gateway.formats.dialect import XmlDialect
from gateway.formats.xmldoc import XSI
from gateway.resources import folder

from .berichten import bsn_of
from .generate import Generator, generator
from .kinds import Special, vnummers

EXAMPLES = Path(__file__).parent / "examples"
SCHEMAS = Path(str(folder("schemas")))
XSD = "{http://www.w3.org/2001/XMLSchema}"

ADAPTERS = (BIJ, ZSM)
ROOTS = [(adapter, document.root) for adapter in ADAPTERS for document in adapter.documents]
KINDS = {adapter.mappings[root].soort: adapter for adapter, root in ROOTS}
VIJF = ("werk-en-inkomen", "huisvesting", "financien", "identiteitsbewijs", "zorg")


def schema(adapter: XmlDialect) -> Path:
    return SCHEMAS / adapter.name / adapter.documents[0].schema


def _lax(adapter: XmlDialect, root: str) -> Generator:
    """A generator that leaves it to `document` to make the basisvoorwaarden differ."""
    made = generator(schema(adapter), root.partition(":")[2])
    tree = etree.parse(str(schema(adapter)))
    for rule in list(tree.iter(f"{XSD}unique")):
        rule.getparent().remove(rule)
    made.judge = etree.XMLSchema(tree)
    return made


def document(adapter: XmlDialect, root: str, seed: int) -> etree._Element:
    """A valid document with what a schema cannot ask for: BSNs that pass the 11-proef."""
    made = _lax(adapter, root).valid(seed)
    for node in made.iter("{*}bsn"):
        node.text = next(b for n in range(int(node.text or "") % 9000, 9999) if (b := bsn_of(n)))
    for node, soort in zip(made.findall("{*}basisvoorwaarde/{*}soort"), VIJF, strict=False):
        node.text = soort
    return made


def settled(root: etree._Element) -> etree._Element:
    """The document as we write it: the listed normalisations of these dialects."""
    for node in root.iter(etree.Element):
        name, text = etree.QName(node).localname, node.text or ""
        nil = node.get(f"{XSI}nil", "").strip() in ("true", "1")
        if not nil and "noValue" in node.attrib:
            del node.attrib["noValue"]
        if name == "tijdstip":
            moment = datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
            whole, dot, fraction = moment.isoformat().partition(".")
            node.text = f"{whole}{dot}{fraction.rstrip('0')}Z"
        elif name == "parketnummer":
            node.text = f"{text[:2]}/{text[3:9]}-{text[10:]}"
        elif name == "postcode":
            node.text = text.replace(" ", "")
        elif name == "adviesGevolgd":
            node.text = {"1": "true", "0": "false"}.get(text.strip(), text)
    return root


def _all_five(given: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    lists = given.filter(bool).map(lambda some: some[0])
    five = st.lists(lists, min_size=5, max_size=5)
    return st.tuples(five, st.permutations(VIJF)).map(
        lambda both: [{**one, "soort": soort} for one, soort in zip(*both, strict=True)]
    )


SPECIAL: Special = {
    "vnummer": lambda _: vnummers,
    "basisvoorwaarden": _all_five,
    "betreft": lambda given: given.map(lambda it: {**it, "soort": "bij-melding"}),
}
"""What the model leaves free and these dialects do not."""
