"""
ZSM, simulated: asks whether invented suspects are known, and reads the answers from its postbus.

Speaks StUF-JZ from a template of its own, not by the mapping engine: it is an independent witness.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from zoneinfo import ZoneInfo

from lxml import etree

from gateway.client import Sent
from gateway.settings import Settings
from gateway.simulators.party import Party

NS = {
    "JZ": "http://www.stufstandaarden.nl/koppelvlak/jz0100",
    "BG": "http://www.egem.nl/StUF/sector/bg/0310",
    "ZKN": "http://www.egem.nl/StUF/sector/zkn/0310",
    "StUF": "http://www.egem.nl/StUF/StUF0301",
}
STUF_TIME = ZoneInfo("Europe/Amsterdam")  # StUF 03.01 tijdstip has no zone: Dutch legal time


@dataclass(frozen=True, slots=True)
class Suspect:
    """Somebody invented."""

    bsn: str
    surname: str
    first_names: str
    born: str  # JJJJMMDD


JAN = Suspect("999990342", "Testpersoon", "Jan", "19850412")
PIET = Suspect("999990019", "Voorbeeld", "Piet", "19900101")
NOBODY = Suspect("999999047", "Onbekend", "Noa", "20010203")


@dataclass(frozen=True, slots=True)
class Uitslag:
    """What an ucobDi01 says."""

    reference: str
    answers: str  # crossRefnummer
    case: str
    known: bool


def vcob(
    suspect: Suspect, *, reference: str, case: str, sender: str, application: str, house: str
) -> bytes:
    """A vcobDi01: is this suspect known to the house with this OIN?"""
    tree = etree.fromstring((files("gateway.simulators") / "vcobDi01.xml").read_bytes())
    now = datetime.now(STUF_TIME).strftime("%Y%m%d%H%M%S%f")[:17]
    for path, value in (
        ("JZ:stuurgegevens/StUF:zender/StUF:organisatie", sender),
        ("JZ:stuurgegevens/StUF:zender/StUF:applicatie", application),
        ("JZ:stuurgegevens/StUF:ontvanger/StUF:organisatie", house),
        ("JZ:stuurgegevens/StUF:referentienummer", reference),
        ("JZ:stuurgegevens/StUF:tijdstipBericht", now),
        ("JZ:object/JZ:identificatie", case),
        (".//BG:inp.bsn", suspect.bsn),
        (".//BG:geslachtsnaam", suspect.surname),
        (".//BG:voornamen", suspect.first_names),
        (".//BG:geboortedatum", suspect.born),
        (".//ZKN:organisatorischeEenheid/ZKN:identificatie", sender),
    ):
        _find(tree, path).text = value
    return etree.tostring(tree, xml_declaration=True, encoding="UTF-8")


def read_ucob(document: bytes) -> list[Uitslag]:
    """The answers in an ucobDi01; LookupError when it is something else or lacks a part."""
    tree = etree.fromstring(document)
    if tree.tag != f"{{{NS['JZ']}}}ucobDi01":
        raise LookupError(f"not an ucobDi01 but {etree.QName(tree).localname}")
    head = _find(tree, "JZ:stuurgegevens")
    return [
        Uitslag(
            reference=_text(head, "StUF:referentienummer"),
            answers=_text(head, "StUF:crossRefnummer"),
            case=_text(object_, "JZ:verzoekidentificatie"),
            known=_text(object_, "JZ:heeftBetrekkingOp/ZKN:indicatieBekend") == "J",
        )
        for object_ in tree.findall("JZ:object", NS)
    ]


def _find(element: etree._Element, path: str) -> etree._Element:
    found = element.find(path, NS)
    if found is None:
        raise LookupError(f"no {path}")
    return found


def _text(element: etree._Element, path: str) -> str:
    return _find(element, path).text or ""


class Zsm(Party):
    """Asks, fetches the answers, and believes only an answer to a question of its own."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "zsm")
        self.answers: dict[str, Uitslag] = {}
        self._house = settings.huis[0].oin

    def question(self, suspect: Suspect, *, reference: str = "", case: str = "") -> bytes:
        """The document of a question, not sent."""
        return vcob(
            suspect,
            reference=reference or str(uuid.uuid4()),
            case=case or f"VVZ-{uuid.uuid4().hex[:12]}",
            sender=self.partner.oin,
            application=self.partner.systeem,
            house=self._house,
        )

    def ask(self, suspect: Suspect) -> Sent:
        """Ask about a suspect; the answer comes into `answers` under the id of the question."""
        reference = str(uuid.uuid4())
        return self.offer(self.question(suspect, reference=reference), reference)

    def offer(self, document: bytes, reference: str) -> Sent:
        """Send any document as if it were a question."""
        return self.send(
            document,
            message_id=reference,
            kind="bekendheidsverzoek",
            content_type="application/xml",
        )

    def step(self) -> None:
        """Empty the postbus."""
        for item in self.client.inbox():
            unsealed = self.client.fetch(item["id"])
            try:
                found = read_ucob(unsealed.document)
            except LookupError:
                self.client.confirm(item["id"], unsealed.digest, refuse="document-onbekend")
                continue
            if not all((self.folder / "sent" / f"{u.answers}.document").exists() for u in found):
                self.client.confirm(item["id"], unsealed.digest, refuse="vraag-onbekend")
                continue
            self.receive(unsealed)
            self.client.confirm(item["id"], unsealed.digest)
            self.answers |= {uitslag.answers: uitslag for uitslag in found}
