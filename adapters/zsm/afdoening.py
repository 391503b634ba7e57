"""zsm/1.0: the decision about a suspect, for which StUF-JZ has no message."""

from gateway.formats.dialect import Document, XmlDialect
from gateway.formats.eigen import CONVERTERS

ZSM_1 = XmlDialect(
    name="zsm/1.0",
    prefixes={"ZSM": "urn:nl:zvh:zsm:1.0"},
    converters=CONVERTERS,
    documents=(Document("ZSM:afdoeningsbeslissing", "zsm.xsd"),),
)
