"""Events of SOH over real mutual TLS: offered, offered again, announced, read, and seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.national import ADAPTER
from adapters.national.soh import SOH
from gateway.api.server import Server, Servers
from gateway.core.deliver import Deliverer
from gateway.core.ids import instant
from gateway.core.retry import Retry
from gateway.formats import jsondoc
from gateway.model import lees, schrijf
from gateway.model.envelop import source_of, type_of
from gateway.model.gebeurtenis import MEDIA_TYPE
from gateway.ports import DeliveryRecord, Outcome, Query, State, Taken
from gateway.resources import folder
from gateway.security.tls import server_context

from .edge import (
    GATEWAY_PARTNER,
    JOSE,
    NATIONAL,
    ZSM,
    Running,
    make_pki,
    problem_code,
    running,
    sealer_of,
    tls_files,
)
from .soh import EXAMPLES

HEAD = {"Content-Type": MEDIA_TYPE}


@dataclass
class System:
    """The systems of both SOH partners: they keep what they are told, and offer content to read."""

    events: list[dict[str, Any]] = field(default_factory=list)
    status: list[int] = field(default_factory=list)  # of the next answers; then 202
    content: Any = None
    port: int = 0

    async def take(self, request: Request) -> Response:
        assert MEDIA_TYPE == request.headers["content-type"]
        self.events.append(orjson.loads(await request.body()))
        return Response(b'{"interactieId": "x"}', self.status.pop(0) if self.status else 202)

    async def give(self, _: Request) -> Response:
        if self.content is None:
            return Response(b"", 404)
        return Response(orjson.dumps(self.content), media_type="application/json")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def system(pki: Path) -> Iterator[System]:
    found = System()
    routes = [Route("/events", found.take, methods=["POST"]), Route("/inhoud", found.give)]
    server = Server(
        Starlette(routes=routes), server_context(tls_files(pki, "landelijk"), on_refused=print)
    )
    found.port = server.port
    with Servers(server):
        yield found


@pytest.fixture
def edge(pki: Path, system: System, tmp_path: Path) -> Iterator[Running]:
    address = f"https://localhost:{system.port}/events"
    sender = replace(
        ZSM,
        dialects={"*": "soh/0.1 landelijk/1.0"},
        sends=frozenset({"melding"}),
        receives=frozenset({"uitkomst-overleg"}),
        transport="events",
        url=address,
    )
    receiver = replace(
        sender,
        name="landelijk",
        oin=NATIONAL.oin,
        systeem="landelijk",
        role="landelijk",
        sends=sender.receives,
        receives=sender.sends,
        spelling="nl-gov",
    )
    with running(pki, tmp_path, among=(sender, receiver), dialects=ADAPTER.dialects) as found:
        yield found


@pytest.fixture
def zsm(edge: Running) -> Iterator[httpx2.Client]:
    with edge.client("zsm") as client:
        yield client


@pytest.fixture
def landelijk(edge: Running) -> Iterator[httpx2.Client]:
    with edge.client("landelijk") as client:
        yield client


def melding(**changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = orjson.loads((EXAMPLES / "Melding.json").read_bytes())
    source = f"/oin/{ZSM.oin}/systeem/{ZSM.systeem}"
    return {**event, "id": str(uuid4()), "source": source, **changes}


def offer(client: httpx2.Client, event: Any) -> httpx2.Response:
    return client.post("/events", content=orjson.dumps(event), headers=HEAD)


def deliver(edge: Running) -> list[Outcome]:
    """What a worker does with what is due."""
    parts = edge.services.postbus.parts
    deliverer = Deliverer(parts, edge.transport, Retry(pause_s=0.0))
    taken = [Taken(id, deliverer.pack(id), None) for id in deliverer.claim(10)]
    return [outcome for one in taken if (outcome := deliverer.deliver(one))]


def only(edge: Running) -> DeliveryRecord:
    """The only delivery there is."""
    (message,) = edge.services.store.search(Query())
    (found,) = edge.services.store.deliveries_of(message.id)
    return found


def status(client: httpx2.Client, id: str) -> dict[str, Any]:
    answer = client.get(f"/status/{id}")
    assert 200 == answer.status_code, answer.text
    return dict(answer.json())


def steps(edge: Running) -> list[str]:
    return [
        f"{e.name} {e.detail}".strip() for e in edge.services.store.events_of(only(edge).message.id)
    ]


def test_a_melding_is_offered_announced_read_and_only_then_delivered(
    edge: Running, system: System, zsm: httpx2.Client, landelijk: httpx2.Client
) -> None:
    event = melding()
    answer = offer(zsm, event)
    assert (202, {"interactieId": event["id"]}) == (answer.status_code, answer.json())
    assert {"interactieId": event["id"], "status": "IN_PROGRESS"} == status(zsm, event["id"])

    assert [State.ONDERWEG] == [outcome.state for outcome in deliver(edge)]
    (told,) = system.events
    delivery = only(edge)
    assert {
        "id": delivery.id,
        "type": "nl.soh.uitwisselen-melding.melding-geregistreerd.v1",
        "source": f"urn:nld:oin:{ZSM.oin}:systeem:{ZSM.systeem}",
        "subject": f"melding/{delivery.id}",
        "time": event["time"],
    } == {name: told[name] for name in ("id", "type", "source", "subject", "time")}
    jsondoc.JsonSchema(
        orjson.loads((folder("schemas") / "soh" / "0.1" / "aankondiging.json").read_bytes())
    ).validate(told["data"])
    assert b"999990342" not in orjson.dumps(system.events)
    assert "IN_PROGRESS" == status(zsm, event["id"])["status"]

    address = told["data"]["url"].removeprefix("https://gateway.example")
    assert f"/soh/v1/melding/{delivery.id}" == address
    for _ in "first", "again":
        content = landelijk.get(address)
        assert (200, "application/json") == (content.status_code, content.headers["content-type"])
        said = content.json()
        assert event["data"]["id"] == said["id"]
        assert "999990342" == said["heeftBetrekkingOp"][0]["burgerservicenummer"]
    assert {"interactieId": event["id"], "status": "OK"} == status(zsm, event["id"])
    assert 2 == steps(edge).count("gelezen landelijk: opgehaald")
    assert (State.AFGELEVERD, 2) == (only(edge).state, only(edge).attempts)


def test_only_the_receiver_reads_and_only_what_was_announced(
    edge: Running, zsm: httpx2.Client, landelijk: httpx2.Client
) -> None:
    offer(zsm, melding())
    path = f"/soh/v1/melding/{only(edge).id}"
    early = landelijk.get(path)
    deliver(edge)
    with edge.client("stranger") as stranger:
        for client, place, code in (
            (zsm, path, 404),
            (stranger, path, 403),
            (landelijk, path.replace("melding", "casusoverleg"), 404),
            (landelijk, f"/soh/v1/melding/{uuid4()}", 404),
            (landelijk, "/soh/v1/melding/999990342", 400),
        ):
            answer = client.get(place)
            assert code == answer.status_code and problem_code(answer)
            assert "999990342" not in answer.text
    assert 404 == early.status_code
    assert State.ONDERWEG is only(edge).state and "gelezen" not in str(steps(edge))


def test_a_retry_keeps_its_id_and_a_reoffer_is_known_by_subject_and_content(
    edge: Running, zsm: httpx2.Client
) -> None:
    first, again = melding(), melding(time="2026-03-04T00:00:00Z", id=f"urn:uuid:{uuid4()}")
    for event in (first, first, again, again):
        answer = offer(zsm, event)
        assert (202, {"interactieId": event["id"]}) == (answer.status_code, answer.json())
        assert "IN_PROGRESS" == status(zsm, event["id"])["status"]
    assert only(edge)
    for used in (first, again):
        answer = offer(zsm, {**used, "data": {**used["data"], "verzoek": "Iets anders."}})
        assert (409, "id-hergebruikt") == (answer.status_code, problem_code(answer))
    other = offer(zsm, melding(subject="melding/een-andere"))
    assert 202 == other.status_code
    assert 2 == len(edge.services.store.search(Query()))


def test_ten_reoffers_at_once_are_one_message(edge: Running) -> None:
    ready = threading.Barrier(10)

    def one(_: int) -> tuple[int, str]:
        event = melding()
        with edge.client("zsm") as client:
            ready.wait()
            code = offer(client, event).status_code
            return code, status(client, event["id"])["status"]

    with ThreadPoolExecutor(10) as pool:
        assert [(202, "IN_PROGRESS")] * 10 == list(pool.map(one, range(10)))
    assert only(edge)


@pytest.mark.parametrize("kind", ["ingezien", "opgepakt"])
def test_an_event_that_says_it_was_seen_is_proof_too(
    edge: Running, zsm: httpx2.Client, landelijk: httpx2.Client, kind: str
) -> None:
    event = melding()
    offer(zsm, event)
    deliver(edge)
    seen: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": f"urn:nld:oin:{NATIONAL.oin}:systeem:landelijk",
        "type": f"nl.soh.uitwisselen-melding.melding-{kind}.v1",
        "time": "2026-03-03T12:00:00Z",
        "subject": f"melding/{only(edge).id}",
        "data": {},
    }
    stolen = {**seen, "source": f"/oin/{ZSM.oin}/systeem/{ZSM.systeem}"}
    assert 404 == offer(zsm, stolen).status_code
    assert 404 == offer(landelijk, {**seen, "subject": "melding/onbekend"}).status_code
    for _ in "first", "again":
        assert {"interactieId": seen["id"]} == offer(landelijk, seen).json()
    assert State.AFGELEVERD is only(edge).state
    assert f"gelezen landelijk: {kind}" in steps(edge)
    assert "OK" == status(landelijk, seen["id"])["status"] == status(zsm, event["id"])["status"]
    assert 404 == zsm.get(f"/status/{seen['id']}").status_code


def test_content_may_be_offered_by_its_address(
    edge: Running, system: System, zsm: httpx2.Client
) -> None:
    event = melding()
    system.content = event["data"]
    address = f"https://localhost:{system.port}/inhoud"
    told = {"datumPublicatie": event["time"], "versie": "1", "url": address}
    assert 202 == offer(zsm, {**event, "data": told}).status_code
    assert 202 == offer(zsm, {**event, "id": str(uuid4()), "data": told}).status_code
    assert (
        "M-2026-0017"
        == edge.services.postbus.parts.dialects["soh/0.1"]
        .parse(orjson.dumps({**event, "data": system.content}))
        .bericht.data.zaak()
    )
    assert "melding" == only(edge).message.kind

    system.content = None
    for elsewhere in (address, "https://elders.example/x", "file:///etc/passwd"):
        wrong = melding(data={**told, "versie": "2", "url": elsewhere})
        answer = offer(zsm, wrong)
        assert (400, "document-ongeldig") == (answer.status_code, problem_code(answer))
        assert "data.url" == answer.json()["pad"]


def sealed(edge: Running, event: dict[str, Any], content_type: str) -> bytes:
    """The event as ZSM seals a canonical message."""
    said = {
        "specversion": "1.0",
        "id": event["id"],
        "source": source_of(ZSM.oin, ZSM.systeem),
        "type": type_of("melding"),
        "time": instant(datetime.now(UTC)),
        "datacontenttype": content_type,
    }
    return sealer_of(edge.pki, "zsm", ZSM.oin, GATEWAY_PARTNER).seal(
        orjson.dumps(event), envelope=said, receiver=GATEWAY_PARTNER, now=datetime.now(UTC)
    )


def test_what_soh_cannot_say_lies_in_the_postbus_in_the_next_dialect(
    edge: Running, system: System, zsm: httpx2.Client, landelijk: httpx2.Client
) -> None:
    event = schrijf(SOH.parse(orjson.dumps(melding())).bericht)
    del event["data"]["betrokkenen"][0]["persoon"]["bsn"]
    body = sealed(edge, schrijf(lees(event)), "application/json")
    answer = zsm.post("/v1/berichten", content=body, headers=JOSE)
    assert 202 == answer.status_code, answer.text
    deliver(edge)
    (row,) = landelijk.get("/v1/postbus").json()["berichten"]

    assert [] == system.events
    assert (State.ONDERWEG, "landelijk/1.0") == (only(edge).state, row["dialect"])
    assert 404 == landelijk.get(f"/soh/v1/melding/{row['id']}").status_code


def test_an_announcement_is_retried_under_its_id_and_made_anew_under_another(
    edge: Running, system: System, zsm: httpx2.Client, landelijk: httpx2.Client
) -> None:
    event, store = melding(), edge.services.store
    offer(zsm, event)
    system.status += [503, 503, 202]
    assert [State.ONDERWEG] == [outcome.state for outcome in deliver(edge)]
    delivery = only(edge)
    late = datetime.now(UTC) + timedelta(hours=100)
    assert [delivery.id] == store.expire(now=late)
    dead = status(zsm, event["id"])
    assert ("ERROR", "TECHNISCH") == (dead["status"], dead["resultaat"]["typeFout"])

    assert 202 == offer(zsm, melding()).status_code  # offered again: due again
    assert [State.ONDERWEG] == [outcome.state for outcome in deliver(edge)]
    ids = [told["id"] for told in system.events]
    assert [delivery.id] * 3 == ids[:3] and ids[3] != delivery.id
    assert 1 == len({told["subject"] for told in system.events})
    assert 200 == landelijk.get(f"/soh/v1/melding/{delivery.id}").status_code
    assert "OK" == status(zsm, event["id"])["status"]


def test_a_refused_announcement_is_a_functional_error(
    edge: Running, system: System, zsm: httpx2.Client
) -> None:
    event = melding()
    offer(zsm, event)
    system.status.append(422)
    assert [State.DOOD] == [outcome.state for outcome in deliver(edge)]
    found = status(zsm, event["id"])
    assert ("ERROR", "FUNCTIONEEL") == (found["status"], found["resultaat"]["typeFout"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"source": f"/oin/{NATIONAL.oin}/systeem/landelijk"}, "envelop-wijkt-af"),
        ({"source": f"/oin/{ZSM.oin}/systeem/een-ander"}, "envelop-wijkt-af"),
        ({"type": "uitwisselen-melding.melding-verzonnen"}, "document-onbekend"),
        ({"type": ["x"]}, "document-ongeldig"),
        ({"id": "x" * 41}, "document-ongeldig"),
        ({"id": "a\0"}, "document-ongeldig"),
        ({"huis": "a\0"}, "document-ongeldig"),
        ({"data": None}, "document-ongeldig"),
        ({"data": {}}, "document-ongeldig"),
        ({"ontvanger": "aan u"}, "document-ongeldig"),
        ({"specversion": "0.3"}, "document-ongeldig"),
    ],
)
def test_a_wrong_event_is_refused_with_a_problem_document(
    edge: Running, zsm: httpx2.Client, change: dict[str, Any], code: str
) -> None:
    answer = offer(zsm, melding(**change))
    assert (400, code) == (answer.status_code, problem_code(answer))
    assert "999990342" not in answer.text
    assert [] == edge.services.store.search(Query())


def test_what_is_no_event_is_refused(zsm: httpx2.Client) -> None:
    for content, head, expected in (
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"", HEAD, 400),
        (b"[1]", HEAD, 400),
        (b'{"id": "1", "id": "2"}', HEAD, 400),
        (b"x" * (1024 * 1024 + 1), HEAD, 413),
    ):
        answer = zsm.post("/events", content=content, headers=head)
        assert expected == answer.status_code and problem_code(answer)
    assert 404 == zsm.get(f"/status/{uuid4()}").status_code


def test_the_outcome_of_a_casusoverleg_is_announced_without_what_doelbinding_takes_out(
    edge: Running, system: System, zsm: httpx2.Client, landelijk: httpx2.Client
) -> None:
    event = orjson.loads((EXAMPLES / "Casusoverleg.json").read_bytes())
    assert 202 == offer(landelijk, event).status_code, offer(landelijk, event).text
    deliver(edge)
    (told,) = system.events
    assert event["type"] == told["type"] and "casusoverleg" in told["subject"]
    said = zsm.get(told["data"]["url"].removeprefix("https://gateway.example")).json()

    assert "" == said["betreft"]["heeftBesluit"][0]["omschrijving"]
    assert "data.besluiten.omschrijving" in [entry.path for entry in only(edge).removed]
