"""The partner's side of the API: seals, sends, fetches, and believes no answer it cannot verify."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from gateway.core.ids import digest_of, instant
from gateway.errors import ReceiptInvalid, Refused
from gateway.model.envelop import source_of, type_of
from gateway.model.partner import Partner
from gateway.ports import Receipt, Sealer, Unsealed
from gateway.transport import Reply, exchange, open_client

MAX_ANSWER = 64 * 1024 * 1024  # a sealed message may be as large as the gateway itself takes


class RefusedByGateway(Refused):
    """The gateway refused: `code`, `detail`, `path` and `advies` in its words, and its proof."""

    def __init__(self, status: int, said: dict[str, str], refusal: Receipt | None) -> None:
        super().__init__(said.get("detail", f"HTTP {status}"), path=said.get("pad"))
        # What is fixed for a class of ours is here what the other side said.
        self.code = said.get("code", self.code)  # type: ignore[misc]
        self.advies = said.get("advies", self.advies)  # type: ignore[misc]
        self.status = status  # type: ignore[misc]
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent and the verified answer to it; keep `sealed` to send the same again."""

    sealed: bytes
    receipt: Receipt
    raw_receipt: bytes
    location: str


class GatewayClient:
    """
    One partner's connection to the gateway.

    Every method raises PartnerUnavailable when trying again makes sense, RefusedByGateway when the
    request must change, and ReceiptInvalid when an answer proves nothing.
    """

    def __init__(
        self, url: str, tls: ssl.SSLContext, *, sealer: Sealer, partner: Partner, gateway: Partner
    ) -> None:
        self._url, self._client = f"{url}/v1", open_client(tls)
        self._sealer, self._partner, self._gateway = sealer, partner, gateway

    def send(
        self, document: bytes, *, message_id: str, kind: str, content_type: str, **members: str
    ) -> Sent:
        """Seal a document and offer it; `members` of the envelope: huis, conversatieid …"""
        now = _now()
        envelope = {
            "specversion": "1.0",
            "id": message_id,
            "source": source_of(self._partner.oin, self._partner.systeem),
            "type": type_of(kind),
            "time": instant(now),
            "datacontenttype": content_type,
            **members,
        }
        sealed = self._sealer.seal(document, envelope=envelope, receiver=self._gateway, now=now)
        return self.resend(sealed, message_id=message_id, digest=digest_of(document))

    def resend(self, sealed: bytes, *, message_id: str = "", digest: str = "") -> Sent:
        """
        Offer sealed bytes as they are: the gateway answers a repeat with the first receipt.

        The receipt must be about `message_id` and `digest`, where they are given.
        """
        reply = self._ask("POST", "/berichten", sealed)
        receipt = self._verified(reply.body, outcome="geaccepteerd")
        about = (message_id or receipt.id, digest or receipt.digest)
        if (receipt.id, receipt.digest) != about:
            raise ReceiptInvalid("Het ontvangstbewijs gaat over een ander bericht.")
        return Sent(sealed, receipt, reply.body, reply.headers.get("Location", ""))

    def inbox(self) -> list[dict[str, Any]]:
        """What lies ready for this organisation, oldest first."""
        return list(self._ask("GET", "/postbus").members().get("berichten", ()))

    def fetch(self, delivery_id: str) -> Unsealed:
        """Open a waiting message, verified; it stays until `confirm`. Raises BadSeal."""
        reply = self._ask("GET", f"/postbus/{delivery_id}")
        return self._sealer.open(reply.body, now=_now())

    def confirm(self, delivery_id: str, digest: str, *, refuse: str = "") -> None:
        """Sign for a message (`digest` as fetched), or refuse it for good with a code."""
        proof = self.receipt(delivery_id, digest, refuse)
        self._ask("POST", f"/postbus/{delivery_id}/bevestiging", proof)

    def receipt(self, id: str, digest: str, code: str = "") -> bytes:
        """A signed receipt for what the gateway sent; with a code it is a refusal."""
        outcome, time = "geweigerd" if code else "geaccepteerd", instant(_now())
        us, them = self._partner.oin, self._gateway.oin
        return self._sealer.sign_receipt(Receipt(id, digest, outcome, time, us, them, code))

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _verified(self, token: bytes, *, outcome: str, code: str = "") -> Receipt:
        receipt = self._sealer.verify_receipt(token, partner=self._gateway, now=_now())
        if (receipt.outcome, receipt.code) != (outcome, code):
            raise ReceiptInvalid("Het ontvangstbewijs zegt iets anders dan het antwoord.")
        return receipt

    def _ask(self, method: str, path: str, content: bytes = b"") -> Reply:
        reply = exchange(self._client, method, f"{self._url}{path}", content, limit=MAX_ANSWER)
        if reply.status < 300:
            return reply
        problem = reply.problem()
        code, refusal = problem.get("code", ""), None
        if proof := problem.get("ontvangstbewijs", "").encode("ascii", "replace"):
            refusal = self._verified(proof, outcome="geweigerd", code=code)
        raise RefusedByGateway(reply.status, problem, refusal)


def _now() -> datetime:
    return datetime.now(UTC)
