"""DJI, Justid and the burgemeester: bij/1.0, what is told of detainees."""

from gateway.formats.dialect import Document, XmlAdapter
from gateway.formats.eigen import CONVERTERS

_XSD = "bij.xsd"  # ours: the owner's own schema is the same file

ADAPTER = XmlAdapter(
    name="bij",
    dialect="bij/1.0",
    prefixes={"BIJ": "urn:nl:zvh:bij:1.0"},
    converters=CONVERTERS,
    documents=tuple(
        Document(f"BIJ:{root}", _XSD, _XSD)
        for root in (
            *("bijMelding", "bijWeging", "detentiegegevens", "drPlan", "risicoInformatie"),
            *("correctie", "intrekking"),
        )
    ),
)
