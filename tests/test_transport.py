"""Pushing to partners and speaking to the gateway as one: every fault of HTTP becomes one of ours."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gateway import transport
from gateway.api.server import Server, Servers
from gateway.client import GatewayClient, RefusedByGateway
from gateway.errors import PartnerUnavailable, ReceiptInvalid
from gateway.model.partner import Partner
from gateway.ports import Receipt
from gateway.security.seal import JoseSealer
from gateway.security.tls import client_context, server_context
from gateway.transport import FAULTS, HttpsTransport, retry_after

from .edge import (
    GATEWAY_PARTNER,
    NATIONAL,
    ZSM,
    Running,
    make_pki,
    put,
    render,
    running,
    sealer_of,
    tls_files,
    vcob,
)

SEEN: list[dict[str, Any]] = []


async def receive(request: Request) -> Response:
    """A partner that answers as the path says: /<status>/<what>."""
    status, what = int(request.path_params["status"]), request.path_params["what"]
    SEEN.append(
        {"path": request.url.path, "headers": request.headers, "body": await request.body()}
    )
    if what == "huge":
        return StreamingResponse((b"x" * 10_000 for _ in range(1_000)), status)
    if what == "deep":
        return Response(b"[" * 50_000, status)
    if what == "wait":
        return Response(b"", status, {"Retry-After": "120"})
    if what == "elsewhere":
        return Response(b"", status, {"Location": "/202/receipt"})
    if what == "refusal":
        problem = {"code": "code-onbekend", "detail": "x", "ontvangstbewijs": "de.weige.ring"}
        return Response(json.dumps(problem), status, media_type="application/problem+json")
    if what == "nonsense":
        return Response(json.dumps({"code": "Jan Jansen\n", "ontvangstbewijs": "\ud800"}), status)
    return Response(b"het.ontvangst.bewijs\n", status, media_type="application/jose")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def partner(pki: Path) -> Iterator[str]:
    app = Starlette(routes=[Route("/{status}/{what}", receive, methods=["POST"])])
    server = Server(app, server_context(tls_files(pki, "landelijk"), on_refused=print))
    with Servers(server):
        yield f"https://localhost:{server.port}"


@pytest.fixture(scope="module")
def pusher(pki: Path) -> Iterator[HttpsTransport]:
    pusher = HttpsTransport(client_context(tls_files(pki, "gateway")))
    yield pusher
    pusher.close()


def at(url: str) -> Partner:
    return replace(NATIONAL, transport="push", url=url)


def test_a_sealed_message_is_pushed_as_it_is(pusher: HttpsTransport, partner: str) -> None:
    answer = pusher.push(at(f"{partner}/202/receipt"), b"sealed")
    assert (202, b"het.ontvangst.bewijs", "") == (answer.status, answer.receipt, answer.code)
    seen = SEEN[-1]
    assert (b"sealed", "application/jose") == (seen["body"], seen["headers"]["content-type"])
    assert "identity" == seen["headers"]["accept-encoding"]


def test_a_refusal_is_an_answer_with_its_code_and_proof(
    pusher: HttpsTransport, partner: str
) -> None:
    for status in (400, 403, 409, 413, 422):
        answer = pusher.push(at(f"{partner}/{status}/refusal"), b"sealed")
        assert (status, b"de.weige.ring", "code-onbekend") == (
            answer.status,
            answer.receipt,
            answer.code,
        )
    for what in ("deep", "nonsense", "receipt"):
        answer = pusher.push(at(f"{partner}/400/{what}"), b"sealed")
        assert (400, "") == (answer.status, answer.code)


def test_what_passes_by_itself_is_tried_again(pusher: HttpsTransport, partner: str) -> None:
    for status in (301, 307, 408, 425, 429, 500, 502, 503, 504):
        before = len(SEEN)
        with pytest.raises(PartnerUnavailable) as caught:
            pusher.push(at(f"{partner}/{status}/elsewhere"), b"sealed")
        assert caught.value.retry_after is None
        assert 1 == len(SEEN) - before, "a redirect is never followed"
        with pytest.raises(PartnerUnavailable) as caught:
            pusher.push(at(f"{partner}/{status}/wait"), b"sealed")
        assert 120 == caught.value.retry_after


def test_an_answer_is_bounded_in_size_and_time(
    pusher: HttpsTransport, partner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PartnerUnavailable, match="te groot"):
        pusher.push(at(f"{partner}/202/huge"), b"sealed")
    monkeypatch.setattr(transport, "EXCHANGE_S", -1)
    with pytest.raises(PartnerUnavailable, match="te traag"):
        pusher.push(at(f"{partner}/202/receipt"), b"sealed")


def test_only_a_trusted_receiver_over_tls_gets_anything(
    pki: Path, pusher: HttpsTransport, partner: str
) -> None:
    before = len(SEEN)
    port = partner.rpartition(":")[2]
    for url in (
        "https://localhost:1/x",  # nobody there
        f"http://localhost:{port}/202/receipt",
        f"https://127.0.0.2:{port}/202/receipt",  # not in the certificate
        "https://[",
        "",
    ):
        with pytest.raises(PartnerUnavailable):
            pusher.push(at(url), b"sealed")
    strangers = HttpsTransport(ssl.create_default_context())  # of other CAs
    for unfit in (strangers, HttpsTransport(client_context(tls_files(pki, "broken-revoked")))):
        with pytest.raises(PartnerUnavailable, match=r"TLS-handshake .* certificaten"):
            unfit.push(at(f"{partner}/202/receipt"), b"sealed")
        unfit.close()
    assert len(SEEN) == before


def test_no_fault_of_the_http_library_is_left_untranslated(
    pusher: HttpsTransport, partner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = [
        kind
        for kind in vars(httpx2).values()
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, Warning)
    ]
    assert len(kinds) > 20
    for kind in kinds:
        error = kind.__new__(kind)
        assert isinstance(error, tuple(FAULTS)), kind

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(httpx2.Client, "stream", fail)
        with pytest.raises(PartnerUnavailable) as caught:
            pusher.push(at(f"{partner}/202/receipt"), b"sealed")
        assert caught.value.__cause__ is error


def test_retry_after_is_understood_in_both_forms_and_never_absurd() -> None:
    now = datetime(2026, 3, 29, 0, 59, 30, tzinfo=UTC)
    for value, seconds in {
        "0": 0,
        "120": 120,
        "Sun, 29 Mar 2026 01:00:00 GMT": 30,
        "Sun, 29 Mar 2026 03:00:00 +0200": 30,
        "Sat, 28 Mar 2026 01:00:00 GMT": 0,
        "-5": 0,
        "9" * 400: None,
        "1e9": 86_400,
        "nan": None,
        "": None,
        "morgen": None,
        "Sun, 29 Mar 99999 01:00:00 GMT": None,
        "Sun, 29 Mar 2026 01:00:00": None,
    }.items():
        assert seconds == retry_after(value, now=now), value


# --- the partner's side of the API ----------------------------------------------------------------


@pytest.fixture(scope="module")
def edge(pki: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(pki, tmp_path_factory.mktemp("store")) as edge:
        yield edge


def connect(edge: Running, partner: Partner, url: str = "") -> GatewayClient:
    return GatewayClient(
        url or edge.url,
        client_context(tls_files(edge.pki, partner.name)),
        sealer=sealer_of(edge.pki, partner.name, partner.oin, GATEWAY_PARTNER),
        partner=partner,
        gateway=GATEWAY_PARTNER,
    )


def test_a_partner_sends_and_gets_the_same_receipt_again(edge: Running) -> None:
    with connect(edge, ZSM) as zsm:
        sent = zsm.send(
            vcob("klant-1"),
            message_id="klant-1",
            kind="bekendheidsverzoek",
            content_type="application/xml",
            conversatieid="gesprek-1",
        )
        assert ("klant-1", "geaccepteerd") == (sent.receipt.id, sent.receipt.outcome)
        assert sent.raw_receipt == zsm.resend(sent.sealed).raw_receipt
    record = edge.services.store.message(sent.location.removeprefix("/v1/berichten/"))
    assert record and ("klant-1", "gesprek-1") == (record.message_id, record.conversation)


def test_a_partner_sees_why_it_was_refused_with_proof(edge: Running) -> None:
    with connect(edge, ZSM) as zsm:
        with pytest.raises(RefusedByGateway) as caught:
            zsm.resend(b"onzin")
        error = caught.value
        assert ("zegel-ongeldig", 400) == (error.code, error.status)
        assert "zvh-jose-1" in error.advies
        assert error.refusal and error.code == error.refusal.code
        with pytest.raises(RefusedByGateway) as caught:
            zsm.fetch("geen-id")
        assert ("verzoek-ongeldig", None) == (caught.value.code, caught.value.refusal)


def test_a_receipt_that_says_something_else_is_not_believed(
    edge: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = JoseSealer.sign_receipt
    for member in ("id", "digest", "audience", "issuer", "outcome", "code"):

        def forge(self: JoseSealer, receipt: Receipt, member: str = member) -> bytes:
            other = "geweigerd" if member == "outcome" else "anders"
            return sign(self, replace(receipt, **{member: other}))

        monkeypatch.setattr(JoseSealer, "sign_receipt", forge)
        with connect(edge, ZSM) as zsm, pytest.raises(ReceiptInvalid):
            zsm.send(
                vcob(f"vals-{member}"),
                message_id=f"vals-{member}",
                kind="bekendheidsverzoek",
                content_type="application/xml",
            )


def test_a_partner_fetches_and_confirms_what_lies_in_its_postbus(edge: Running) -> None:
    accepted, refused = (put(edge).deliveries[0].id for _ in range(2))
    render(edge, accepted)
    render(edge, refused)
    with connect(edge, NATIONAL) as client:
        assert [accepted, refused] == [row["id"] for row in client.inbox()]
        fetched = client.fetch(accepted)
        assert (accepted, b"het document") == (fetched.envelope["id"], fetched.document)
        client.confirm(accepted, fetched.digest)
        client.confirm(refused, fetched.digest, refuse="code-onbekend")
        assert [] == client.inbox()
    states = [edge.services.store.delivery(id) for id in (accepted, refused)]
    assert ["afgeleverd", "dood"] == [record.state for record in states if record]


def test_a_gateway_that_is_away_is_unavailable(edge: Running) -> None:
    client = connect(edge, ZSM, "https://localhost:1")
    with client, pytest.raises(PartnerUnavailable):
        client.inbox()
