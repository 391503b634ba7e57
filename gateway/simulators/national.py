"""
The national case system, simulated: takes questions on its own endpoint and answers them.

Reads and writes landelijk/1.0 as plain JSON, not by the mapping engine: an independent witness.
"""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from gateway.client import Sent
from gateway.core.ids import instant
from gateway.model.envelop import source_of
from gateway.simulators.party import Simulator

KNOWN = frozenset({"999990342", "999990019"})
"""The invented people it has a casus of."""

PERSON = {
    "bsn": "999990342",
    "voornamen": "Jan",
    "voorvoegsel": "van",
    "geslachtsnaam": "Testpersoon",
    "adressen": [
        {
            "soort": "woon-verblijf",
            "binnenland": {
                "straat": "Voorbeeldstraat",
                "huisnummer": "12",
                "postcode": "4811AB",
                "woonplaats": "Breda",
            },
        }
    ],
}
"""Whom its casus are about."""


class National(Simulator):
    """Answers each question once, after a restart too."""

    name, kind = "landelijk", "bekendheidsuitslag"

    def answer(self, document: bytes, id: str) -> tuple[str, bytes] | None:
        """What we know of a person, or what becomes of a melding; other kinds need no answer."""
        asked = json.loads(document)
        kind = asked["type"].removeprefix("nl.zvh.").removesuffix(".v1")
        made = {"bekendheidsverzoek": self._known, "melding": self._triaged}.get(kind)
        if made is None:
            return None
        answer, data = made(asked)
        house = asked["data"]["ontvanger"]
        told = {"afzender": house, "ontvanger": asked["data"]["afzender"], **data}
        reply = self._event(answer, id, told) | {"antwoordop": asked["id"]}
        reply |= {name: asked.get(name) for name in ("conversatieid", "huis")}
        return answer, json.dumps(reply).encode()

    def conclude(self, case: str, *, to: str) -> Sent:
        """The uitkomst-overleg of a casus, for a partner that took part."""
        today, id = datetime.now(UTC).date().isoformat(), str(uuid.uuid4())
        receiver = self.known[to]
        data = {
            "afzender": {"organisatie": self.house, "applicatie": self.partner.systeem},
            "ontvanger": {"organisatie": receiver.oin, "applicatie": receiver.systeem},
            "casusnummer": case,
            "startdatum": today,
            "overleg": {"identificatie": f"{case}-1", "begin": today},
            "leden": [{"sleutel": "1", "rol": "hoofdpersoon", "persoon": PERSON}],
            "besluiten": [{"identificatie": "B-1", "overleg": f"{case}-1"}],
            "acties": [{"identificatie": "A-1", "overleg": f"{case}-1", "betrokkene": "1"}],
        }
        document = self._event("uitkomst-overleg", id, data)
        return self.offer(json.dumps(document).encode(), id, "uitkomst-overleg")

    def _event(self, kind: str, id: str, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "specversion": "1.0",
            "id": id,
            "source": source_of(self.partner.oin, self.partner.systeem),
            "type": f"nl.zvh.{kind}.v1",
            "time": instant(datetime.now(UTC)),
            "datacontenttype": self.content_type,
            "data": data,
        }

    def _known(self, asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        question = asked["data"]["verzoek"]
        uitslag = {
            "identificatie": f"UVZ-{uuid.uuid4()}"[:40],
            "verzoekidentificatie": question["identificatie"],
            "bekend": question.get("persoon", {}).get("bsn") in KNOWN,
            "uitvoerende": self._house(asked),
        }
        uitslag |= {name: question[name] for name in ("persoon", "aanvrager") if name in question}
        return "bekendheidsuitslag", {"uitslagen": [uitslag]}

    def _triaged(self, asked: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        melding = asked["data"]
        uitkomst = {
            "identificatie": f"ZVH-{uuid.uuid4().hex[:8]}",
            "verwijzing": melding["identificatie"],
            "bestemming": "zvh",
            "resultaat": {"status": "in-behandeling"},
            "uitvoerende": self._house(asked),
        }
        return "meldinguitkomst", uitkomst | {"initiator": melding.get("initiator")}

    def _house(self, asked: dict[str, Any]) -> dict[str, str]:
        name = f"Zorg- en Veiligheidshuis {asked.get('huis', '')}".strip()
        return {"identificatie": asked["data"]["ontvanger"]["organisatie"], "naam": name}
