"""What a foreign implementation of profile zvh-jose-1 would make, with jwcrypto."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography import x509
from jwcrypto import jwe as crypto_jwe
from jwcrypto import jws as crypto_jws
from jwcrypto.common import json_encode
from jwcrypto.jwk import JWK

from gateway.ports import Receipt
from gateway.security import jose

from .pki import GATEWAY, ZSM, envelope, now
from .vectors.make_seal_profile import jws

DOCUMENT = "<vraag>één</vraag>".encode()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def private(pki: Path, name: str) -> JWK:
    return JWK.from_pem((pki / f"{name}.key").read_bytes())


def public(pki: Path, name: str) -> JWK:
    return JWK.from_pem((pki / f"{name}.crt").read_bytes())


def kid(pki: Path, name: str) -> str:
    return jose.thumbprint(x509.load_pem_x509_certificate((pki / f"{name}.crt").read_bytes()))


ALGS = {"RSA": ("PS256", "RSA-OAEP-256"), "EC": ("ES256", "ECDH-ES+A256KW")}


def foreign_jws(
    pki: Path, payload: bytes, *, signer: str = "zsm", key: JWK | None = None, **header: Any
) -> str:
    key = key or private(pki, f"{signer}-sign")
    alg = ALGS.get(str(key["kty"]), ("HS256",))[0]
    whole = {"alg": alg, "kid": kid(pki, f"{signer}-sign"), "typ": "zvh-jose-1", **header}
    made = crypto_jws.JWS(payload)
    made.allowed_algs = [whole["alg"]]
    made.add_signature(key, alg=whole["alg"], protected=json_encode(whole))
    return str(made.serialize(compact=True))


def foreign_jwe(
    pki: Path, plaintext: bytes, *, receiver: str = "gateway", key: JWK | None = None, **header: Any
) -> bytes:
    key = key or public(pki, f"{receiver}-enc")
    whole = {
        "alg": ALGS.get(str(key["kty"]), ("", "dir"))[1],
        "enc": "A256GCM",
        "kid": kid(pki, f"{receiver}-enc"),
        "typ": "zvh-jose-1",
        **header,
    }
    made = crypto_jwe.JWE(plaintext, json_encode(whole), algs=[whole["alg"], whole["enc"]])
    made.add_recipient(key)
    return str(made.serialize(compact=True)).encode()


def signed_envelope(document: bytes = DOCUMENT, **changed: Any) -> dict[str, Any]:
    added = {
        "datadigest": b64(hashlib.sha256(document).digest()),
        "aud": GATEWAY,
        "iat": int(now().timestamp()),
    }
    return {**envelope(), **added, **changed}


def foreign(pki: Path, *, payload: bytes | None = None, **header: Any) -> bytes:
    """A whole sealed message to the gateway with another inner payload or header."""
    payload = payload if payload is not None else json.dumps(signed_envelope()).encode()
    inner = foreign_jws(pki, payload, **header)
    return foreign_jwe(pki, json_encode({"envelop": inner, "document": b64(DOCUMENT)}).encode())


def raw_jws(pki: Path, header: str, payload: bytes) -> str:
    """Signed by zsm (PS256) under a header that no library would make."""
    key = private(pki, "zsm-sign").get_op_key("sign")
    return jws(key, header, payload.decode())


def sealed_with(pki: Path, inner: str, document: str | None = None) -> bytes:
    text = json.dumps({"envelop": inner, "document": document or b64(DOCUMENT)})
    return foreign_jwe(pki, text.encode())


def receipt(**changed: str) -> Receipt:
    said = {
        "id": "1",
        "digest": "d",
        "outcome": "geaccepteerd",
        "time": "2026-11-24T09:00:00Z",
        "issuer": GATEWAY,
        "audience": ZSM,
    }
    return Receipt(**{**said, **changed})
