"""The paths of the API: each checks its input, asks the core or the store, and shows the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import AliasPath, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from gateway.api import Services
from gateway.api.metrics import Metrics
from gateway.api.mtls import client_certificate
from gateway.api.problems import invalid, problem
from gateway.errors import NotFound, TooLarge, Unavailable, UnknownPartner
from gateway.model.partner import Partner
from gateway.ports import DeliveryRecord, MessageRecord, Query, State

JOSE = "application/jose"
MAX_BODY = 64 * 1024 * 1024  # a document of 35 MiB, the cap of the CORV chain, twice in base64url
MAX_SMALL = 16 * 1024  # a receipt or a search filter
MAX_IN_FLIGHT = 512 * 1024 * 1024  # bodies in memory over all connections; then 503
BODY_SECONDS = 180  # for a whole body: 64 MiB over 3 Mbit/s

Term = Annotated[str, Field(max_length=100, pattern=r"^[^\x00-\x1f]+$")]  # no NUL for a database
Limit = Annotated[int, Field(ge=1, le=100)]
Id = Annotated[str, Path(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class Antwoord(BaseModel):
    """Base of what partners read: Dutch names over the records of the ports."""

    model_config = ConfigDict(from_attributes=True)


class Verlies(Antwoord):
    pad: str = Field(validation_alias="path", description="Plaats van het veld, nooit de waarde")
    categorie: str = Field(validation_alias="category", description="Categorie van Wgs 2.30")
    wijze: str = Field(validation_alias="how", description="`weg` of `afgerond`")


class Aflevering(Antwoord):
    id: str
    ontvanger: str = Field(validation_alias="receiver")
    dialect: str
    staat: State = Field(validation_alias="state")
    reden: str = Field(validation_alias="reason")
    pogingen: int = Field(validation_alias="attempts")
    gewijzigd: AwareDatetime = Field(validation_alias="changed_at")
    verlies: list[Verlies] = Field(validation_alias="loss")
    weggelaten: list[Verlies] = Field(validation_alias="removed", description="Door doelbinding")


class Bericht(Antwoord):
    id: str = Field(description="Het id dat de gateway gaf")
    berichtid: str = Field(validation_alias="message_id", description="Het id van de afzender")
    soort: str = Field(validation_alias="kind")
    dialect: str
    conversatieid: str = Field(validation_alias="conversation")
    antwoordop: str | None = Field(validation_alias="answers")
    ontvangen: AwareDatetime = Field(validation_alias="received_at")
    verlies: list[Verlies] = Field(validation_alias="loss")


class Berichtstatus(Antwoord):
    bericht: Bericht
    afleveringen: list[Aflevering]


class Zoekvraag(BaseModel):
    model_config = ConfigDict(extra="forbid")

    berichtid: Term | None = None
    soort: Term | None = None
    staat: State | None = None
    conversatieid: Term | None = None
    sinds: AwareDatetime | None = None
    limiet: Limit = 50
    na: Term | None = Field(None, description="`volgende` van het vorige antwoord")


class Zoekresultaat(Antwoord):
    berichten: list[Bericht]
    volgende: str | None = Field(description="Geef dit als `na` voor de volgende bladzijde")


class Postbusbericht(Antwoord):
    id: str
    soort: str = Field(validation_alias=AliasPath("message", "kind"))
    dialect: str
    tijd: AwareDatetime = Field(validation_alias="created_at")


class Postbuslijst(Antwoord):
    berichten: list[Postbusbericht]


class Ping(Antwoord):
    oin: str
    tijd: AwareDatetime
    versie: str


@dataclass(frozen=True, slots=True)
class Asker:
    """The organisation at the other end; it may be several partners (systems)."""

    oin: str
    partners: Sequence[Partner]

    def mine(self, delivery: DeliveryRecord | None) -> Partner:
        """The partner a delivery is for. NotFound when it is for another organisation."""
        for partner in self.partners:
            if delivery and delivery.receiver == partner.name:
                return partner
        raise NotFound()

    def own(self, record: MessageRecord | None) -> MessageRecord:
        """The message, if this organisation signed it. NotFound otherwise."""
        if record is None or record.signer_oin != self.oin:
            raise NotFound()
        return record


async def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


With = Annotated[Services, Depends(services_of)]


async def asker(request: Request, services: With) -> Asker:
    request.state.oin = oin = services.oin_of(client_certificate(request))
    if not (partners := services.partners.by_oin(oin)):
        raise UnknownPartner()
    return Asker(oin, partners)


By = Annotated[Asker, Depends(asker)]


@asynccontextmanager
async def body(request: Request, *, media_type: str, limit: int) -> AsyncIterator[bytes]:
    """A body, held within bounds of size, time and memory whatever Content-Length claims."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        raise HTTPException(415)
    too_large = TooLarge(f"De inhoud van het verzoek is ten hoogste {limit} bytes.")
    if int(request.headers.get("content-length", 0)) > limit:
        raise too_large
    state, held = request.app.state, bytearray()
    try:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    if len(held) + len(chunk) > limit:
                        raise too_large
                    if state.in_flight + len(chunk) > MAX_IN_FLIGHT:
                        raise Unavailable()
                    held += chunk
                    state.in_flight += len(chunk)
        except TimeoutError:
            raise HTTPException(408) from None
        yield bytes(held)
    finally:
        state.in_flight -= len(held)


def jose(text: str, status: int = 200) -> dict[str, Any]:
    """How OpenAPI describes an answer in JOSE."""
    content = {JOSE: {"schema": {"type": "string"}}}
    return {
        "response_class": Response,
        "responses": {status: {"description": text, "content": content}},
    }


def takes(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """How OpenAPI describes a body that we read ourselves."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


router = APIRouter(prefix="/v1")


@router.post(
    "/berichten",
    summary="Biedt een bericht aan, verzegeld volgens zvh-jose-1",
    status_code=202,
    openapi_extra=takes(JOSE, {"type": "string"}),
    **jose("Ontvangstbewijs; een herhaling krijgt hetzelfde", 202),
)
async def bied_aan(request: Request, services: With, by: By) -> Response:
    async with body(request, media_type=JOSE, limit=MAX_BODY) as sealed:
        return await run_in_threadpool(_accept, services, request.app.state.metrics, by, sealed)


def _accept(services: Services, metrics: Metrics, by: Asker, sealed: bytes) -> Response:
    with metrics.seconds.time():
        accepted = services.acceptor.accept(sealed, tls_oin=by.oin)
    if accepted.error:
        metrics.refused.labels(by.partners[0].name, accepted.error.code).inc()
        return problem(accepted.error, receipt=accepted.receipt)
    if accepted.duplicate:
        metrics.repeated.inc()
    elif record := services.store.message(str(accepted.internal_id)):
        metrics.accepted.labels(record.sender, record.kind).inc()
    location = {"Location": f"/v1/berichten/{accepted.internal_id}"}
    return Response(accepted.receipt, 202, location, JOSE)


@router.post(
    "/berichten/_zoek",
    summary="Zoekt in uw eigen berichten, nieuwste eerst",
    openapi_extra=takes("application/json", {"$ref": "#/components/schemas/Zoekvraag"}),
)
async def zoek(request: Request, services: With, by: By) -> Zoekresultaat:
    async with body(request, media_type="application/json", limit=MAX_SMALL) as text:
        try:
            asked = Zoekvraag.model_validate_json(text)
        except ValidationError as error:
            raise invalid(error.errors()) from None
    return await run_in_threadpool(_search, services, by, asked)


def _search(services: Services, by: Asker, asked: Zoekvraag) -> Zoekresultaat:
    query = Query(
        kind=asked.soort,
        state=asked.staat,
        message_id=asked.berichtid,
        conversation=asked.conversatieid,
        since=asked.sinds,
        limit=asked.limiet,
        after=asked.na,
    )
    pages = (services.store.search(replace(query, sender=p.name)) for p in by.partners)
    found = sorted(chain(*pages), key=lambda record: (record.received_at, record.id), reverse=True)
    page = found[: asked.limiet]
    rest = page[-1].id if len(page) == asked.limiet else None
    return Zoekresultaat.model_validate({"berichten": page, "volgende": rest})


@router.get("/berichten/{id}", summary="Toont hoe het met uw bericht staat")
def status(id: Id, services: With, by: By) -> Berichtstatus:
    record = by.own(services.store.message(id))
    deliveries = services.store.deliveries_of(id)
    return Berichtstatus.model_validate({"bericht": record, "afleveringen": deliveries})


@router.get(
    "/berichten/{id}/ontvangstbewijs",
    summary="Geeft het ontvangstbewijs nogmaals",
    **jose("Het ontvangstbewijs, byte voor byte"),
)
def ontvangstbewijs(id: Id, services: With, by: By) -> Response:
    by.own(services.store.message(id))
    return Response(services.store.receipt_of(id), media_type=JOSE)


@router.get("/postbus", summary="Noemt wat voor u klaarligt, oudste eerst")
def postbus(services: With, by: By, limiet: Limit = 50) -> Postbuslijst:
    lists = (services.postbus.list(partner, limit=limiet) for partner in by.partners)
    oldest_first = sorted(chain(*lists), key=lambda record: record.created_at)
    return Postbuslijst.model_validate({"berichten": oldest_first[:limiet]})


@router.get(
    "/postbus/{id}",
    summary="Geeft een bericht, verzegeld voor u; het blijft liggen tot u het bevestigt",
    **jose("JWE compact volgens zvh-jose-1"),
)
def haal_op(id: Id, services: With, by: By) -> Response:
    partner = by.mine(services.store.delivery(id))
    return Response(services.postbus.fetch(partner, id), media_type=JOSE)


@router.post(
    "/postbus/{id}/bevestiging",
    summary="Bevestigt de ontvangst met uw ondertekende ontvangstbewijs",
    status_code=204,
    openapi_extra=takes(JOSE, {"type": "string"}),
)
async def bevestig(id: Id, request: Request, services: With, by: By) -> None:
    async with body(request, media_type=JOSE, limit=MAX_SMALL) as proof:
        await run_in_threadpool(_confirm, services, by, id, proof)


def _confirm(services: Services, by: Asker, id: str, proof: bytes) -> None:
    services.postbus.confirm(by.mine(services.store.delivery(id)), id, proof)


@router.get("/ping", summary="Toont wie u voor de gateway bent")
async def ping(services: With, by: By) -> Ping:
    return Ping(oin=by.oin, tijd=services.clock.now(), versie=services.version)
