"""
The national case system, simulated: takes questions on its own endpoint and answers them.

Reads and writes landelijk/1.0 as plain JSON, not by the mapping engine: an independent witness.
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

KNOWN = frozenset({"999990342", "999990019"})
"""The invented people it has a casus of."""


def answer(question: dict[str, Any], *, source: str) -> dict[str, Any]:
    """The bekendheidsuitslag to a bekendheidsverzoek."""
    asked = question["data"]["verzoek"]
    house = question["data"]["ontvanger"]
    uitslag = {
        "identificatie": f"UVZ-{uuid.uuid4()}"[:40],
        "verzoekidentificatie": asked["identificatie"],
        "bekend": asked.get("persoon", {}).get("bsn") in KNOWN,
        "persoon": asked.get("persoon"),
        "aanvrager": asked.get("aanvrager"),
        "uitvoerende": {
            "identificatie": house["organisatie"],
            "naam": f"Zorg- en Veiligheidshuis {question.get('huis', '')}".strip(),
        },
    }
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": source,
        "type": "nl.zvh.bekendheidsuitslag.v1",
        "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "conversatieid": question.get("conversatieid"),
        "antwoordop": question["id"],
        "huis": question.get("huis"),
        "data": {
            "afzender": house,
            "ontvanger": question["data"]["afzender"],
            "uitslagen": [{k: v for k, v in uitslag.items() if v is not None}],
        },
    }
