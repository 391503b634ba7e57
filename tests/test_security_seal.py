"""Profile zvh-jose-1 both ways, and every way to get the outside wrong."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from jwcrypto import jwe as crypto_jwe
from jwcrypto import jws as crypto_jws
from jwcrypto.common import json_encode
from jwcrypto.jwk import JWK

from gateway import ports
from gateway.errors import BadSeal, CertificateRefused, DuplicateKey, Empty, TooLarge
from gateway.security import jose
from gateway.security.identity import CertificateChecker
from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair

from .foreign import (
    ALGS,
    DOCUMENT,
    b64,
    foreign,
    foreign_jwe,
    foreign_jws,
    kid,
    private,
    public,
    sealed_with,
    signed_envelope,
)
from .pki import BUS_KEY, GATEWAY, LANDELIJK, envelope, now, partner

# --- both ways, both key types --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sender", "receiver"),
    [
        ("zsm", "gateway"),
        ("landelijk", "gateway"),
        ("gateway", "zsm"),
        ("gateway", "landelijk"),
        ("zsm", "landelijk"),
    ],
)
def test_what_is_sealed_is_what_is_opened(
    sealers: dict[str, JoseSealer], sender: str, receiver: str
) -> None:
    token = sealers[sender].seal(
        DOCUMENT, envelope=envelope(huis="ZVH-UTR"), receiver=partner(receiver), now=now()
    )
    opened = sealers[receiver].open(token + b"\n", now=now())
    assert (DOCUMENT, sender) == (opened.document, opened.signer.name)
    assert opened.digest == b64(hashlib.sha256(DOCUMENT).digest()) == opened.envelope["datadigest"]
    assert partner(receiver).oin == opened.envelope["aud"]
    assert envelope(huis="ZVH-UTR").items() <= opened.envelope.items()
    assert abs(opened.envelope["iat"] - now().timestamp()) < 60


def test_sealing_again_gives_other_bytes_and_the_same_digest(
    sealers: dict[str, JoseSealer],
) -> None:
    first, second = (
        sealers["zsm"].seal(DOCUMENT, envelope=envelope(), receiver=partner("gateway"), now=now())
        for _ in range(2)
    )
    assert first != second
    digests = {sealers["gateway"].open(t, now=now()).digest for t in (first, second)}
    assert 1 == len(digests)


def test_the_inner_signature_is_kept_byte_for_byte(
    pki: Path, sealers: dict[str, JoseSealer]
) -> None:
    inner = foreign_jws(pki, json.dumps(signed_envelope(), indent=3).encode())
    assert sealers["gateway"].open(sealed_with(pki, inner), now=now()).inner_jws == inner.encode()


def test_a_large_document_fits(sealers: dict[str, JoseSealer]) -> None:
    large = b"<a>" + b"x" * (4 * 2**20) + b"</a>"
    token = sealers["zsm"].seal(large, envelope=envelope(), receiver=partner("gateway"), now=now())
    assert sealers["gateway"].open(token, now=now()).document == large


def test_audience_and_time_are_left_to_the_caller(
    pki: Path, sealers: dict[str, JoseSealer]
) -> None:
    token = foreign(pki, payload=json.dumps(signed_envelope(aud=LANDELIJK, iat=1)).encode())
    assert LANDELIJK == sealers["gateway"].open(token, now=now()).envelope["aud"]


def test_an_old_encryption_key_still_opens(pki: Path, sealers: dict[str, JoseSealer]) -> None:
    both = tuple(
        KeyPair(pki / f"{n}-enc.crt", pki / f"{n}-enc.key") for n in ("landelijk", "gateway")
    )
    keys = KeyMaterial(
        GATEWAY, KeyPair(pki / "gateway-sign.crt", pki / "gateway-sign.key"), both, BUS_KEY
    )
    checker = CertificateChecker(ca=pki / "ca.crt", crl=pki / "crl.pem")
    renewed = JoseSealer(keys, directory={}, partners={}, checker=checker)
    token = sealers["zsm"].seal(
        DOCUMENT, envelope=envelope(), receiver=partner("gateway"), now=now()
    )
    with pytest.raises(CertificateRefused):  # decrypted, but this sealer knows no partner
        renewed.open(token, now=now())


# --- interoperability with jwcrypto ---------------------------------------------------------------


@pytest.mark.parametrize("signer", ["zsm", "landelijk"])
def test_jwcrypto_seals_and_we_open(pki: Path, sealers: dict[str, JoseSealer], signer: str) -> None:
    opened = sealers["gateway"].open(foreign(pki, signer=signer), now=now())
    assert (DOCUMENT, signer) == (opened.document, opened.signer.name)


@pytest.mark.parametrize("receiver", ["zsm", "landelijk"])
def test_we_seal_and_jwcrypto_opens(
    pki: Path, sealers: dict[str, JoseSealer], receiver: str
) -> None:
    token = sealers["gateway"].seal(
        DOCUMENT, envelope=envelope(), receiver=partner(receiver), now=now()
    )
    key = private(pki, f"{receiver}-enc")
    outer = crypto_jwe.JWE(algs=[ALGS[str(key["kty"])][1], "A256GCM"])
    outer.deserialize(token.decode(), key)
    opened = json.loads(outer.payload)
    inner = crypto_jws.JWS()
    inner.allowed_algs = ["ES256"]
    inner.deserialize(opened["envelop"], public(pki, "gateway-sign"))
    assert partner(receiver).oin == json.loads(inner.payload)["aud"]
    assert opened["document"] == b64(DOCUMENT)


# --- broken outside -------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [b"", b" \n"])
def test_nothing_is_empty(sealers: dict[str, JoseSealer], token: bytes) -> None:
    with pytest.raises(Empty):
        sealers["gateway"].open(token, now=now())


def test_too_much_is_too_large(sealers: dict[str, JoseSealer]) -> None:
    with pytest.raises(TooLarge):
        sealers["gateway"].open(b"x" * (jose.MAX_TOKEN + 1), now=now())
    with pytest.raises(TooLarge):
        sealers["zsm"].seal(
            bytes(ports.MAX_DOCUMENT + 1),
            envelope=envelope(),
            receiver=partner("gateway"),
            now=now(),
        )


@pytest.mark.parametrize(
    "token",
    [
        b"<xml/>",
        b"a.b.c.d.e",
        b"....",
        b"\xff.\xff.\xff.\xff.\xff",
        b64(b"[]").encode() + b"....",
        b64(b"[" * 3000).encode() + b"....",
        b64(b'{"a":' * 600).encode() + b"....",
        b64(b'{"alg":5,"enc":{},"kid":[],"typ":null}').encode() + b"....",
        b"A" * 100_000 + b"....",
        b'{"payload":"x"}',
    ],
)
def test_what_is_no_jwe_is_a_bad_seal(sealers: dict[str, JoseSealer], token: bytes) -> None:
    with pytest.raises(BadSeal):
        sealers["gateway"].open(token, now=now())


@pytest.mark.parametrize("part", range(5))
@pytest.mark.parametrize("sender", ["zsm", "landelijk"])
def test_a_tampered_part_is_a_bad_seal(
    sealers: dict[str, JoseSealer], part: int, sender: str
) -> None:
    receiver = {"zsm": "gateway", "landelijk": "zsm"}[sender]  # ECDH and RSA
    token = sealers[sender].seal(
        DOCUMENT, envelope=envelope(), receiver=partner(receiver), now=now()
    )
    parts = token.split(b".")
    changed = bytearray(parts[part])
    changed[len(changed) // 2] ^= 1
    parts[part] = bytes(changed)
    with pytest.raises(BadSeal):
        sealers[receiver].open(b".".join(parts), now=now())


def test_a_message_for_another_key_is_a_bad_seal(sealers: dict[str, JoseSealer]) -> None:
    token = sealers["zsm"].seal(
        DOCUMENT, envelope=envelope(), receiver=partner("landelijk"), now=now()
    )
    with pytest.raises(BadSeal, match="kid"):
        sealers["gateway"].open(token, now=now())


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWE"},
        {"typ": "zvh-bus-1"},
        {"enc": "A128GCM"},
        {"enc": "A256CBC-HS512"},
        {"alg": "ECDH-ES"},
        {"alg": "ECDH-ES+A128KW"},
        {"zip": "DEF"},
        {"x5c": ["AAAA"]},
        {"jku": "https://example.org/"},
        {"cty": "json"},
        {"apu": "QWxpY2U"},
    ],
)
def test_another_jwe_header_is_a_bad_seal(
    pki: Path, sealers: dict[str, JoseSealer], header: dict[str, Any]
) -> None:
    inner = foreign_jws(pki, json.dumps(signed_envelope()).encode())
    plaintext = json_encode({"envelop": inner, "document": b64(DOCUMENT)}).encode()
    with pytest.raises(BadSeal):
        sealers["gateway"].open(foreign_jwe(pki, plaintext, **header), now=now())


@pytest.mark.parametrize("name", ["crit", "b64", "epk", "p2c"])
def test_no_header_steers_the_reader(pki: Path, sealers: dict[str, JoseSealer], name: str) -> None:
    whole = {"alg": "ECDH-ES+A256KW", "enc": "A256GCM", "kid": kid(pki, "gateway-enc")}
    text = json.dumps({**whole, "typ": "zvh-jose-1", name: [name] if name == "crit" else False})
    with pytest.raises(BadSeal):
        sealers["gateway"].open(f"{b64(text.encode())}.AA.AA.AA.AA".encode(), now=now())


def test_the_algorithm_fits_the_key_or_the_seal_is_bad(
    pki: Path, sealers: dict[str, JoseSealer]
) -> None:
    plaintext = json_encode({"envelop": "x", "document": "x"}).encode()
    for key, header in (
        (public(pki, "zsm-enc"), {"kid": kid(pki, "gateway-enc")}),  # RSA where EC is due
        (JWK.generate(kty="oct", size=256), {"kid": kid(pki, "gateway-enc")}),
    ):
        with pytest.raises(BadSeal, match="alg"):
            sealers["gateway"].open(foreign_jwe(pki, plaintext, key=key, **header), now=now())


def test_a_duplicate_key_in_a_header_is_told(pki: Path, sealers: dict[str, JoseSealer]) -> None:
    token = b64(b'{"alg":"dir","alg":"dir"}') + "...."
    with pytest.raises(DuplicateKey):
        sealers["gateway"].open(token.encode(), now=now())
