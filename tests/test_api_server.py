"""The server under the edge: what is too much, too slow or no HTTP, and how it stops."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.api import routes
from gateway.api.mtls import MAX_HEAD
from gateway.api.server import Server, Servers
from gateway.errors import Misconfigured
from gateway.security.jose import MAX_TOKEN
from gateway.security.tls import server_context

from .edge import JOSE, Running, client_context, problem_code, tls_files


def raw(edge: Running, request: bytes, *, leave: bool = False) -> bytes:
    """Bytes as no client would send them, and all bytes that come back."""
    context = client_context(edge.pki, "zsm")
    tcp = socket.create_connection(("127.0.0.1", edge.api.port), timeout=20)
    with context.wrap_socket(tcp, server_hostname="127.0.0.1") as tls:
        answer = b""
        with suppress(ConnectionError):  # hung up on; what was answered can still be read
            tls.sendall(request)
        while not leave and (part := _received(tls, answer)):
            answer += part
        return answer


def _received(tls: ssl.SSLSocket, so_far: bytes) -> bytes:
    if b"\r\n\r\n" in so_far:
        head, _, body = so_far.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if length and len(body) >= int(length[1]):
            return b""
    try:
        return tls.recv(65536)
    except ConnectionError:
        return b""


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_body_is_bounded_whatever_its_length_claims(
    edge: Running, zsm: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert routes.MAX_BODY == MAX_TOKEN
    monkeypatch.setattr(routes.SEALED, "limit", 100_000)
    monkeypatch.setattr("gateway.security.seal.MAX_TOKEN", 100_000)
    chunks = 0

    def endless() -> Iterator[bytes]:
        nonlocal chunks
        while chunks < 10_000:
            chunks += 1
            yield b"x" * 10_000

    for answer in (
        zsm.post("/v1/berichten", content=b"x" * 100_001, headers=JOSE),
        zsm.post("/v1/berichten", content=iter([b"x" * 60_000] * 2), headers=JOSE),
    ):
        assert (413, "bericht-te-groot") == (answer.status_code, problem_code(answer))
        assert answer.json()["ontvangstbewijs"]
    answer = zsm.post(f"/v1/postbus/{uuid4()}/bevestiging", content=b"x" * 20_000, headers=JOSE)
    assert (413, "bericht-te-groot") == (answer.status_code, problem_code(answer))
    with edge.client("zsm") as client:
        try:
            answer = client.post("/v1/berichten", content=endless(), headers=JOSE)
            assert 413 == answer.status_code
        except httpx2.TransportError:
            pass  # hung up on: good too
    head = b"POST /v1/berichten HTTP/1.1\r\nHost: x\r\nContent-Type: application/jose\r\n"
    long = head + b"Content-Length: 99999999999999\r\n\r\n" + b"x" * 100_001
    assert raw(edge, long).startswith(b"HTTP/1.1 413 ")
    # Shorter than claimed: waited for, and when the client leaves, forgotten without a trace.
    assert raw(edge, head + b"Content-Length: 50\r\n\r\nabc", leave=True) == b""
    assert 200 == zsm.get("/v1/ping").status_code
    until(lambda: edge.app.state.in_flight == 0)


def test_bodies_of_all_senders_together_are_bounded(
    edge: Running, zsm: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "MAX_IN_FLIGHT", 10)
    answer = zsm.post("/v1/berichten", content=b"x" * 11, headers=JOSE)
    assert (503, "onbereikbaar") == (answer.status_code, problem_code(answer))
    assert int(answer.headers["retry-after"]) > 0
    assert 0 == edge.app.state.in_flight


def test_a_body_that_trickles_is_given_up(edge: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "BODY_SECONDS", 0.05)
    head = b"POST /v1/berichten HTTP/1.1\r\nHost: x\r\nContent-Type: application/jose\r\n"
    assert raw(edge, head + b"Content-Length: 50\r\n\r\nabc").startswith(b"HTTP/1.1 408 ")


def test_what_is_no_http_is_a_problem_document_too(edge: Running) -> None:
    for request in (
        b"\x16\x03 rommel\r\n\r\n",
        b"GET /v1/ping HTTP/9.9\r\n\r\n",
        b"GET /v1/ping HTTP/1.1\r\nA: " + b"a" * (2 * MAX_HEAD),
        b"GET /v1/ping HTTP/1.1\r\n" + b"A: a\r\n" * MAX_HEAD,
        b"GET /" + b"a" * (2 * MAX_HEAD) + b" HTTP/1.1\r\n\r\n",
        b"POST /v1/berichten HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /v1/berichten HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ):
        head, _, body = raw(edge, request).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 "), request[:60]
        assert b"application/problem+json" in head
        assert "verzoek-ongeldig" == json.loads(body)["code"]


def test_a_port_in_use_is_told_at_once(edge: Running) -> None:
    with pytest.raises(Misconfigured, match=str(edge.api.port)):
        Server(edge.app, port=edge.api.port)


SLOW_SERVER = """
import asyncio, sys
from pathlib import Path
from gateway.api.server import Server, Servers
from gateway.security.tls import server_context
from starlette.responses import Response
from tests.edge import tls_files

async def app(scope, receive, send):
    print("asked", flush=True)
    await asyncio.sleep(0.3)
    await Response("done")(scope, receive, send)

context = server_context(tls_files(Path(sys.argv[1]), "gateway"), on_refused=print)
server = Server(app, context)
print(server.port, flush=True)
Servers(server, Server(app)).run()
print("stopped", flush=True)
"""


def test_a_stop_lets_requests_under_way_finish(edge: Running) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW_SERVER, str(edge.pki)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    with child, ThreadPoolExecutor() as pool:
        assert child.stdout
        url = f"https://127.0.0.1:{child.stdout.readline().strip()}/"
        answer = pool.submit(httpx2.get, url, verify=client_context(edge.pki, "zsm"))
        assert "asked\n" == child.stdout.readline()
        child.terminate()
        assert "done" == answer.result(timeout=20).text
        assert ("stopped\n", 0) == (child.stdout.readline(), child.wait(timeout=20))


def test_a_stop_does_not_wait_for_who_only_keeps_a_connection_open(edge: Running) -> None:
    context = server_context(tls_files(edge.pki, "gateway"), on_refused=print)
    server = Server(edge.app, context)
    servers = Servers(server)
    client = httpx2.Client(verify=client_context(edge.pki, "zsm"))
    with client, servers:
        url = f"https://127.0.0.1:{server.port}/v1/ping"
        assert 200 == client.get(url).status_code
        began = time.monotonic()
        servers.__exit__()
        assert time.monotonic() - began < 2


METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "VREEMD")
PATHS = (
    "/v1/berichten",
    "/v1/berichten/_zoek",
    "/v1/berichten/{}",
    "/v1/berichten/{}/ontvangstbewijs",
    "/v1/postbus",
    "/v1/postbus/{}",
    "/v1/postbus/{}/bevestiging",
    "/v1/ping",
    "/{}",
)
SEGMENTS = st.one_of(
    st.uuids().map(str),
    st.binary(max_size=20).map(lambda b: "".join(f"%{x:02X}" for x in b)),
    st.sampled_from(["..", "%2e%2e%2f", "%00", "a" * 3000, "_zoek", "{}"]),
)
HEADER_VALUES = st.binary(max_size=60).map(lambda b: bytes(x for x in b if x >= 32 and x != 127))
BODIES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["soort", "staat", "limiet", "na", "sinds", "x"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"[" * 10_000, b'{"limiet":' + b"9" * 5000 + b"}", b"\xff\xfe", b'"\\ud800"']),
)
NAMES = st.sampled_from(
    ["Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Cookie", "Expect", "Range"]
) | st.sampled_from(["TE", "Upgrade", "X-Forwarded-For", "Client-Cert", "Authorization"])
TYPES = st.sampled_from(
    [
        "application/jose",
        "application/json",
        "Application/JOSE; charset=x",
        "multipart/form-data",
        "",
    ]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(METHODS),
    path=st.sampled_from(PATHS),
    segment=SEGMENTS,
    query=st.binary(max_size=12).map(lambda b: "".join(f"%{x:02X}" for x in b)),
    content_type=TYPES,
    headers=st.dictionaries(NAMES, HEADER_VALUES, max_size=3),
    body=BODIES,
    chunked=st.booleans(),
)
def test_hostile_input_is_never_our_fault(
    edge: Running,
    method: str,
    path: str,
    segment: str,
    query: str,
    content_type: str,
    headers: dict[str, bytes],
    body: bytes,
    chunked: bool,
) -> None:
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    lines = [
        f"{method} {path.format(segment)}?{query} HTTP/1.1".encode(),
        b"Host: x",
        f"Content-Type: {content_type}".encode(),
        *(name.encode() + b": " + value for name, value in headers.items()),
        framing,
        b"Connection: close",
    ]
    if chunked:
        body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    head, _, answer = (
        raw(edge, b"\r\n".join(lines) + b"\r\n\r\n" + body)
        .rpartition(b"HTTP/1.1 ")[2]
        .partition(b"\r\n\r\n")
    )
    status = int(head[:3])
    assert 200 <= status < 500, head
    if status >= 400 and method != "HEAD":
        assert b"application/problem+json" in head
        assert {"type", "title", "status", "detail", "code", "advies"} <= json.loads(answer).keys()
