"""
The national case system, simulated: takes questions on its own endpoint and answers them.

Reads and writes landelijk/1.0 as plain JSON, not by the mapping engine: an independent witness.
"""

import json
import uuid
from datetime import UTC, datetime

from gateway.core.ids import instant
from gateway.model.envelop import source_of
from gateway.simulators.party import Simulator

KNOWN = frozenset({"999990342", "999990019"})
"""The invented people it has a casus of."""


class National(Simulator):
    """Answers each question once, after a restart too."""

    name, kind = "landelijk", "bekendheidsuitslag"

    def answer(self, document: bytes, id: str) -> bytes:
        """The bekendheidsuitslag to a bekendheidsverzoek."""
        question = json.loads(document)
        asked, house = question["data"]["verzoek"], question["data"]["ontvanger"]
        uitslag = {
            "identificatie": f"UVZ-{uuid.uuid4()}"[:40],
            "verzoekidentificatie": asked["identificatie"],
            "bekend": asked.get("persoon", {}).get("bsn") in KNOWN,
            "uitvoerende": {
                "identificatie": house["organisatie"],
                "naam": f"Zorg- en Veiligheidshuis {question.get('huis', '')}".strip(),
            },
        }
        uitslag |= {name: asked[name] for name in ("persoon", "aanvrager") if name in asked}
        reply = {
            "specversion": "1.0",
            "id": id,
            "source": source_of(self.partner.oin, self.partner.systeem),
            "type": "nl.zvh.bekendheidsuitslag.v1",
            "time": instant(datetime.now(UTC)),
            "datacontenttype": self.content_type,
            "conversatieid": question.get("conversatieid"),
            "antwoordop": question["id"],
            "huis": question.get("huis"),
            "data": {
                "afzender": house,
                "ontvanger": question["data"]["afzender"],
                "uitslagen": [uitslag],
            },
        }
        return json.dumps(reply).encode()
