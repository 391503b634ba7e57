"""
The client certificate in the ASGI scope, and a bound on what comes before a body.

Released uvicorn shows no client certificate; this mix-in fills `scope["extensions"]["tls"]` as the
ASGI TLS extension says, so the rest of the code need not change when uvicorn does it itself.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from fastapi import Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.api.problems import bare_refusal
from gateway.errors import UnknownPartner

MAX_HEAD = 64 * 1024  # request line, headers and chunk framing; the parser itself has no bound
GOODBYE_S = 0.5  # for the end of the last answer; TLS would wait for the client's goodbye as well


class MutualTlsProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol that knows who is at the other end of the connection."""

    _unread = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = transport.get_extra_info("ssl_object")
        der = peer.getpeercert(binary_form=True) if peer else None
        # Before Python 3.13 only the leaf can be read; the handshake has verified its chain.
        tls = {"client_cert_chain": (ssl.DER_cert_to_PEM_cert(der),) if der else ()}
        inner: Any = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})["tls"] = tls
            await inner(scope, receive, send)

        self.app = app  # one protocol object is one connection

    def shutdown(self) -> None:
        """At a stop: an idle connection ends soon, and one with an answer under way after it."""
        super().shutdown()
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            self.loop.call_later(GOODBYE_S, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        if self._unread > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("")

    def on_headers_complete(self) -> None:
        self._unread = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """What the parser refuses never reaches the app, but gets a problem document too."""
        self.transport.write(bare_refusal())
        self.transport.close()


def client_certificate(request: Request) -> bytes:
    """The client's certificate in DER. UnknownPartner without one: TLS should not have let it by."""
    chain = request.scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", ())
    if not chain:
        raise UnknownPartner("De verbinding heeft geen clientcertificaat.")
    return ssl.PEM_cert_to_DER_cert(chain[0])
