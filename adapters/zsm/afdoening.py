"""ZSM and the OM: zsm/1.0, the decision about a suspect, for which StUF-JZ has no message."""

from gateway.formats.dialect import Document, XmlAdapter
from gateway.formats.eigen import CONVERTERS

_XSD = "zsm.xsd"  # ours: the owner's own schema is the same file

ADAPTER = XmlAdapter(
    name="zsm",
    dialect="zsm/1.0",
    prefixes={"ZSM": "urn:nl:zvh:zsm:1.0"},
    converters=CONVERTERS,
    documents=(Document("ZSM:afdoeningsbeslissing", _XSD, _XSD),),
)
