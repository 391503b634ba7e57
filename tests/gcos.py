"""The documents of GCOS for tests: made from its schema, with dates and numbers that exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from lxml import etree

from adapters.gcos import GCOS_1
from gateway.formats import codes
from gateway.resources import folder

from .berichten import bsn_of
from .generate import generator
from .kinds import Special, kinds, vnummers

EXAMPLES = Path(__file__).parent / "examples" / "gcos"
SCHEMA = Path(str(folder("schemas"))) / "gcos" / "1.0" / "gcos.xsd"
ROOTS = [document.root for document in GCOS_1.documents]
KINDS = {GCOS_1.mappings[root].soort: root for root in ROOTS}

DAY = re.compile(r"([0-9]{2})-([0-9]{2})-([0-9]{4})")
MOMENTS = ("aangemaakt", "datumTijd", "aanvang", "einde", "tijdstip")


def document(root: str, seed: int) -> etree._Element:
    """A valid document with what a schema cannot ask for: a calendar, and the 11-proef."""
    made = generator(SCHEMA, root.partition(":")[2]).valid(seed)
    for node in made.iter(etree.Element):
        name, text = etree.QName(node).localname, (node.text or "").strip()
        if name == "bsn":
            node.text = next(b for n in range(int(text) % 9000, 9999) if (b := bsn_of(n)))
        elif DAY.match(text):
            node.text = _existing(text)
    return made


def _existing(text: str) -> str:
    day, month, year = (int(part) for part in DAY.match(text).groups())  # type: ignore[union-attr]
    time = re.sub(r"^ 2[4-9]", " 23", text[10:])
    time = re.sub(r"([+-])[0-9]{2}:[0-9]{2}$", r"\g<1>01:30", time)
    month = min(month, 12)
    day = 0 if not month else min(day, 28)
    if time:
        day, month = max(day, 1), max(month, 1)
    return f"{day:02}-{month:02}-{1950 + year % 100}{time}"


def settled(root: etree._Element) -> etree._Element:
    """The document as we write it: the listed normalisations of gcos/1.0."""
    for node in root.iter(etree.Element):
        name, text = etree.QName(node).localname, node.text or ""
        if name == "postcode" and text:
            plain = text.replace(" ", "")
            node.text = f"{plain[:4]} {plain[4:]}".strip()
        elif name in MOMENTS and text:
            as_read = "moment" if name == "aangemaakt" else "tijdstip"
            convert = GCOS_1.converters[f"gcos-{as_read}"]
            node.text = convert.render(convert.parse(text, {}))
    return root


def _uitkomst(_: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    table = codes.tables()["code meldingstatus"]
    known = ("VT-00", "VT-01-01", "VT-99", "ZVH-01", "ZVH-02", "ZVH-03")
    return st.sampled_from([table.parse(code, {}) for code in known])


SPECIAL: Special = {"vnummer": lambda _: vnummers}


@cache
def messages(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    more: Special = {"resultaat": _uitkomst} if kind == "meldinguitkomst" else {}
    return kinds(kind, {**SPECIAL, **more})
