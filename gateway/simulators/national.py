"""
The national case system, simulated: takes questions on its own endpoint and answers them.

Reads and writes landelijk/1.0 as plain JSON, not by the mapping engine: an independent witness.
"""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from gateway.api.server import Server, Servers
from gateway.core.ids import digest_of, instant
from gateway.errors import GatewayError, Refused
from gateway.model.envelop import source_of
from gateway.security.tls import server_context
from gateway.settings import Settings
from gateway.simulators.party import Simulator

KNOWN = frozenset({"999990342", "999990019"})
"""The invented people it has a casus of."""

CLOSE = {"Connection": "close"}  # so that `stop` has nobody to wait for


def answer(question: dict[str, Any], *, id: str, source: str) -> dict[str, Any]:
    """The bekendheidsuitslag to a bekendheidsverzoek."""
    asked = question["data"]["verzoek"]
    house = question["data"]["ontvanger"]
    uitslag = {
        "identificatie": f"UVZ-{uuid.uuid4()}"[:40],
        "verzoekidentificatie": asked["identificatie"],
        "bekend": asked.get("persoon", {}).get("bsn") in KNOWN,
        "persoon": asked.get("persoon"),
        "aanvrager": asked.get("aanvrager"),
        "uitvoerende": {
            "identificatie": house["organisatie"],
            "naam": f"Zorg- en Veiligheidshuis {question.get('huis', '')}".strip(),
        },
    }
    return {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": "nl.zvh.bekendheidsuitslag.v1",
        "time": instant(datetime.now(UTC)),
        "datacontenttype": "application/json",
        "conversatieid": question.get("conversatieid"),
        "antwoordop": question["id"],
        "huis": question.get("huis"),
        "data": {
            "afzender": house,
            "ontvanger": question["data"]["afzender"],
            "uitslagen": [{k: v for k, v in uitslag.items() if v is not None}],
        },
    }


class National(Simulator):
    """Listens for questions; answers each once, after a restart too."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, "landelijk")
        self._listening = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return super().__enter__()

    def __exit__(self, *reason: object) -> None:
        self.stop()
        super().__exit__(*reason)

    def start(self) -> None:
        """Listen."""
        app, address = FastAPI(openapi_url=None), urlsplit(self.partner.url)

        @app.post(address.path)
        async def berichten(request: Request) -> Response:
            return await run_in_threadpool(self.take, await request.body())

        tls = server_context(self.tls, on_refused=lambda _: None)
        server = Server(app, tls, address.hostname or "", address.port or 443)
        self._listening.enter_context(Servers(server))

    def stop(self) -> None:
        """Be down: nobody can connect until `start`."""
        self._listening.close()

    def take(self, body: bytes) -> Response:
        """One sealed message: 202 with our receipt, or a refusal that is signed too."""
        try:
            unsealed = self.sealer.open(body, now=datetime.now(UTC))
            return Response(self.receive(unsealed), 202, CLOSE, "application/jose")
        except GatewayError as error:
            receipt = self.client.receipt("", digest_of(body), error.code)
            problem = {"code": error.code, "ontvangstbewijs": receipt.decode()}
            return Response(json.dumps(problem), error.status, CLOSE, "application/problem+json")

    def step(self) -> None:
        """Answer what has no answer yet. The id of an answer follows from that of the question."""
        for file in sorted((self.folder / "received").glob("*.document")):
            id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:antwoord:{file.stem}"))
            if (self.folder / "sent" / f"{id}.receipt").exists():
                continue
            source = source_of(self.partner.oin, self.partner.systeem)
            document = json.dumps(answer(json.loads(file.read_bytes()), id=id, source=source))
            with suppress(Refused):  # the other questions must not wait for it
                self.send(
                    document.encode(),
                    message_id=id,
                    kind="bekendheidsuitslag",
                    content_type="application/json",
                )
