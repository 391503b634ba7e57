"""StUF-JZ 1.0.9 (CORV): every document of the chain, and our own answer to one."""

from gateway.errors import GatewayError, InvalidValue, NotExpressible, Refused
from gateway.formats import codes
from gateway.formats.dialect import Document, XmlDialect
from gateway.formats.stuf import CONVERTERS, PREFIXES
from gateway.model import lees
from gateway.model.envelop import Bericht, Systeem, source_of, type_of
from gateway.model.lijsten import Lijst
from gateway.ports import Parsed, Rendered

_PUBLISHED = {
    "jz-vv.xsd": "vv/jz0100_msg_vvberichten_resolved2025.xsd",
    "jz-gm.xsd": "gm/jz0100_msg_gmberichten_resolved2025.xsd",
    "jz-vt.xsd": "vt/jz0100_msg_vtberichten_resolved2025.xsd",
    "stuf-bvfo.xsd": "gm/jz0100_msg_stuf_gmberichten_resolved2025.xsd",
}
"""Our schemas, and those their owner publishes (VNG Realisatie, resolved, 2025)."""

_ROOTS = {
    "jz-vv.xsd": "JZ:vcobDi01 JZ:ucobDi01 JZ:vciDi01 JZ:uciDi01",
    "jz-gm.xsd": "JZ:meldingGeneriekDi01 JZ:uitkomstMeldingGeneriekDi01",
    "jz-vt.xsd": "JZ:vtMeldingDi01 JZ:vtTerugkoppelingDi01 JZ:vtoDi01 JZ:notificatieDi01 "
    "JZ:notificatiejrDi01 JZ:zorgmeldingDi01 JZ:zorgmeldingTerugkoppelingDi01",
    "stuf-bvfo.xsd": "StUF:Bv01Bericht StUF:Bv03Bericht StUF:Bv04Bericht StUF:Fo01Bericht "
    "StUF:Fo03Bericht",
}

_ANSWERS = ("bevestiging", "foutbericht")  # some have no stuurgegevens


class StufJz(XmlDialect):
    """
    Also asks what no schema can: that sender and receiver name different applications, for by
    that name answers find their way back (JZ-forum, applicatie-aanduiding).
    """

    def parse(self, document: bytes) -> Parsed:
        parsed = super().parse(document)
        if _one_application(parsed.bericht):
            raise InvalidValue(_SAME, path=f"JZ:{parsed.root}/{_RECEIVER}")
        return parsed

    def render(self, bericht: Bericht, root: str = "") -> Rendered:
        if _one_application(bericht):
            raise NotExpressible(_SAME, path="data.ontvanger.applicatie")
        return super().render(bericht, root)


_SAME = "Zender en ontvanger noemen dezelfde applicatie."
_RECEIVER = "JZ:stuurgegevens/StUF:ontvanger/StUF:applicatie"


def _one_application(bericht: Bericht) -> bool:
    data = bericht.data
    return bericht.soort not in _ANSWERS and data.afzender.applicatie == data.ontvanger.applicatie


STUF_JZ = StufJz(
    name="stuf-jz/1.0.9",
    prefixes=PREFIXES,
    converters=CONVERTERS,
    documents=tuple(
        Document(root, file, _PUBLISHED[file])
        for file, roots in _ROOTS.items()
        for root in roots.split()
    ),
)

_SYSTEM = "ZVH-gateway"  # differs from every applicatie of a partner: answers find their way by it
_TITLE, _DETAILS = 200, 1000  # StUF Foutomschrijving and Foutdetails


def acknowledgement(
    to: Systeem, about: str, error: GatewayError | None = None, *, oin: str, id: str, time: str
) -> bytes:
    """
    Our answer, at once, to a StUF document: a Bv03, or a Fo03 that says what is wrong with it.

    `to` wrote the document and `about` is its reference number; of a document that could not be
    read, the envelope tells both. `oin` is ours, `id` (at most 40 characters) and `time` (UTC) are
    of the answer. An error that is ours to mend is told without details.

    Raises NotExpressible when a name is longer, or shorter, than StUF has room for.
    """
    event = {
        "id": id,
        "source": source_of(oin, _SYSTEM),
        "type": type_of("foutbericht" if error else "bevestiging"),
        "time": time,
        "antwoordop": about,
        "data": {
            "afzender": {"organisatie": oin, "applicatie": _SYSTEM},
            "ontvanger": to.model_dump(mode="json", by_alias=True, exclude_defaults=True),
            "fase": "ontvangst",
            **(_fault(error) if error else {}),
        },
    }
    return STUF_JZ.render(lees(event)).document


def _fault(error: GatewayError) -> dict[str, str]:
    sender_mends = isinstance(error, Refused)
    fault = {
        "code": stuf_code(error),
        "plek": "indiener" if sender_mends else "verwerker",
        "omschrijving": error.titel[:_TITLE],
    }
    if sender_mends:
        fault["details"] = f"{error.reason().rstrip('.')}. {error.advies}"[:_DETAILS]
    return fault


def stuf_code(error: GatewayError) -> str:
    """The StUF 03.01 code of an error, or of the nearest class above it that has one."""
    above = (getattr(kind, "code", "") for kind in type(error).__mro__)
    code = next(code for code in above if code in _CODES)
    return str(codes.tables()["code stuf-fout"].render(code))


_CODES = Lijst("stuf-fout").woorden
