"""Pushes sealed messages to partners over mutual TLS; every fault of HTTP becomes one of ours."""

import json
import math
import re
import ssl
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2

from gateway.errors import InvalidDocument, PartnerUnavailable
from gateway.model.gebeurtenis import MEDIA_TYPE
from gateway.model.partner import Partner
from gateway.ports import Answer

MAX_RECEIPT = 64 * 1024  # a receipt is 1 KiB, with its certificate chain some 8 KiB
MAX_CONTENT = 1024 * 1024  # of an event of SOH; tens of KiB in practice
MAX_WAIT = 86_400.0  # seconds; what Retry-After says beyond a day is a mistake
AGAIN = frozenset({408, 425, 429})  # of the 4xx, those that pass by themselves
TIMEOUT = httpx2.Timeout(20, connect=5)  # a receiver stores, signs and answers within it
EXCHANGE_S = 120  # for a whole answer, against one that trickles
CODE = re.compile(r"[a-z][a-z0-9-]{0,49}")

NO_HTTP = "De ontvanger spreekt geen geldig HTTP."
HANDSHAKE = "De verbinding of TLS-handshake is mislukt; controleer het adres en de certificaten."
FAULTS: dict[type[Exception], str] = {
    httpx2.TimeoutException: "De ontvanger antwoordt niet op tijd.",
    httpx2.NetworkError: HANDSHAKE,
    httpx2.RemoteProtocolError: HANDSHAKE,  # how TLS 1.3 shows that it refused our certificate
    httpx2.InvalidURL: "Het adres van de ontvanger is onjuist.",
    httpx2.HTTPError: NO_HTTP,
    httpx2.StreamError: NO_HTTP,
    httpx2.CookieConflict: NO_HTTP,
}
"""What can go wrong with HTTP, the most specific first. All of it is tried again: an address or a
certificate is repaired in the configuration, and the message must still arrive."""


class Reply(NamedTuple):
    """An answer that was read whole, within its bound."""

    status: int
    headers: httpx2.Headers
    body: bytes

    def members(self) -> dict[str, Any]:
        """Its JSON object; empty when it is none."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def problem(self) -> dict[str, str]:
        """The texts of its RFC 9457 document."""
        return {name: value for name, value in self.members().items() if isinstance(value, str)}


def open_client(tls: ssl.SSLContext) -> httpx2.Client:
    """A client that speaks to the named address only: no proxy, no redirect. Thread-safe."""
    # Not compressed, so that a bound on bytes is a bound on memory.
    headers = {"Accept-Encoding": "identity", "Content-Type": "application/jose"}
    return httpx2.Client(verify=tls, timeout=TIMEOUT, trust_env=False, headers=headers)


def exchange(
    client: httpx2.Client,
    method: str,
    url: str,
    content: bytes,
    *,
    limit: int,
    headers: dict[str, str] | None = None,
) -> Reply:
    """
    One request and its whole answer, of at most `limit` bytes.

    Raises PartnerUnavailable for everything that may pass: no connection, 3xx, 5xx, 408, 425, 429.
    """
    if not url.startswith("https://"):
        raise PartnerUnavailable(FAULTS[httpx2.InvalidURL])
    end, body = time.monotonic() + EXCHANGE_S, bytearray()
    try:
        with client.stream(method, url, content=content, headers=headers) as answer:
            for chunk in answer.iter_raw():
                body += chunk
                if len(body) > limit or time.monotonic() > end:
                    raise PartnerUnavailable("Het antwoord is te groot of te traag.")
    except tuple(FAULTS) as error:
        text = next(text for kind, text in FAULTS.items() if isinstance(error, kind))
        raise PartnerUnavailable(text) from error
    status = answer.status_code
    if 300 <= status < 400 or status >= 500 or status in AGAIN:
        wait = retry_after(answer.headers.get("Retry-After", ""), now=datetime.now(UTC))
        raise PartnerUnavailable(f"De ontvanger antwoordt met {status}.", retry_after=wait)
    return Reply(status, answer.headers, bytes(body))


def retry_after(value: str, *, now: datetime) -> float | None:
    """Seconds to wait, from either form of RFC 9110 §10.2.3; None when it is neither."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), MAX_WAIT) if math.isfinite(seconds) else None


class HttpsTransport:
    """Push over HTTPS: one connection pool for all partners and worker threads."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._client = open_client(tls)

    def push(self, partner: Partner, sealed: bytes) -> Answer:
        """The partner's answer; a refusal too. Raises PartnerUnavailable (with `retry_after`)."""
        return self._post(partner, sealed)

    def announce(self, partner: Partner, event: bytes) -> Answer:
        """The same for an event without seal (SOH); a good answer proves that it was told, no more."""
        return self._post(partner, event, {"Content-Type": MEDIA_TYPE})

    def fetch(self, partner: Partner, url: str) -> bytes:
        """
        What a partner offers to read at an address that its event names, at most `MAX_CONTENT`.

        Raises InvalidDocument for an address at another host than its own, and for a final refusal;
        PartnerUnavailable for what may pass.
        """
        if urlsplit(url)[:2] != urlsplit(partner.url)[:2]:
            raise InvalidDocument("De inhoud staat niet bij de afzender.", path="data.url")
        headers = {"Accept": "application/json"}
        reply = exchange(self._client, "GET", url, b"", limit=MAX_CONTENT, headers=headers)
        if reply.status >= 300:
            told = f"Uw systeem geeft de inhoud niet: HTTP {reply.status}."
            raise InvalidDocument(told, path="data.url")
        return reply.body

    def _post(self, partner: Partner, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        url, client = partner.url, self._client
        reply = exchange(client, "POST", url, body, limit=MAX_RECEIPT, headers=headers)
        if reply.status < 300:
            return Answer(reply.status, reply.body.strip())
        problem = reply.problem()
        code = problem.get("code", "")  # shown to people and counted, so a code and nothing else
        receipt = problem.get("ontvangstbewijs", "").encode("ascii", "replace")
        return Answer(reply.status, receipt, code if CODE.fullmatch(code) else "")

    def close(self) -> None:
        self._client.close()
