"""Puts the edge together: the API for partners, and the management app for its own listener."""

import time
import traceback
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway import __version__
from gateway.api import Services, soh
from gateway.api.problems import HEADERS, PROBLEM, Probleem, on_error, problem
from gateway.api.routes import Zoekvraag, router
from gateway.errors import GatewayError, Unavailable

CONTACT = {"name": "Beheer", "url": "https://gateway.example", "email": "beheer@gateway.example"}
REF = "#/components/schemas/{model}"
FAULTS: dict[int | str, str] = {
    400: "Het verzoek of het bericht is onjuist",
    403: "Geen partner, of geen grondslag",
    404: "Niet gevonden, of niet van u",
    503: "Even niet beschikbaar; probeer het later opnieuw",
    "default": "Geweigerd of mislukt; het problem-document zegt wat te doen",
}

log = structlog.get_logger()


class Edge:
    """
    Around every request: our headers on every answer, one log line, no exception outside.

    The line names the route and not the path, because a client may write anything in a path. Of an
    unexpected exception the place is logged and not the text, because that may quote a document.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.perf_counter(), 0

        async def send_ours(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        try:
            await self.app(scope, receive, send_ours)
        except ClientDisconnect:
            pass  # nobody is left to answer
        except Exception as error:  # noqa: BLE001  # the last line of defence
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{last.filename}:{last.lineno}"
            log.error("request_failed", error=type(error).__name__, place=place)
            if not status:
                await problem(GatewayError())(scope, receive, send_ours)
        route = getattr(scope.get("route"), "path", None)
        ms = round((time.perf_counter() - began) * 1000, 1)
        oin = scope.get("state", {}).get("oin")
        log.info("request", method=scope["method"], route=route, status=status, ms=ms, oin=oin)


def create_app(services: Services) -> FastAPI:
    """The API for partners; to be served over mutual TLS with `MutualTlsProtocol`."""
    caught = (GatewayError, RequestValidationError, HTTPException)
    app = FastAPI(
        title="ZVH-gateway",
        summary="Verzegeld berichtenverkeer met de Zorg- en Veiligheidshuizen",
        description="Elke verbinding vraagt een clientcertificaat met het OIN van de partner. "
        "Berichten en ontvangstbewijzen volgen zegelprofiel zvh-jose-1.",
        version=__version__,
        servers=[{"url": "/v1", "description": "Deze gateway"}],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        generate_unique_id_function=lambda route: route.name,
        exception_handlers=dict.fromkeys(caught, on_error),
    )
    app.state.services, app.state.in_flight = services, 0
    refusal = {"content": {PROBLEM: {"schema": {"$ref": REF.format(model="Probleem")}}}}
    said = {status: {"description": text, **refusal} for status, text in FAULTS.items()}
    for paths in (router, soh.router):
        app.include_router(paths, responses=said)
    app.add_middleware(Edge)
    _describe(app.openapi())
    return app


def _describe(spec: dict[str, Any]) -> None:
    """What FastAPI does not know: the NL API Design Rules on versions and problems."""
    spec["info"]["contact"] = CONTACT  # FastAPI wants another library to check the address
    schemas = spec["components"]["schemas"]
    for model in (Zoekvraag, Probleem):
        schemas[model.__name__] = schema = model.model_json_schema(ref_template=REF)
        schemas.update(schema.pop("$defs", {}))
    version = {"API-Version": {"description": "Volledige versie", "schema": {"type": "string"}}}
    spec["paths"] = {path.removeprefix("/v1"): item for path, item in spec["paths"].items()}
    for operation in (o for item in spec["paths"].values() for o in item.values()):
        for answer in operation["responses"].values():
            answer["headers"] = version


def create_management_app(services: Services) -> Starlette:
    """Health and metrics, for a listener that only the operator's own systems reach."""

    def ready(_: Request) -> Response:
        # Without the bus messages are still accepted, so that alone is told and no 503.
        status, text = 200, ""
        if services.draining.is_set():
            return PlainTextResponse("stopping\n", 503)
        for part in (services.store, services.bus):
            try:
                part.ping()
            except Unavailable as error:
                text += f"{error.code}: {error.operator}\n"
                status = 503 if part is services.store else status
        return PlainTextResponse(text or "ok\n", status)

    def scrape(_: Request) -> Response:
        found = generate_latest(services.metrics.registry)
        return Response(found, media_type=CONTENT_TYPE_LATEST)

    live = PlainTextResponse("ok\n")
    paths = {"/health/live": lambda _: live, "/health/ready": ready, "/metrics": scrape}
    return Starlette(routes=[Route(path, endpoint) for path, endpoint in paths.items()])
