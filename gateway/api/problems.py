"""Errors as RFC 9457 problem documents in Dutch; never with anything the client sent."""

from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field

from gateway import __version__
from gateway.errors import BadRequest, GatewayError, NotFound, Refused

HEADERS = {
    "API-Version": __version__,
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer (NL API Design Rules /core/version-header, /core/transport/security-headers)."""

RETRY_AFTER = 30  # seconds a sender is asked to wait when the error has no better idea
PROBLEM = "application/problem+json"

_BY_STATUS: dict[int, Refused] = {
    404: NotFound("Dit adres bestaat niet."),
    405: BadRequest("Deze methode is op dit adres niet toegestaan."),
    408: BadRequest("Het verzoek kwam niet op tijd compleet binnen; bied het opnieuw aan."),
    415: BadRequest("Verstuur de inhoud met de Content-Type die /openapi.json noemt."),
}


class Probleem(BaseModel):
    """RFC 9457 §3.1, with extension members."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stabiele foutcode")
    advies: str = Field(description="Wat u kunt doen")
    pad: str | None = Field(None, description="Plaats in het document of verzoek")
    ontvangstbewijs: str | None = Field(None, description="De ondertekende weigering")


def problem(error: GatewayError, *, receipt: bytes = b"", status: int = 0) -> Response:
    """The answer to an error; of what is ours to mend (5xx) the details are the operator's."""
    told = isinstance(error, Refused)
    document = Probleem(
        type=f"urn:zvh:fout:{error.code}",
        title=error.titel,
        status=status or error.status,
        detail=error.detail if told else error.titel,
        code=error.code,
        advies=error.advies,
        pad=error.path if told else None,
        ontvangstbewijs=receipt.decode() or None,
    )
    wait = {"Retry-After": str(round(error.retry_after or RETRY_AFTER))} if error.transient else {}
    return Response(document.model_dump_json(exclude_none=True), document.status, wait, PROBLEM)


async def on_error(_: Request, error: Any) -> Response:
    """The handler of a GatewayError, RequestValidationError or (of the framework) HTTPException."""
    if isinstance(error, GatewayError):
        return problem(error)
    if isinstance(error, RequestValidationError):
        return problem(invalid(error.errors()))
    refusal = _BY_STATUS.get(error.status_code, BadRequest())
    answer = problem(refusal, status=error.status_code)
    answer.headers.update(error.headers or {})  # Allow, with 405
    return answer


def invalid(faults: Any) -> BadRequest:
    """The first fault of pydantic as ours: its place, unless the client made up that name."""
    place = ".".join(str(part) for part in faults[0]["loc"])
    path = None if faults[0]["type"] == "extra_forbidden" else place
    return BadRequest("Een veld of parameter ontbreekt of is onjuist.", path=path)


def bare_refusal() -> bytes:
    """A whole HTTP response, for bytes that are no HTTP request."""
    answer = problem(BadRequest("Dit is geen geldig HTTP-verzoek."))
    answer.headers.update({**HEADERS, "Connection": "close"})
    head = [b"HTTP/1.1 400 Bad Request", *map(b": ".join, answer.raw_headers)]
    return b"\r\n".join([*head, b"", bytes(answer.body)])
