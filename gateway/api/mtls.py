"""
The client certificate in the ASGI scope, and a bound on what comes before a body.

Released uvicorn shows no client certificate, and Python before 3.13 only the leaf of its chain; the
handshake has verified the whole.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.api.problems import bare_refusal

CERTIFICATE = "client_certificate"  # in the scope: DER, or None
MAX_HEAD = 64 * 1024  # request line, headers and chunk framing; the parser itself has no bound
HEAD_S = 30  # for the first request of a connection; the next has uvicorn's own bound
GOODBYE_S = 0.5  # for the end of the last answer; TLS would wait for the client's goodbye as well


class MutualTlsProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol that knows who is at the other end of the connection."""

    _unread = 0
    _silent: asyncio.TimerHandle | None = None  # ends a connection that never asked anything

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._silent = self.loop.call_later(HEAD_S, transport.abort)
        peer = transport.get_extra_info("ssl_object")
        self._certificate = peer.getpeercert(binary_form=True) if peer else None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[CERTIFICATE] = self._certificate  # type: ignore[literal-required]

    def connection_lost(self, exc: Exception | None) -> None:
        if self._silent:
            self._silent.cancel()
        super().connection_lost(exc)

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
        if self._silent:
            self._silent.cancel()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """What the parser refuses never reaches the app, but gets a problem document too."""
        self.transport.write(bare_refusal())
        self.transport.close()
