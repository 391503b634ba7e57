"""The paths of the API: each checks its input, asks the core or the store, and shows the outcome."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import AliasPath, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException

from gateway import __version__
from gateway.api import Services
from gateway.api.mtls import CERTIFICATE
from gateway.api.problems import invalid, problem
from gateway.errors import NotFound, TooLarge, Unavailable, UnknownPartner
from gateway.model.partner import Partner
from gateway.ports import MessageRecord, Query, State

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
    na: Term | None = Field(None, serialization_alias="after", description="De vorige `volgende`")


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
    """The organisation at the other end, maybe several partners (systems), and what is its own."""

    services: Services
    oin: str
    partners: Sequence[Partner]

    def receiving(self, delivery_id: str) -> Partner:
        """The partner a delivery is for. NotFound when it is for another organisation."""
        delivery = self.services.store.delivery(delivery_id)
        for partner in self.partners:
            if delivery and delivery.receiver == partner.name:
                return partner
        raise NotFound()

    def message(self, internal_id: str) -> MessageRecord:
        """The message, if this organisation signed it. NotFound otherwise."""
        record = self.services.store.message(internal_id)
        if record is None or record.signer_oin != self.oin:
            raise NotFound()
        return record


async def asker(request: Request) -> Asker:
    if not (certificate := request.scope[CERTIFICATE]):
        raise UnknownPartner("De verbinding heeft geen clientcertificaat.")
    services: Services = request.app.state.services
    request.state.oin = oin = services.oin_of(certificate)
    if not (partners := [p for p in services.partners.values() if p.oin == oin]):
        raise UnknownPartner()
    return Asker(services, oin, partners)


By = Annotated[Asker, Depends(asker)]


@dataclass(eq=False)  # FastAPI wants dependencies with a hash
class Body:
    """
    A body, held within bounds of size, time and memory whatever Content-Length claims.

    Reading stops at the first chunk beyond `limit`: TooLarge, or with `cut` what was read so far.
    """

    media_type: str
    limit: int
    cut: bool = False

    async def __call__(self, request: Request, _: By) -> AsyncIterator[bytes]:
        said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if said != self.media_type:
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
                        if held > self.limit:
                            break
            except TimeoutError:
                raise HTTPException(408) from None
            if held > self.limit and not self.cut:
                raise TooLarge(f"De inhoud van het verzoek is ten hoogste {self.limit} bytes.")
            yield b"".join(chunks)
        finally:
            state.in_flight -= held

    def described(self, schema: dict[str, str]) -> dict[str, Any]:
        """How OpenAPI describes a body that we read ourselves."""
        content = {self.media_type: {"schema": schema}}
        return {"requestBody": {"required": True, "content": content}}


# The seal takes no more than MAX_BODY: what is too large the core refuses, and signs for it.
SEALED = Body(JOSE, MAX_BODY, cut=True)
PROOF = Body(JOSE, MAX_SMALL)
FILTER = Body("application/json", MAX_SMALL)


async def asked(text: Annotated[bytes, Depends(FILTER)]) -> Zoekvraag:
    try:
        return Zoekvraag.model_validate_json(text)
    except ValidationError as error:
        raise invalid(error.errors()) from None


class Jose(Response):
    """Signed bytes, as they are."""

    media_type = JOSE


JOSE_BODY = SEALED.described({"type": "string"})
ZOEK_BODY = FILTER.described({"$ref": "#/components/schemas/Zoekvraag"})
router = APIRouter(prefix="/v1")


@router.post("/berichten", status_code=202, response_class=Jose, openapi_extra=JOSE_BODY)
def bied_aan(by: By, token: Annotated[bytes, Depends(SEALED)]) -> Response:
    """Biedt een verzegeld bericht aan; een herhaling krijgt hetzelfde ontvangstbewijs."""
    services, metrics = by.services, by.services.metrics
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
def zoek(by: By, asked: Annotated[Zoekvraag, Depends(asked)]) -> Zoekresultaat:
    """Zoekt in uw eigen berichten, nieuwste eerst."""
    query = asked.model_dump(by_alias=True)
    pages = (by.services.store.search(Query(sender=p.name, **query)) for p in by.partners)
    found = sorted(chain(*pages), key=lambda record: (record.received_at, record.id), reverse=True)
    page = found[: asked.limiet]
    rest = page[-1].id if len(page) == asked.limiet else None
    return Zoekresultaat.model_validate({"berichten": page, "volgende": rest})


@router.get("/berichten/{id}")
def status(id: Id, by: By) -> Berichtstatus:
    """Toont hoe het met uw bericht staat."""
    found = {"bericht": by.message(id), "afleveringen": by.services.store.deliveries_of(id)}
    return Berichtstatus.model_validate(found)


@router.get("/berichten/{id}/ontvangstbewijs", response_class=Jose)
def ontvangstbewijs(id: Id, by: By) -> Response:
    """Geeft het ontvangstbewijs nogmaals, byte voor byte."""
    return Jose(by.services.store.receipt_of(by.message(id).id))


@router.get("/postbus")
def postbus(by: By, limiet: Limit = 50) -> Postbuslijst:
    """Noemt wat voor u klaarligt, oudste eerst."""
    lists = (by.services.postbus.list(partner, limit=limiet) for partner in by.partners)
    oldest_first = sorted(chain(*lists), key=lambda record: record.created_at)
    return Postbuslijst.model_validate({"berichten": oldest_first[:limiet]})


@router.get("/postbus/{id}", response_class=Jose)
def haal_op(id: Id, by: By) -> Response:
    """Geeft een bericht, verzegeld voor u; het blijft liggen tot u het bevestigt."""
    return Jose(by.services.postbus.fetch(by.receiving(id), id))


@router.post("/postbus/{id}/bevestiging", status_code=204, openapi_extra=JOSE_BODY)
def bevestig(id: Id, by: By, token: Annotated[bytes, Depends(PROOF)]) -> None:
    """Bevestigt de ontvangst met uw ondertekende ontvangstbewijs."""
    by.services.postbus.confirm(by.receiving(id), id, token)


@router.get("/ping")
def ping(by: By) -> Ping:
    """Toont wie u voor de gateway bent."""
    return Ping(oin=by.oin, tijd=datetime.now(UTC), versie=__version__)
