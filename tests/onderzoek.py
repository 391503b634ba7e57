"""The later documents of StUF-JZ for tests: valid ones made from the schema, and what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lxml import etree

from gateway.formats.stufjz import STUF_JZ
from gateway.formats.xmldoc import XSI

from .berichten import bsn_of
from .generate import generator
from .jz import OURS
from .jz import ROOTS as SCHEMAS

ROOTS = (
    *("vtoDi01", "notificatieDi01", "notificatiejrDi01"),
    *("zorgmeldingDi01", "zorgmeldingTerugkoppelingDi01"),
    *("Bv01Bericht", "Bv03Bericht", "Bv04Bericht", "Fo01Bericht", "Fo03Bericht"),
)
_DATES = {"datum", "geboortedatum", "startdatum", "registratiedatum", "creatiedatum"}
_DATES |= {"datumBeslissing", "ingangsdatumWerking", "einddatumWerking", "begindatumVerblijf"}
_PARTIAL = "{http://www.egem.nl/StUF/StUF0301}indOnvolledigeDatum"


def document(root: str, seed: int) -> etree._Element:
    """A valid document with what a schema cannot ask for: BSNs, dates and times that can exist."""
    made = generator(OURS / SCHEMAS[root][0], root).valid(seed)
    for number, node in enumerate(made.iter(etree.Element)):
        name, nil = etree.QName(node).localname, f"{XSI}nil" in node.keys()
        if nil:
            continue
        if name == "inp.bsn":
            node.text = next(b for n in range(number, 9999) if (b := bsn_of(n)))
        elif name in _DATES:
            node.text = f"2019{1 + number % 12:02}{1 + number % 28:02}"
            if node.get(_PARTIAL) == "J":
                del node.attrib[_PARTIAL]
            node.text = node.text[: {"M": 4, "D": 6}.get(str(node.get(_PARTIAL)), 8)].ljust(8, "0")
        elif name in ("tijdstipBericht", "datumStatusGezet"):
            node.text = "20250301101500123"
        elif name == "referentienummer":
            node.text = f"ref-{seed}"
        elif name == "aoa.postcode":
            node.text = "4811AB"
        elif name == "inhoud":
            node.text = "TG9y\nZW0="
    return made


def texts(root: etree._Element, at: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a document with its place, in prefixed names without numbers."""
    prefixes = {space: prefix for prefix, space in STUF_JZ.prefixes.items()}
    for node in root.iter(etree.Element):
        steps = [node, *node.iterancestors()]
        path = "/".join(
            f"{prefixes.get(str(etree.QName(s).namespace), '?')}:{etree.QName(s).localname}"
            for s in reversed(steps[:-1])
        )
        if (node.text or "").strip() and not len(node):
            yield path, "".join((node.text or "").split())


def covered(path: str, lost: Iterator[str] | list[str]) -> bool:
    """Whether the account has an entry for the place or for something it is part of."""
    plain = [re.sub(r"\[[0-9]+\]", "", entry) for entry in lost]
    return any(f"{path}/".startswith(f"{entry}/") for entry in plain)


def event(path: str) -> dict[str, Any]:
    raise NotImplementedError(path)
