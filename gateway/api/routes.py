"""The paths of the API: each checks its input, asks the core or the store, and shows the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import AliasPath, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from gateway.api import Services
from gateway.api.metrics import Metrics
from gateway.api.mtls import CERTIFICATE
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
    """Narrows a search; the aliases are the fields of `ports.Query`."""

    model_config = ConfigDict(extra="forbid")

    berichtid: Term | None = Field(None, serialization_alias="message_id")
    soort: Term | None = Field(None, serialization_alias="kind")
    staat: State | None = Field(None, serialization_alias="state")
    conversatieid: Term | None = Field(None, serialization_alias="conversation")
    sinds: AwareDatetime | None = Field(None, serialization_alias="since")
    limiet: Limit = Field(50, serialization_alias="limit")
    na: Term | None = Field(
        None, serialization_alias="after", description="`volgende` van hiervoor"
    )


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
    if not (certificate := request.scope[CERTIFICATE]):
        raise UnknownPartner("De verbinding heeft geen clientcertificaat.")
    request.state.oin = oin = services.oin_of(certificate)
    if not (partners := [p for p in services.partners.values() if p.oin == oin]):
        raise UnknownPartner()
    return Asker(oin, partners)


By = Annotated[Asker, Depends(asker)]


@asynccontextmanager
async def body(
    request: Request, *, media_type: str, limit: int, cut: bool = False
) -> AsyncIterator[bytes]:
    """
    A body, held within bounds of size, time and memory whatever Content-Length claims.

    Reading stops at the first chunk beyond `limit`: TooLarge, or with `cut` what was read so far.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        raise HTTPException(415)
    state, held, chunks = request.app.state, 0, []
    try:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    if state.in_flight + len(chunk) > MAX_IN_FLIGHT:
                        raise Unavailable()
                    held, state.in_flight = held + len(chunk), state.in_flight + len(chunk)
                    chunks.append(chunk)
                    if held > limit:
                        break
        except TimeoutError:
            raise HTTPException(408) from None
        if held > limit and not cut:
            raise TooLarge(f"De inhoud van het verzoek is ten hoogste {limit} bytes.")
        yield b"".join(chunks)
    finally:
        state.in_flight -= held


async def sealed(request: Request, _: By) -> AsyncIterator[bytes]:
    # The seal takes no more than MAX_BODY: what is too large the core refuses, and signs for it.
    async with body(request, media_type=JOSE, limit=MAX_BODY, cut=True) as token:
        yield token


async def proof(request: Request, _: By) -> AsyncIterator[bytes]:
    async with body(request, media_type=JOSE, limit=MAX_SMALL) as token:
        yield token


async def asked(request: Request, _: By) -> Zoekvraag:
    async with body(request, media_type="application/json", limit=MAX_SMALL) as text:
        try:
            return Zoekvraag.model_validate_json(text)
        except ValidationError as error:
            raise invalid(error.errors()) from None


Sealed = Annotated[bytes, Depends(sealed)]
Proof = Annotated[bytes, Depends(proof)]
Asked = Annotated[Zoekvraag, Depends(asked)]


def takes(media_type: str, schema: dict[str, str]) -> dict[str, Any]:
    """How OpenAPI describes a body that we read ourselves."""
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


class Jose(Response):
    """Signed bytes, as they are."""

    media_type = JOSE


JOSE_BODY = takes(JOSE, {"type": "string"})
ZOEK_BODY = takes("application/json", {"$ref": "#/components/schemas/Zoekvraag"})
router = APIRouter(prefix="/v1")


@router.post("/berichten", status_code=202, response_class=Jose, openapi_extra=JOSE_BODY)
def bied_aan(request: Request, services: With, by: By, token: Sealed) -> Response:
    """Biedt een verzegeld bericht aan; een herhaling krijgt hetzelfde ontvangstbewijs."""
    metrics: Metrics = request.app.state.metrics
    with metrics.seconds.time():
        accepted = services.acceptor.accept(token, tls_oin=by.oin)
    if accepted.error:
        metrics.refused.labels(by.partners[0].name, accepted.error.code).inc()
        return problem(accepted.error, receipt=accepted.receipt)
    if accepted.duplicate:
        metrics.repeated.inc()
    elif record := services.store.message(str(accepted.internal_id)):
        metrics.accepted.labels(record.sender, record.kind).inc()
    return Jose(accepted.receipt, 202, {"Location": f"/v1/berichten/{accepted.internal_id}"})


@router.post("/berichten/_zoek", openapi_extra=ZOEK_BODY)
def zoek(services: With, by: By, asked: Asked) -> Zoekresultaat:
    """Zoekt in uw eigen berichten, nieuwste eerst."""
    query = asked.model_dump(by_alias=True)
    pages = (services.store.search(Query(sender=p.name, **query)) for p in by.partners)
    found = sorted(chain(*pages), key=lambda record: (record.received_at, record.id), reverse=True)
    page = found[: asked.limiet]
    rest = page[-1].id if len(page) == asked.limiet else None
    return Zoekresultaat.model_validate({"berichten": page, "volgende": rest})


@router.get("/berichten/{id}")
def status(id: Id, services: With, by: By) -> Berichtstatus:
    """Toont hoe het met uw bericht staat."""
    record = by.own(services.store.message(id))
    deliveries = services.store.deliveries_of(id)
    return Berichtstatus.model_validate({"bericht": record, "afleveringen": deliveries})


@router.get("/berichten/{id}/ontvangstbewijs", response_class=Jose)
def ontvangstbewijs(id: Id, services: With, by: By) -> Response:
    """Geeft het ontvangstbewijs nogmaals, byte voor byte."""
    by.own(services.store.message(id))
    return Jose(services.store.receipt_of(id))


@router.get("/postbus")
def postbus(services: With, by: By, limiet: Limit = 50) -> Postbuslijst:
    """Noemt wat voor u klaarligt, oudste eerst."""
    lists = (services.postbus.list(partner, limit=limiet) for partner in by.partners)
    oldest_first = sorted(chain(*lists), key=lambda record: record.created_at)
    return Postbuslijst.model_validate({"berichten": oldest_first[:limiet]})


@router.get("/postbus/{id}", response_class=Jose)
def haal_op(id: Id, services: With, by: By) -> Response:
    """Geeft een bericht, verzegeld voor u; het blijft liggen tot u het bevestigt."""
    return Jose(services.postbus.fetch(by.mine(services.store.delivery(id)), id))


@router.post("/postbus/{id}/bevestiging", status_code=204, openapi_extra=JOSE_BODY)
def bevestig(id: Id, services: With, by: By, token: Proof) -> None:
    """Bevestigt de ontvangst met uw ondertekende ontvangstbewijs."""
    services.postbus.confirm(by.mine(services.store.delivery(id)), id, token)


@router.get("/ping")
def ping(services: With, by: By) -> Ping:
    """Toont wie u voor de gateway bent."""
    return Ping(oin=by.oin, tijd=datetime.now(UTC), versie=services.version)
