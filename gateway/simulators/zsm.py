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
from gateway.simulators.party import Simulator

NS = {
    "JZ": "http://www.stufstandaarden.nl/koppelvlak/jz0100",
    "BG": "http://www.egem.nl/StUF/sector/bg/0310",
    "ZKN": "http://www.egem.nl/StUF/sector/zkn/0310",
    "StUF": "http://www.egem.nl/StUF/StUF0301",
}
TIJDSTIP = "%Y%m%d%H%M%S%f"  # to the millisecond: 17 characters of it
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


def read_ucob(document: bytes) -> dict[str, bool]:
    """The question that an ucobDi01 answers, and whether the person is known. LookupError when it is none."""
    tree = etree.fromstring(document)
    if tree.tag != f"{{{NS['JZ']}}}ucobDi01":
        raise LookupError(f"not an ucobDi01 but {etree.QName(tree).localname}")
    question = _find(tree, "JZ:stuurgegevens/StUF:crossRefnummer").text or ""
    known = _find(tree, "JZ:object/JZ:heeftBetrekkingOp/ZKN:indicatieBekend").text == "J"
    return {question: known}


def _find(element: etree._Element, path: str) -> etree._Element:
    found = element.find(path, NS)
    if found is None:
        raise LookupError(f"no {path}")
    return found


class Zsm(Simulator):
    """Asks, fetches the answers, and believes only an answer to a question of its own."""

    def __init__(self, settings: Settings, **certificates: str) -> None:
        super().__init__(settings, "zsm", **certificates)
        self.answers: dict[str, bool] = {}
        self._house = settings.huis[0].oin

    def question(self, suspect: Suspect, *, reference: str = "", case: str = "") -> bytes:
        """A vcobDi01, not sent: is this suspect known to the first house of the configuration?"""
        tree = etree.fromstring((files("gateway.simulators") / "vcobDi01.xml").read_bytes())
        for path, value in (
            ("JZ:stuurgegevens/StUF:zender/StUF:organisatie", self.partner.oin),
            ("JZ:stuurgegevens/StUF:zender/StUF:applicatie", self.partner.systeem),
            ("JZ:stuurgegevens/StUF:ontvanger/StUF:organisatie", self._house),
            ("JZ:stuurgegevens/StUF:referentienummer", reference or str(uuid.uuid4())),
            ("JZ:stuurgegevens/StUF:tijdstipBericht", f"{datetime.now(STUF_TIME):{TIJDSTIP}}"[:17]),
            ("JZ:object/JZ:identificatie", case or f"VVZ-{uuid.uuid4().hex[:12]}"),
            (".//BG:inp.bsn", suspect.bsn),
            (".//BG:geslachtsnaam", suspect.surname),
            (".//BG:voornamen", suspect.first_names),
            (".//BG:geboortedatum", suspect.born),
            (".//ZKN:organisatorischeEenheid/ZKN:identificatie", self.partner.oin),
        ):
            _find(tree, path).text = value
        return etree.tostring(tree, xml_declaration=True, encoding="UTF-8")

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
            unsealed, refuse = self.client.fetch(item["id"]), ""
            try:
                found = read_ucob(unsealed.document)
                if not all(
                    (self.folder / "sent" / f"{asked}.document").exists() for asked in found
                ):
                    refuse = "vraag-onbekend"
            except LookupError:
                refuse = "document-onbekend"
            if not refuse:
                self.receive(unsealed)
                self.answers |= found
            self.client.confirm(item["id"], unsealed.digest, refuse=refuse)
