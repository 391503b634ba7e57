"""VTO, notificatie, zorgmelding and the Bv and Fo answers for tests: documents and messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hypothesis import assume
from lxml import etree

from gateway.formats.stufjz import STUF_JZ
from gateway.formats.xmldoc import XSI
from gateway.model import lees, schrijf
from gateway.ports import Loss

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
    made = generator(OURS / SCHEMAS[root][0], root).valid(seed, typed=seed % 2 > 0)
    for number, node in enumerate(made.iter(etree.Element)):
        name = etree.QName(node).localname
        if node.get(f"{XSI}nil"):
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


def texts(root: etree._Element) -> Iterator[tuple[str, str]]:
    """Every text of a document with its place, in prefixed names without numbers or white space."""
    prefixes = {space: prefix for prefix, space in STUF_JZ.prefixes.items()}
    for node in root.iter(etree.Element):
        names = [etree.QName(step) for step in (node, *node.iterancestors())]
        path = "/".join(f"{prefixes[str(n.namespace)]}:{n.localname}" for n in names[-2::-1])
        if text := "".join((node.text or "").split()):
            yield path, text


def accounted(path: str, loss: Iterable[Loss]) -> bool:
    """Whether the account has an entry for the place or for something it is part of."""
    plain = (re.sub(r"\[[0-9]+\]", "", entry.path) for entry in loss)
    return any(f"{path}/".startswith(f"{entry}/") for entry in plain)


# --- messages -------------------------------------------------------------------------------------

Part = dict[str, Any]
ADRES = {"huisnummer": "12", "huisletter": "a", "toevoeging": "bis", "postcode": "4811AB"}
BAG = {"nummeraanduiding", "gemeentelijkeOpenbareRuimte", "openbareRuimte"}


def fitted(event: Part, root: str) -> Part:
    """The message with what the model leaves free and the schema of the document does not."""
    data = event["data"]
    _everywhere(data)
    _give(event, antwoordop="ref-1") if root.startswith(("Bv", "Fo")) else event.pop(
        "antwoordop", None
    )
    _FIT[root](data)
    return schrijf(lees(event))


def _give(part: Part, **values: Any) -> None:
    for name, value in values.items():
        part[name] = value
        part.get("geenWaarde", {}).pop(name, None)


def _take(part: Part, *names: str) -> None:
    for name in names:
        part.pop(name, None)
        part.get("geenWaarde", {}).pop(name, None)


def _everywhere(part: Any) -> None:
    """Numbers and codes whose form the schema knows, wherever they stand."""
    if isinstance(part, list):
        for one in part:
            _everywhere(one)
    if not isinstance(part, dict):
        return
    for name, value in list(part.items()):
        if name == "geenWaarde":
            continue
        _everywhere(value)
        if name in ADRES:
            part[name] = ADRES[name]
        elif name in BAG:
            part[name] = "0758200000099999"
        elif name in ("woonplaatscode", "landcode"):
            part[name] = "1702"
        elif name == "gelegenIn" and "code" in value:
            value["code"] = "1702"
        elif name == "inhoud":
            part[name] = "TG9yZW0="
        elif name == "ontvanger":
            value["applicatie"] = "KBPS"  # another than the sender's
        elif name == "applicatie":
            part[name] = "PGAx"
        elif name == "mediatype":
            part[name] = "text/plain"
        elif name == "geslachtsnaam":
            part[name] = "Testpersoon"
        elif name in ("verwijzing", "identificatie", "zaakRaad") and isinstance(value, str):
            part[name] = "000099999999"


def _nnp(organisatie: Part) -> None:
    _give(organisatie, identificatie="009999999", naam="Gemeente Voorbeeld")


def _party(one: Part) -> None:
    """A person or a vestiging, with what the schema wants of either."""
    if "persoon" in one:
        _take(one, "organisatie")
        _give(one["persoon"], geslachtsnaam="Testpersoon")
        _take(one["persoon"], "adressenBuitenland")
    elif "organisatie" in one:
        _take(one, "persoon")
        _give(one["organisatie"], identificatie="000099999999", naam="Jeugdzorg Voorbeeld")
        _give(one["organisatie"], contactpersoon={"telefoonnummer": "0760000000"})


def _vto(data: Part) -> None:
    assume(all(data.get(name) for name in ("clienten", "belanghebbenden", "documenten", "extra")))
    _give(data, startdatum="2025-08", registratiedatum="2025-08-01")
    for one in data["belanghebbenden"]:
        _party(one)
    for stuk in data["documenten"]:
        _give(stuk, identificatie="DOC-1", soort="gezinsgeschiedenis", datum="2025-08")
        _give(stuk, bestandsnaam="a.txt", inhoud="TG9yZW0=")
    for client in data["clienten"]:
        client["soort"] = "ongeboren-kind"
    if handling := data.get("behandeling"):
        _give(handling, medewerkers=[{"achternaam": "Proef", "geenWaarde": {"functie": "leeg"}}])
        _give(handling, organisaties=[{"naam": "Gemeente Voorbeeld"}])
        _nnp(handling["organisaties"][0])


def _notificatie(data: Part) -> None:
    _give(data, gebied="kinderbescherming")
    for client in data.get("clienten", ()):
        client["soort"] = "kind"
    for one in data.get("belanghebbenden", ()):
        _party(one)
        one["rol"] = "ouder-gezag-niet-benoemd"
    for one in data.get("beslissingen", ()):
        _give(one, datum="2025-11", toelichting="Verzonnen")


def _signaal(data: Part) -> None:
    _give(data, gebied="jeugdreclassering", extra=[{"naam": "soort", "waarde": "a"}])
    for client in data.get("clienten", ()):
        client["soort"] = "jeugdige"
    if giver := data.get("signaalgever"):
        if "organisatie" in giver:
            _nnp(giver["organisatie"])
        if "aanspreekpunt" in giver:
            _give(giver["aanspreekpunt"], naam="E. Proef")


def _zorgmelding(data: Part) -> None:
    _give(data, identificatie="PL-12345", gemeldOp="2025-10-06", extra=[{"naam": "a"}])
    _give(data, bijlagen=[{"inhoud": "TG9yZW0=", "naam": "a"}], verdieping={"naam": "F. Proef"})
    if "indiener" in data:
        _give(data["indiener"], rsin="009999997")
    for one in data.get("betrokkenen", ()):
        _party(one)
        _give(one, aanvullendeInformatie="voogd")
        for adres in one.get("persoon", {}).get("adressen", ()):
            _take(adres, "buitenland") if "binnenland" in adres else None


def _terugkoppeling(data: Part) -> None:
    _give(data, identificatie="VT-12345", verwijzing="PL-12345", vervolgactie=True)
    _give(data, initiator={"contactpersoon": {"naam": "F. Proef"}})
    for one in data.get("betrokkenen", ()):
        if one["positie"] == "onderwerp":
            _give(one, persoon={"geslachtsnaam": "Testpersoon"})
        _party(one)
        _give(one, aanvullendeInformatie="voogd", contactpersonen=[{"naam": "G. Proef"}])
        if "persoon" in one:
            _give(one["persoon"], geboortedatum="1992-05")


_FIT: dict[str, Callable[[Part], None]] = {
    "vtoDi01": _vto,
    "notificatieDi01": _notificatie,
    "notificatiejrDi01": _signaal,
    "zorgmeldingDi01": _zorgmelding,
    "zorgmeldingTerugkoppelingDi01": _terugkoppeling,
    "Bv01Bericht": lambda data: _give(data, fase="verwerking"),
    "Bv03Bericht": lambda data: _give(data, fase="ontvangst"),
    "Bv04Bericht": lambda data: _give(data, fase="aflevering"),
    "Fo01Bericht": lambda data: _give(data, fase="verwerking", code="901"),
    "Fo03Bericht": lambda data: _give(data, fase="ontvangst", code="StUF055"),
}
