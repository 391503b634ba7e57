"""Whatever comes in, nothing but our errors comes out, and they tell no values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto.common import json_encode

from gateway.errors import GatewayError
from gateway.security.seal import JoseSealer

from .foreign import DOCUMENT, b64, foreign, foreign_jwe, foreign_jws, kid, signed_envelope
from .pki import now

MUTATIONS = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.sampled_from(["flip", "cut", "insert", "swap"]),
        st.binary(max_size=9),
    ),
    min_size=1,
    max_size=4,
)


def mutate(token: bytes, changes: list[tuple[int, str, bytes]]) -> bytes:
    changed = bytearray(token)
    for place, how, data in changes:
        at = place % max(1, len(changed))
        if how == "flip" and changed:
            changed[at] ^= 1 << place % 8
        elif how == "cut":
            del changed[at : at + len(data) + 1]
        elif how == "insert":
            changed[at:at] = data or b"."
        elif changed:
            changed[at : at + len(data)] = data
    return bytes(changed)


@settings(max_examples=150, deadline=None)
@given(changes=MUTATIONS, inside=st.booleans())
def test_no_mutation_gives_anything_but_our_errors(
    pki: Path, sealers: dict[str, JoseSealer], changes: list[tuple[int, str, bytes]], inside: bool
) -> None:
    gateway, original = sealers["gateway"], _original(pki)
    if inside:
        token = foreign_jwe(pki, mutate(original[0], changes))
    else:
        token = mutate(original[1], changes)
    try:
        opened = gateway.open(token, now=now())
    except GatewayError:
        return
    assert opened.document == DOCUMENT  # the mutation undid itself, or changed white space


_made: dict[Path, tuple[bytes, bytes]] = {}


def _original(pki: Path) -> tuple[bytes, bytes]:
    if pki not in _made:
        inner = foreign_jws(pki, json.dumps(signed_envelope()).encode(), signer="landelijk")
        plaintext = json_encode({"envelop": inner, "document": b64(DOCUMENT)}).encode()
        _made[pki] = (plaintext, foreign_jwe(pki, plaintext))
    return _made[pki]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "enc", "kid", "typ", "epk", "crit"]), JSON, max_size=6
    ),
    epk=st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "d", "use", "key_ops"]), JSON)
    | st.none(),
)
def test_no_header_gives_anything_but_our_errors(
    pki: Path, sealers: dict[str, JoseSealer], header: dict[str, Any], epk: dict[str, Any] | None
) -> None:
    if epk is not None:  # past the outer checks, up to the library
        kids = {"kid": kid(pki, "gateway-enc"), "typ": "zvh-jose-1"}
        header = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", **kids}
        header["epk"] = {"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ", **epk}
    rest = _original(pki)[1].partition(b".")[2]
    token = b64(json.dumps(header).encode()).encode() + b"." + rest
    with pytest.raises(GatewayError):
        sealers["gateway"].open(token, now=now())


def test_every_error_speaks_without_values(pki: Path, sealers: dict[str, JoseSealer]) -> None:
    secret = "geheim-999990342"
    makers: list[Callable[[], bytes]] = [
        lambda: foreign(pki, kid=secret),
        lambda: foreign(pki, typ=secret),
        lambda: foreign(pki, payload=json.dumps(signed_envelope(id=secret * 9)).encode()),
        lambda: foreign_jwe(pki, json.dumps({secret: 1}).encode()),
        lambda: foreign_jwe(pki, f'{{"{secret}":1,"{secret}":2}}'.encode()),
    ]
    for make in makers:
        with pytest.raises(GatewayError) as caught:
            sealers["gateway"].open(make(), now=now())
        assert secret not in caught.value.reason() + str(caught.value)
