"""The HTTP edge over real mutual TLS on loopback: who is let in, what is answered, what never is."""

from __future__ import annotations

import json
import re
import ssl
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from gateway.api.problems import HEADERS
from gateway.api.server import Server, Servers
from gateway.core.ids import new_id
from gateway.errors import BusUnavailable, StoreUnavailable

from .edge import (
    GATEWAY_PARTNER,
    JOSE,
    NATIONAL,
    ZSM,
    ZSM_TWO,
    Running,
    client_context,
    problem_code,
    put,
    receipt_for,
    render,
    sealed_vcob,
    sealer_of,
)


def test_a_message_is_accepted_and_its_repeat_gets_the_same_receipt(
    edge: Running, zsm: httpx2.Client
) -> None:
    sealed = sealed_vcob(edge, "ref-1")
    first = zsm.post("/v1/berichten", content=sealed, headers=JOSE)
    assert first.status_code == 202, first.text
    assert first.headers["content-type"] == "application/jose"
    repeat = zsm.post("/v1/berichten", content=sealed, headers=JOSE)
    assert (202, first.content) == (repeat.status_code, repeat.content)
    assert first.headers["location"] == repeat.headers["location"]
    status = zsm.get(first.headers["location"]).json()
    assert "ref-1" == status["bericht"]["berichtid"]
    assert ["landelijk"] == [d["ontvanger"] for d in status["afleveringen"]]
    receipt = zsm.get(first.headers["location"] + "/ontvangstbewijs")
    assert first.content == receipt.content


def test_who_has_no_good_certificate_does_not_get_through_the_handshake(edge: Running) -> None:
    for name, reason in {
        None: "PEER_DID_NOT_RETURN_A_CERTIFICATE",
        "broken-rogue": "unable to get local issuer certificate",
        "broken-revoked": "certificate revoked",
        "broken-wrong-eku": "unsuitable certificate purpose",
        "broken-expired": "certificate has expired",
    }.items():
        with edge.client(name) as client, pytest.raises(httpx2.TransportError):
            client.get("/v1/ping")
        assert reason == edge.refused_handshakes[-1]


def test_the_organisation_is_read_from_the_certificate(edge: Running, zsm: httpx2.Client) -> None:
    assert ZSM.oin == zsm.get("/v1/ping").json()["oin"]
    for name, code in {
        "stranger": "onbekende-partner",
        "broken-no-oin": "onbekende-partner",
    }.items():
        with edge.client(name) as client:
            for path in ("/v1/ping", "/v1/postbus", f"/v1/berichten/{new_id(datetime.now(UTC))}"):
                answer = client.get(path)
                assert (403, code) == (answer.status_code, problem_code(answer))
            answer = client.post("/v1/berichten", content=b"x" * 100, headers=JOSE)
            assert (403, code) == (answer.status_code, problem_code(answer))


def test_no_certificate_is_refused_by_the_application_too(edge: Running) -> None:
    """Should a context ever not require one."""
    lax = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    lax.load_cert_chain(edge.pki / "gateway-tls.crt", edge.pki / "gateway-tls.key")
    server = Server(edge.app, lax)
    with Servers(server):
        url = f"https://127.0.0.1:{server.port}/v1/ping"
        answer = httpx2.get(url, verify=client_context(edge.pki, None))
    assert (403, "onbekende-partner") == (answer.status_code, problem_code(answer))


def test_a_refusal_is_a_problem_document_with_the_signed_refusal(
    edge: Running, zsm: httpx2.Client
) -> None:
    for body, code in {b"": "bericht-leeg", b"geen.jose": "zegel-ongeldig"}.items():
        answer = zsm.post("/v1/berichten", content=body, headers=JOSE)
        assert (400, code) == (answer.status_code, problem_code(answer))
        refusal = sealer_of(edge.pki, "zsm", ZSM.oin, GATEWAY_PARTNER).verify_receipt(
            answer.json()["ontvangstbewijs"].encode(),
            partner=GATEWAY_PARTNER,
            now=datetime.now(UTC),
        )
        assert ("geweigerd", code) == (refusal.outcome, refusal.code)


def test_another_document_under_a_used_id_is_a_conflict(edge: Running, zsm: httpx2.Client) -> None:
    first = sealed_vcob(edge, "ref-2")
    assert 202 == zsm.post("/v1/berichten", content=first, headers=JOSE).status_code
    answer = zsm.post("/v1/berichten", content=sealed_vcob(edge, "ref-2", tail=b"\n"), headers=JOSE)
    assert (409, "id-hergebruikt") == (answer.status_code, problem_code(answer))


def test_every_answer_bears_the_headers(zsm: httpx2.Client) -> None:
    for method, path in (
        ("GET", "/v1/ping"),
        ("GET", "/openapi.json"),
        ("GET", "/bestaat-niet"),
        ("DELETE", "/v1/ping"),
        ("POST", "/v1/berichten"),
        ("GET", "/v1/berichten/geen-uuid"),
    ):
        answer = zsm.request(method, path)
        for name, value in HEADERS.items():
            assert value == answer.headers[name], (path, name)
        assert answer.status_code < 500 and "server" not in answer.headers


def test_what_the_framework_refuses_is_said_in_dutch_without_echo(zsm: httpx2.Client) -> None:
    word = "Kwaadaardigheid999990342"
    for status, code, answer in (
        (404, "niet-gevonden", zsm.get(f"/v1/{word}")),
        (404, "niet-gevonden", zsm.get("/v1/ping/")),
        (405, "verzoek-ongeldig", zsm.put("/v1/berichten", content=word)),
        (400, "verzoek-ongeldig", zsm.get(f"/v1/berichten/{word}")),
        (400, "verzoek-ongeldig", zsm.get("/v1/postbus", params={"limiet": word})),
        (415, "verzoek-ongeldig", zsm.post("/v1/berichten", content=word)),
        (415, "verzoek-ongeldig", zsm.post("/v1/berichten", json={word: word})),
        (400, "verzoek-ongeldig", zsm.post("/v1/berichten/_zoek", json={word: word})),
        (400, "verzoek-ongeldig", zsm.post("/v1/berichten/_zoek", json={"staat": word})),
        (400, "verzoek-ongeldig", zsm.post("/v1/berichten/_zoek", json={"soort": "a\0b"})),
    ):
        assert (status, code) == (answer.status_code, problem_code(answer))
        assert word not in answer.text and word not in str(answer.headers)
    assert "GET" == zsm.post("/v1/ping").headers["allow"]


def test_an_unexpected_fault_is_a_500_that_tells_nothing(
    edge: Running, zsm: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ValueError("BSN 999990342")

    monkeypatch.setattr(type(edge.services.acceptor), "accept", explode)
    with capture_logs() as logs:
        answer = zsm.post("/v1/berichten", content=b"x", headers=JOSE)
    assert (500, "interne-fout") == (answer.status_code, problem_code(answer))
    assert HEADERS["API-Version"] == answer.headers["api-version"]
    assert "request_failed" in [line["event"] for line in logs]
    assert "999990342" not in answer.text + repr(logs)


def test_when_the_store_is_down_the_sender_is_asked_to_come_back(
    edge: Running, zsm: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object, **__: object) -> None:
        raise StoreUnavailable("sqlite: geheim detail", retry_after=7)

    monkeypatch.setattr(type(edge.services.store), "ping", down)
    monkeypatch.setattr(type(edge.services.store), "refused", down)
    monkeypatch.setattr(type(edge.services.store), "counts", down)
    answer = zsm.post("/v1/berichten", content=b"x", headers=JOSE)
    assert (503, "opslag-onbereikbaar") == (answer.status_code, problem_code(answer))
    assert "7" == answer.headers["retry-after"] and "geheim" not in answer.text
    ready = httpx2.get(f"{edge.management}/health/ready")
    assert (503, True) == (ready.status_code, "opslag-onbereikbaar" in ready.text)
    assert 200 == httpx2.get(f"{edge.management}/metrics").status_code


def test_one_line_a_request_and_nothing_of_the_client_in_it(zsm: httpx2.Client) -> None:
    with capture_logs() as logs:
        zsm.get("/v1/berichten/999990342?bsn=999990342")
        zsm.get("/999990342")
        zsm.get("/v1/ping?x=999990342")
    lines = [line for line in logs if line["event"] == "request"]
    assert [400, 404, 200] == [line["status"] for line in lines]
    assert ("/v1/ping", ZSM.oin) == (lines[-1]["route"], lines[-1]["oin"])
    assert "999990342" not in repr(logs)


def test_a_message_is_seen_by_its_sender_only(edge: Running, zsm: httpx2.Client) -> None:
    message = put(edge)
    status = zsm.get(f"/v1/berichten/{message.id}").json()
    assert message.message_id == status["bericht"]["berichtid"]
    assert [{"pad": "data.opmerking", "categorie": "vrije-tekst", "wijze": "weg"}] == (
        status["bericht"]["verlies"]
    )
    delivery = status["afleveringen"][0]
    assert ("landelijk", 0) == (delivery["ontvanger"], delivery["pogingen"])
    receipt = zsm.get(f"/v1/berichten/{message.id}/ontvangstbewijs")
    assert (message.receipt, "application/jose") == (
        receipt.content,
        receipt.headers["content-type"],
    )
    with edge.client("landelijk") as other:
        for path in ("", "/ontvangstbewijs"):
            answer = other.get(f"/v1/berichten/{message.id}{path}")
            assert (404, "niet-gevonden") == (answer.status_code, problem_code(answer))


def test_a_search_pages_through_ones_own_messages_of_every_system(
    edge: Running, zsm: httpx2.Client
) -> None:
    mine = [put(edge, sender=ZSM if n % 2 else ZSM_TWO, conversation="zoek").id for n in range(5)]
    put(edge, sender=NATIONAL, receiver=ZSM, conversation="zoek")
    asked: dict[str, Any] = {"conversatieid": "zoek", "limiet": 2}
    found: list[str] = []
    while True:
        page = zsm.post("/v1/berichten/_zoek", json=asked).json()
        found += [row["id"] for row in page["berichten"]]
        if page["volgende"] is None:
            break
        asked["na"] = page["volgende"]
    assert mine[::-1] == found
    one = {"berichtid": page["berichten"][0]["berichtid"], "soort": "bekendheidsverzoek"}
    assert 1 == len(zsm.post("/v1/berichten/_zoek", json=one).json()["berichten"])
    none = zsm.post("/v1/berichten/_zoek", json={"sinds": "2099-01-01T00:00:00Z"}).json()
    assert {"berichten": [], "volgende": None} == none


def test_the_postbus_lists_gives_and_takes_a_receipt(edge: Running) -> None:
    delivery_id = put(edge).deliveries[0].id
    render(edge, delivery_id)
    with edge.client("landelijk") as client, edge.client("zsm") as other:
        row = client.get("/v1/postbus").json()["berichten"][0]
        assert (delivery_id, "bekendheidsverzoek", "landelijk/1.0") == (
            row["id"],
            row["soort"],
            row["dialect"],
        )
        sealed = client.get(f"/v1/postbus/{delivery_id}")
        assert "application/jose" == sealed.headers["content-type"]
        own = sealer_of(edge.pki, "landelijk", NATIONAL.oin, GATEWAY_PARTNER)
        unsealed = own.open(sealed.content, now=datetime.now(UTC))
        assert (delivery_id, b"het document") == (unsealed.envelope["id"], unsealed.document)
        path = f"/v1/postbus/{delivery_id}/bevestiging"
        proof = receipt_for(edge, delivery_id)
        for answer in (
            other.get(f"/v1/postbus/{delivery_id}"),
            other.post(path, content=proof, headers=JOSE),
        ):
            assert (404, "niet-gevonden") == (answer.status_code, problem_code(answer))
        answer = client.post(path, content=b"onzin", headers=JOSE)
        assert (400, "verzoek-ongeldig") == (answer.status_code, problem_code(answer))
        for _ in "first", "again":
            answer = client.post(path, content=proof, headers=JOSE)
            assert (204, b"") == (answer.status_code, answer.content)
        assert [] == client.get("/v1/postbus").json()["berichten"]


def test_health_and_metrics_name_no_person_and_no_case(
    edge: Running, zsm: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    zsm.post("/v1/berichten", content=sealed_vcob(edge, "ref-3"), headers=JOSE)
    zsm.post("/v1/berichten", content=sealed_vcob(edge, "ref-3"), headers=JOSE)
    zsm.post("/v1/berichten", content=b"onzin", headers=JOSE)
    for path in ("live", "ready"):
        assert "ok\n" == httpx2.get(f"{edge.management}/health/{path}").text
    text = httpx2.get(f"{edge.management}/metrics").text
    for line in (
        'zvh_accepted_total{kind="bekendheidsverzoek",partner="zsm"} ',
        'zvh_refused_total{code="zegel-ongeldig",partner="zsm"} ',
        "zvh_repeated_total ",
        'zvh_deliveries{partner="landelijk",state="',
        "zvh_oldest_due_seconds ",
        'zvh_accept_seconds_bucket{le="0.2"} ',
    ):
        assert line in text
    assert "ref-3" not in text and "python_info" not in text

    def down() -> None:
        raise BusUnavailable()

    monkeypatch.setattr(edge.services.bus, "ping", down)
    degraded = httpx2.get(f"{edge.management}/health/ready")
    assert (200, True) == (degraded.status_code, "bus-onbereikbaar" in degraded.text)
    assert 404 == zsm.get("/metrics").status_code == zsm.get("/health/live").status_code


def test_the_description_follows_the_api_design_rules(edge: Running, zsm: httpx2.Client) -> None:
    """The technical rules of NL API Design Rules 2.2, as their published linter has them."""
    spec = zsm.get("/openapi.json").json()
    assert re.fullmatch(r"3(.\d+){1,2}", spec["openapi"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", spec["info"]["version"])
    assert {"name", "url", "email"} <= spec["info"]["contact"].keys()
    assert all(re.search(r"/v\d", server["url"]) for server in spec["servers"])
    kebab = r"(/_[a-z0-9]+|/(([a-z0-9\-]+|{[^}]+})(/([a-z0-9\-.]+|{[^}]+}))*)(/_[a-z]+)?)"
    operation_ids = []
    for path, item in spec["paths"].items():
        assert re.fullmatch(kebab, path)
        assert item.keys() <= {"get", "post", "put", "patch", "delete"}
        for method, operation in item.items():
            operation_ids.append(operation["operationId"])
            assert operation["summary"]
            parameters = operation.get("parameters", [])
            assert {f"{{{p['name']}}}" for p in parameters if p["in"] == "path"} == set(
                re.findall("{[^}]+}", path)
            )
            for parameter in parameters:
                assert re.fullmatch(r"[a-z][a-z\d]*([A-Z][a-z\d]*)*", parameter["name"])
            answers = operation["responses"]
            assert "400" in answers or (method == "get" and not parameters)
            for status, answer in answers.items():
                assert "API-Version" in answer["headers"] and answer["description"]
                if status[0] in "45d":
                    (media_type,) = answer["content"]
                    assert "application/problem+json" == media_type
    assert len(set(operation_ids)) == len(operation_ids)
    schemas = spec["components"]["schemas"]
    assert {"status", "title", "detail"} <= schemas["Probleem"]["properties"].keys()
    for name, schema in schemas.items():
        assert re.fullmatch("([A-Z][a-z]+)+", name)
        for field, about in schema.get("properties", {}).items():
            assert re.fullmatch(r"[a-z][a-z\d]*([A-Z][a-z\d]*)*", field)
            assert about.get("format") not in ("time", "date-time-local")
            if re.search("datum|date", field, re.IGNORECASE):
                assert "date" == about["format"]
    assert set(re.findall(r"#/components/schemas/(\w+)", json.dumps(spec))) <= schemas.keys()
    for path in ("/docs", "/redoc"):
        assert 404 == zsm.get(path).status_code
