"""
GCOS, simulated: exports its casus to the folder that it shares with the gateway.

Writes XML from a template and the same casus as tables, with nothing but text: an independent witness.
"""

import csv
import io
import os
import threading
import uuid
import zipfile
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Self

from gateway.errors import NotFound
from gateway.settings import Settings
from gateway.simulators.party import POLL_S, STUF_TIME, write

TABLES = {
    "bericht.csv": {
        "berichtNr": "$reference",
        "aangemaakt": "$created",
        "afzender_organisatie": "$oin",
        "afzender_applicatie": "$systeem",
        "ontvanger_organisatie": "$to",
        "ontvanger_applicatie": "ZVH",
    },
    "casussen.csv": {
        "thema": "HG",
        "status": "20",
        "vertrouwelijkheid": "1",
        "datumEersteVerwerking": "30-10-2025",
    },
    "personen.csv": {
        "nr": "1",
        "relatieNr": "R1",
        "rol": "HP",
        "persoon_bsn": "999990342",
        "persoon_achternaam": "Testpersoon",
        "persoon_tussenvoegsel": "van",
        "persoon_voornamen": "Jan",
        "persoon_gebDatum": "12-04-1985",
    },
}
"""The casus of gcosCasus.xml; every row begins with its number."""


class Gcos:
    """Exports when it is told to, and takes what the gateway lays ready for it."""

    name = "gcos"

    def __init__(self, settings: Settings) -> None:
        """Raises NotFound: the configuration has no such partner."""
        partner = next((entry for entry in settings.partner if entry.name == self.name), None)
        if partner is None:
            raise NotFound(f"{self.name} is geen partner in de configuratie.")
        self.folder = settings.directory / "bestanden" / self.name
        for name in ("in", "uit/opgehaald"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        house = settings.huis[0].oin
        self._values = {"oin": partner.oin, "systeem": partner.systeem, "to": house}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, name=self.name, daemon=True)

    def export(self, case: str) -> str:
        """One casus as XML; the number of its message."""
        values = self._about(case)
        text = (files("gateway.simulators") / "gcosCasus.xml").read_text("utf-8")
        self.put(f"{values['reference']}.xml", Template(text).substitute(values).encode())
        return values["reference"]

    def export_tables(self, case: str) -> str:
        """The same as a zip of CSV; the number of its message."""
        values, out = self._about(case), io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, row in TABLES.items():
                text = io.StringIO()
                table = csv.writer(text, delimiter=";")
                table.writerow(("casusNr", *row))
                table.writerow(
                    (case, *(Template(cell).substitute(values) for cell in row.values()))
                )
                archive.writestr(name, text.getvalue())
        self.put(f"{values['reference']}.zip", out.getvalue())
        return values["reference"]

    def put(self, name: str, document: bytes) -> None:
        """Lay any document ready; visible to the gateway when it is whole."""
        write(self.folder / "in" / name, document)

    def answered(self, name: str) -> Path | None:
        """The receipt for a file, in `verwerkt` or `geweigerd`; None while there is none."""
        places = [self.folder / where / name for where in ("verwerkt", "geweigerd")]
        receipts = (
            place.with_name(f"{name}.ontvangstbewijs") for place in places if place.exists()
        )
        return next(receipts, None)

    def take(self) -> None:
        """Move what lies ready: that is how a folder signs for it."""
        for entry in list(os.scandir(self.folder / "uit")):
            if entry.is_file() and not entry.name.startswith("."):
                os.replace(entry.path, self.folder / "uit" / "opgehaald" / entry.name)

    def _about(self, case: str) -> dict[str, str]:
        created = f"{datetime.now(STUF_TIME):%d-%m-%Y %H:%M:%S}"
        return {"reference": str(uuid.uuid4()), "created": created, "case": case, **self._values}

    def _loop(self) -> None:
        while not self._stopping.wait(POLL_S):
            self.take()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
