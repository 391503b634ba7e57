"""GCOS, the legacy case system: gcos/1.0 as XML, and the same casus as a zip of CSV files."""

from adapters.gcos.waarden import CONVERTERS
from gateway.formats.csvdialect import CsvDialect
from gateway.formats.csvtables import Layout
from gateway.formats.dialect import Document, XmlDialect
from gateway.ports import Adapter

GCOS_1 = XmlDialect(
    name="gcos/1.0",
    prefixes={"GCOS": "urn:nl:zvh:gcos:1.0"},
    converters=CONVERTERS,
    documents=tuple(
        Document(f"GCOS:{root}", "gcos.xsd")
        for root in (
            *("casus", "aanmelding", "aanmeldinguitkomst", "overlegverslag"),
            *("bekendheidsvraag", "bekendheidsantwoord"),
            *("casusinformatievraag", "casusinformatieantwoord"),
        )
    ),
)


GCOS_CSV_1 = CsvDialect(
    name="gcos-csv/1",
    xml=GCOS_1,
    root="GCOS:casus",
    layout=Layout(
        prefix="GCOS:",
        files={
            "bericht.csv": "bericht",
            "casussen.csv": "casusgegevens",
            "criteria.csv": "casusgegevens/criterium",
            "personen.csv": "betrokkene",
            "nationaliteiten.csv": "betrokkene/persoon/nationaliteit",
            "adressen.csv": "betrokkene/persoon/adres",
            "contactgegevens.csv": "betrokkene/persoon/contactgegeven",
            "deelnemers.csv": "deelnemer",
            "leefgebieden.csv": "leefgebied",
            "overleggen.csv": "overleg",
            "besluiten.csv": "besluit",
            "acties.csv": "actie",
            "plannen.csv": "plan",
            "doelen.csv": "plan/doel",
            "isd.csv": "isd",
            "documenten.csv": "document",
            "historie.csv": "historie",
        },
        whole="casussen.csv",
        key="casusNr",
        owner="personen.csv",
        number="nr",
        parent="persoonNr",
    ),
)
"""One casus a zip (schemas/gcos-csv/README.md)."""

ADAPTER = Adapter("gcos", (GCOS_1, GCOS_CSV_1))
