"""Dialect voorbeeld/1.0: asks a house whether a person is known, and gets the answer."""

from importlib.resources import files

from gateway.formats.dialect import Document, XmlDialect
from gateway.formats.eigen import CONVERTERS
from gateway.ports import Adapter

VOORBEELD_1 = XmlDialect(
    name="voorbeeld/1.0",
    prefixes={"V": "urn:nl:voorbeeld:1.0"},
    converters=CONVERTERS,  # moment, boolean, postcode …; add pairs of your own here
    documents=(
        Document("V:vraag", "voorbeeld.xsd"),
        Document("V:antwoord", "voorbeeld.xsd"),
    ),
    data=files(__name__),  # schemas/ and mappings/ stand in this package
)

ADAPTER = Adapter("voorbeeld", (VOORBEELD_1,))
