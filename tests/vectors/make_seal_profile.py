"""
Makes the test vector of profile zvh-jose-1 with plain cryptography, not with the code it tests.

Run `python -m tests.vectors.make_seal_profile` in the root to make new keys and write
tests/vectors/seal-profile.json and the worked example in docs/seal-profile.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from jwcrypto.jwk import JWK

from ..pki import GATEWAY, ZSM, dev_pki_module

VECTOR = Path(__file__).with_name("seal-profile.json")
PAGE = Path(__file__).parents[2] / "docs" / "seal-profile.md"
BEGIN, END = "<!-- worked example: generated -->\n", "<!-- end of worked example -->"
DAYS = 36500
IAT = 1795510800  # 2026-11-24T09:00:00Z
DOCUMENT = '{"voorbeeld":"een document"}'


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def compact(members: dict[str, Any]) -> str:
    return json.dumps(members, separators=(",", ":"))


def signature(key: Any, data: bytes) -> bytes:
    """ES256 or PS256 (RFC 7518 §3.4, §3.5)."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    return bytes(key.sign(data, pss, hashes.SHA256()))


def jws(key: Any, header: str, payload: str) -> str:
    signed = f"{b64(header.encode())}.{b64(payload.encode())}"
    return f"{signed}.{b64(signature(key, signed.encode()))}"


def wrap(public: Any, cek: bytes, header: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """The encrypted key, completing the header; and what a reader may want to compare."""
    if isinstance(public, rsa.RSAPublicKey):
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        return public.encrypt(cek, oaep), {}
    ephemeral = ec.generate_private_key(ec.SECP256R1())
    header["epk"] = json.loads(JWK.from_pyca(ephemeral.public_key()).export_public())
    header["epk"].pop("kid", None)
    alg = header["alg"].encode()
    # RFC 7518 §4.6.2: AlgorithmID, empty PartyUInfo and PartyVInfo, key length in bits
    info = len(alg).to_bytes(4, "big") + alg + bytes(8) + (256).to_bytes(4, "big")
    shared = ephemeral.exchange(ec.ECDH(), public)
    kek = ConcatKDFHash(hashes.SHA256(), 32, info).derive(shared)
    return keywrap.aes_key_wrap(kek, cek), {"z": b64(shared), "kek": b64(kek)}


def case(name: str, maker: Any, authority: Any, signing: Any, receiving: Any) -> dict[str, Any]:
    """One sealed message and its receipt, with every value on the way."""
    sender = maker.Party("zsm", ZSM, "Testvector")
    gateway = maker.Party("gateway", GATEWAY, "Testvector")
    usage = "key_encipherment" if isinstance(receiving, rsa.RSAPrivateKey) else "key_agreement"
    sender_certificate = authority.issue(sender, signing, "digital_signature")
    receiver_certificate = authority.issue(gateway, receiving, usage)
    sender_kid, receiver_kid = (
        b64(c.fingerprint(hashes.SHA256())) for c in (sender_certificate, receiver_certificate)
    )
    digest = b64(hashlib.sha256(DOCUMENT.encode()).digest())
    envelope = compact(
        {
            "specversion": "1.0",
            "id": "ZSM-2026-000001",
            "source": f"urn:nld:oin:{ZSM}:systeem:zsm",
            "type": "nl.zvh.bekendheidsverzoek.v1",
            "time": "2026-11-24T09:00:00Z",
            "datacontenttype": "application/json",
            "datadigest": digest,
            "aud": GATEWAY,
            "iat": IAT,
        }
    )
    sign_alg = "PS256" if isinstance(signing, rsa.RSAPrivateKey) else "ES256"
    jws_header = compact({"alg": sign_alg, "kid": sender_kid, "typ": "zvh-jose-1"})
    inner = jws(signing, jws_header, envelope)
    plaintext = compact({"envelop": inner, "document": b64(DOCUMENT.encode())})
    wrap_alg = "RSA-OAEP-256" if usage == "key_encipherment" else "ECDH-ES+A256KW"
    header = {"alg": wrap_alg, "enc": "A256GCM", "kid": receiver_kid, "typ": "zvh-jose-1"}
    cek, iv = secrets.token_bytes(32), secrets.token_bytes(12)
    encrypted_key, derived = wrap(receiving.public_key(), cek, header)
    jwe_header = compact(header)
    aad = b64(jwe_header.encode())
    sealed = AESGCM(cek).encrypt(iv, plaintext.encode(), aad.encode())
    parts = [encrypted_key, iv, sealed[:-16], sealed[-16:]]
    receipt = compact(
        {
            "soort": "ontvangstbewijs",
            "id": "ZSM-2026-000001",
            "digest": digest,
            "uitkomst": "geaccepteerd",
            "tijd": "2026-11-24T09:00:00.250Z",
            "iss": ZSM,
            "aud": GATEWAY,
        }
    )
    receipt_header = compact({"alg": sign_alg, "kid": sender_kid, "typ": "zvh-receipt-1"})
    der = serialization.Encoding.DER
    return {
        "name": name,
        "sender_signing_certificate": base64.b64encode(
            sender_certificate.public_bytes(der)
        ).decode(),
        "sender_signing_jwk_THROW_AWAY": JWK.from_pyca(signing).export_private(as_dict=True),
        "receiver_encryption_certificate": base64.b64encode(
            receiver_certificate.public_bytes(der)
        ).decode(),
        "receiver_encryption_jwk_THROW_AWAY": JWK.from_pyca(receiving).export_private(as_dict=True),
        "document": DOCUMENT,
        "datadigest": digest,
        "envelope": envelope,
        "jws_header": jws_header,
        "jws": inner,
        "plaintext": plaintext,
        "jwe_header": jwe_header,
        **derived,
        "cek": b64(cek),
        "encrypted_key": b64(encrypted_key),
        "iv": b64(iv),
        "tag": b64(sealed[-16:]),
        "token": ".".join([aad, *map(b64, parts)]),
        "receipt_header": receipt_header,
        "receipt_payload": receipt,
        "receipt": jws(signing, receipt_header, receipt),
    }


def make() -> dict[str, Any]:
    """A whole vector with fresh keys, of certificates that outlive us."""
    maker: Any = dev_pki_module()
    with patch.multiple(maker, CA_DAYS=DAYS, LEAF_DAYS=DAYS):
        return _make(maker)


def _make(maker: Any) -> dict[str, Any]:
    root = maker.Authority("ZVH Testvector Root CA")
    issuing = maker.Authority("ZVH Testvector Services CA", issuer=root)
    keys = [
        (ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048))
        for _ in range(2)
    ]
    pem = serialization.Encoding.PEM
    lists = [authority.crl(number=1, days=DAYS).decode() for authority in (root, issuing)]
    return {
        "warning": "The private keys in this file are public test data. Never use them.",
        "profile": "zvh-jose-1",
        "sender_oin": ZSM,
        "receiver_oin": GATEWAY,
        "now": IAT,
        "ca": [a.certificate.public_bytes(pem).decode() for a in (root, issuing)],
        "crl": lists,
        "cases": [
            case("ES256, RSA-OAEP-256", maker, issuing, keys[0][0], keys[0][1]),
            case("PS256, ECDH-ES+A256KW", maker, issuing, keys[1][1], keys[1][0]),
        ],
    }


def example(vector: dict[str, Any]) -> str:
    """The worked example for the page."""
    shown = {
        "document": "The document",
        "datadigest": "`datadigest`: base64url of its SHA-256",
        "envelope": "The envelope, payload of the JWS",
        "jws_header": "JWS header",
        "jws": "JWS, the member `envelop`",
        "plaintext": "Plaintext of the JWE",
        "jwe_header": "JWE header",
        "z": "Shared secret Z of ECDH",
        "kek": "Key encryption key from Concat KDF",
        "cek": "Content encryption key",
        "encrypted_key": "Encrypted key",
        "iv": "Initialization vector",
        "tag": "Authentication tag",
        "token": "The sealed message",
        "receipt_header": "Header of a receipt by the same signer",
        "receipt_payload": "Payload of that receipt",
        "receipt": "That receipt",
    }
    lines = []
    for number, found in enumerate(vector["cases"], 1):
        lines += [f"### 8.{number} {found['name']}", ""]
        for name, title in shown.items():
            if name in found:
                lines += [f"{title}:", "", "```", found[name], "```", ""]
    return "\n".join(lines)


def main() -> None:
    vector = make()
    VECTOR.write_text(json.dumps(vector, indent=1) + "\n", encoding="utf-8")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(before + BEGIN + "\n" + example(vector) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
