"""DJI, Justid and the burgemeester: bij/1.0, what is told of detainees."""

from gateway.formats.dialect import Document, XmlDialect
from gateway.formats.eigen import CONVERTERS
from gateway.ports import Adapter

BIJ_1 = XmlDialect(
    name="bij/1.0",
    prefixes={"BIJ": "urn:nl:zvh:bij:1.0"},
    converters=CONVERTERS,
    documents=tuple(
        Document(f"BIJ:{root}", "bij.xsd")
        for root in (
            *("bijMelding", "bijWeging", "detentiegegevens", "drPlan", "risicoInformatie"),
            *("correctie", "intrekking"),
        )
    ),
)

ADAPTER = Adapter("bij", (BIJ_1,))
