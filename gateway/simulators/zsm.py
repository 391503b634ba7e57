"""
ZSM, simulated: asks whether invented suspects are known, and reads the answers from its postbus.

Speaks StUF-JZ from a template of its own, not by the mapping engine: it is an independent witness.
"""

import uuid
from dataclasses import asdict, dataclass

from lxml import etree

from gateway import errors
from gateway.client import Sent
from gateway.settings import Settings
from gateway.simulators.party import Simulator

NS = {
    "JZ": "http://www.stufstandaarden.nl/koppelvlak/jz0100",
    "ZKN": "http://www.egem.nl/StUF/sector/zkn/0310",
    "StUF": "http://www.egem.nl/StUF/StUF0301",
}


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


def read_ucob(document: bytes) -> tuple[str, bool]:
    """The question that an ucobDi01 answers, and whether the person is known. Raises Refused."""
    try:
        tree = etree.fromstring(document)
    except etree.XMLSyntaxError as error:
        raise errors.InvalidDocument from error
    question = tree.findtext("JZ:stuurgegevens/StUF:crossRefnummer", namespaces=NS)
    known = tree.findtext("JZ:object/JZ:heeftBetrekkingOp/ZKN:indicatieBekend", namespaces=NS)
    if tree.tag != f"{{{NS['JZ']}}}ucobDi01" or not question or not known:
        raise errors.UnknownDocument
    return question, known == "J"


class Zsm(Simulator):
    """Asks, fetches the answers, and believes only an answer to a question of its own."""

    name, kind, content_type = "zsm", "bekendheidsverzoek", "application/xml"

    def __init__(self, settings: Settings, **certificates: str) -> None:
        super().__init__(settings, **certificates)
        self.answers: dict[str, bool] = {}

    def question(self, suspect: Suspect, *, reference: str = "", case: str = "") -> bytes:
        """A vcobDi01, not sent: is this suspect known to the first house of the configuration?"""
        case = case or f"VVZ-{uuid.uuid4().hex[:12]}"
        return self.fill("vcobDi01", reference or str(uuid.uuid4()), case=case, **asdict(suspect))

    def ask(self, suspect: Suspect) -> Sent:
        """Ask about a suspect; the answer comes into `answers` under the id of the question."""
        reference = str(uuid.uuid4())
        return self.offer(self.question(suspect, reference=reference), reference)

    def read(self, document: bytes) -> None:
        """Believe an answer. Raises UnknownQuestion when we did not ask, or what `read_ucob` does."""
        if b"ucobDi01" not in document:
            return  # the outcome of a melding
        question, known = read_ucob(document)
        if not (self.folder / "sent" / f"{question}.document").exists():
            raise errors.UnknownQuestion
        self.answers[question] = known
