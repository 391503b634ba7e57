"""
The reclassering, simulated: a partner of Samen Onder Handbereik (CORV2).

It is told by an event that there is something, and reads it; what SOH cannot say lies in its postbus.
"""

import json
import uuid
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Body, Response

from gateway.core.ids import digest_of
from gateway.errors import PartnerUnavailable
from gateway.model.gebeurtenis import MEDIA_TYPE
from gateway.ports import Unsealed
from gateway.security.tls import client_context
from gateway.settings import Settings
from gateway.simulators.party import CLOSE, Simulator, write
from gateway.transport import Reply, exchange, open_client

MAX_ANSWER = 1024 * 1024


class Reclassering(Simulator):
    """Reports somebody to a house, and reads what came of the casusoverleg."""

    name, kind, content_type = "reclassering", "melding", MEDIA_TYPE

    def __init__(self, settings: Settings, **certificates: str) -> None:
        super().__init__(settings, **certificates)
        self._address = f"https://{settings.host}:{settings.port}"
        self._http = open_client(client_context(self.tls))
        self._events = self.folder / "events"
        self._events.mkdir(exist_ok=True)

    def report(self, case: str) -> str:
        """A melding to the house, as an event with its content; its id."""
        id = str(uuid.uuid4())
        event = self.fill("melding", id, case=case)
        write(self._sent / f"{id}.document", event)
        self._ask("POST", "/events", event)
        return id

    def step(self) -> None:
        """Read what was announced, and empty the postbus."""
        for file in sorted(self._events.glob("*.json")):
            with self._going_on(file.stem):
                event = json.loads(file.read_bytes())
                content = self._ask("GET", urlsplit(event["data"]["url"]).path).body
                envelope = {"id": event["id"], "aud": self.partner.oin}
                self.receive(Unsealed(self.gateway, envelope, b"", content, digest_of(content)))
                file.unlink()
        super().step()

    def _take(self, body: Annotated[Any, Body()]) -> Response:
        """An announcement, on disk before it is answered; of a repeat nothing comes."""
        event = dict(body)
        if event["id"] not in self._accepted:
            write(self._events / f"{uuid.UUID(event['id'])}.json", json.dumps(event).encode())
        return Response(json.dumps({"interactieId": event["id"]}), 202, CLOSE, "application/json")

    def _ask(self, method: str, path: str, content: bytes = b"") -> Reply:
        url, headers = f"{self._address}{path}", {"Content-Type": MEDIA_TYPE}
        reply = exchange(self._http, method, url, content, limit=MAX_ANSWER, headers=headers)
        if reply.status >= 300:
            raise PartnerUnavailable(f"De gateway antwoordt met HTTP {reply.status}.")
        return reply

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._http.close()
