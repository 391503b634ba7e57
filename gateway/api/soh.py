"""The paths of Samen Onder Handbereik (CORV2): events, their status, and what they point to."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.problems import problem
from gateway.api.routes import Body, By, Id
from gateway.core.ids import digest_of
from gateway.formats import jsondoc
from gateway.model.gebeurtenis import MEDIA_TYPE

MAX_EVENT = 1024 * 1024  # with its content; tens of KiB in practice
EVENT = Body(MEDIA_TYPE, MAX_EVENT)
HERE = {"servers": [{"url": "/", "description": "Deze gateway, op de paden van SOH"}]}
Interaction = Annotated[str, Path(max_length=100, pattern=r"^[^\x00-\x1f]+$")]


class Antwoord(BaseModel):
    """Base of the answers: names as SOH has them."""

    model_config = ConfigDict(populate_by_name=True)


class Interactie(Antwoord):
    interactie_id: str = Field(alias="interactieId", description="Het id van de gebeurtenis")


class Resultaat(Antwoord):
    fout: str
    type_fout: Literal["FUNCTIONEEL", "TECHNISCH"] = Field(alias="typeFout")


class Interactiestatus(Interactie):
    status: Literal["OK", "IN_PROGRESS", "ERROR"]
    resultaat: Resultaat | None = None


router = APIRouter()


@router.post(
    "/events",
    status_code=202,
    response_model=Interactie,
    openapi_extra=HERE | EVENT.described({"type": "object"}),
)
def bied_gebeurtenis_aan(by: By, text: Annotated[bytes, Depends(EVENT)]) -> Any:
    """Biedt een gebeurtenis aan; een herhaling heeft geen tweede gevolg."""
    event = jsondoc.read(text)
    accepted = by.services.events.offer(event, digest_of(text), tls_oin=by.oin)
    metrics = by.services.metrics
    if accepted and accepted.error:
        metrics.refused.labels(by.partners[0].name, accepted.error.code).inc()
        return problem(accepted.error, receipt=accepted.receipt)
    if accepted and accepted.duplicate:
        metrics.repeated.inc()
    elif accepted and (record := by.services.store.message(str(accepted.internal_id))):
        metrics.accepted.labels(record.sender, record.kind).inc()
    return Interactie(interactie_id=event["id"])


@router.get("/status/{interactieId}", response_model_exclude_none=True, openapi_extra=HERE)
def interactiestatus(interactieId: Interaction, by: By) -> Interactiestatus:
    """Toont hoe het met een gebeurtenis staat die u aanbood."""
    found = by.services.events.status(by.oin, interactieId)
    why = Resultaat(fout=found.fout, type_fout=found.type_fout) if found.fout else None
    return Interactiestatus(interactie_id=interactieId, status=found.status, resultaat=why)


@router.get("/soh/v1/melding/{id}", openapi_extra=HERE)
def lees_melding(id: Id, by: By) -> Response:
    """Geeft de melding waarvan u de aankondiging kreeg."""
    return _content(by, id, "melding")


@router.get("/soh/v1/casusoverleg/{id}", openapi_extra=HERE)
def lees_casusoverleg(id: Id, by: By) -> Response:
    """Geeft de uitkomst van een overleg waarvan u de aankondiging kreeg."""
    return _content(by, id, "casusoverleg")


def _content(by: By, id: str, pad: str) -> Response:
    found = by.services.events.read(by.receiving(id), id, pad)
    return Response(found, media_type="application/json")
