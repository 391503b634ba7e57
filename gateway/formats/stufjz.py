"""StUF-JZ 1.0.9 (CORV): every document of the chain, for whichever partner speaks it."""

from gateway.formats.dialect import Document, XmlDialect
from gateway.formats.stuf import CONVERTERS, PREFIXES

_PUBLISHED = {
    "jz-vv.xsd": "vv/jz0100_msg_vvberichten_resolved2025.xsd",
    "jz-gm.xsd": "gm/jz0100_msg_gmberichten_resolved2025.xsd",
    "jz-vt.xsd": "vt/jz0100_msg_vtberichten_resolved2025.xsd",
}
"""Our schemas, and those their owner publishes (VNG Realisatie, resolved, 2025)."""

_ROOTS = {
    "jz-vv.xsd": ("vcobDi01", "ucobDi01", "vciDi01", "uciDi01"),
    "jz-gm.xsd": ("meldingGeneriekDi01", "uitkomstMeldingGeneriekDi01"),
    "jz-vt.xsd": ("vtMeldingDi01", "vtTerugkoppelingDi01"),
}

STUF_JZ = XmlDialect(
    name="stuf-jz/1.0.9",
    prefixes=PREFIXES,
    converters=CONVERTERS,
    documents=tuple(
        Document(f"JZ:{root}", file, _PUBLISHED[file])
        for file, roots in _ROOTS.items()
        for root in roots
    ),
)
