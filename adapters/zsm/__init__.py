"""ZSM and the OM: StUF-JZ 1.0.9 as the chain speaks it."""

from gateway.formats.dialect import Document, XmlAdapter
from gateway.formats.stuf import CONVERTERS, PREFIXES

_VV = "vv/jz0100_msg_vvberichten_resolved2025.xsd"
_GM = "gm/jz0100_msg_gmberichten_resolved2025.xsd"
_VT = "vt/jz0100_msg_vtberichten_resolved2025.xsd"

ADAPTER = XmlAdapter(
    name="zsm",
    dialect="stuf-jz/1.0.9",
    prefixes=PREFIXES,
    converters=CONVERTERS,
    documents=(
        Document("JZ:vcobDi01", "jz-vv.xsd", _VV),
        Document("JZ:ucobDi01", "jz-vv.xsd", _VV),
        Document("JZ:vciDi01", "jz-vv.xsd", _VV),
        Document("JZ:uciDi01", "jz-vv.xsd", _VV),
        Document("JZ:meldingGeneriekDi01", "jz-gm.xsd", _GM),
        Document("JZ:uitkomstMeldingGeneriekDi01", "jz-gm.xsd", _GM),
        Document("JZ:vtMeldingDi01", "jz-vt.xsd", _VT),
        Document("JZ:vtTerugkoppelingDi01", "jz-vt.xsd", _VT),
    ),
)
