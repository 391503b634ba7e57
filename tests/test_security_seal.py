"""Profile zvh-jose-1 both ways, and every way to get it wrong."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwe as crypto_jwe
from jwcrypto import jws as crypto_jws
from jwcrypto.common import json_encode
from jwcrypto.jwk import JWK

from gateway.errors import (
    BadSeal,
    BadSignature,
    CertificateRefused,
    DuplicateKey,
    Empty,
    GatewayError,
    Misconfigured,
    PartnerUnavailable,
    ReceiptInvalid,
    TooLarge,
    UnknownPartner,
)
from gateway.ports import Receipt
from gateway.security import jose
from gateway.security.identity import CertificateChecker, load_certificate
from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair

from .pki import (
    BUS_KEY,
    GATEWAY,
    LANDELIJK,
    ZSM,
    Register,
    envelope,
    make_pki,
    make_test_pki,
    now,
    partner,
    sealer_of,
)
from .vectors.make_seal_profile import jws

DOCUMENT = "<vraag>één</vraag>".encode()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_test_pki(tmp_path_factory)


@pytest.fixture(scope="module")
def sealers(pki: Path) -> dict[str, JoseSealer]:
    return {name: sealer_of(name, pki) for name in ("gateway", "zsm", "landelijk")}


# --- what a foreign implementation would do, with jwcrypto ----------------------------------------


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def private(pki: Path, name: str) -> JWK:
    return JWK.from_pem((pki / f"{name}.key").read_bytes())


def public(pki: Path, name: str) -> JWK:
    return JWK.from_pem((pki / f"{name}.crt").read_bytes())


def kid(pki: Path, name: str) -> str:
    return jose.thumbprint(load_certificate((pki / f"{name}.crt").read_bytes()))


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
    renewed = JoseSealer(keys, directory={}, partners=Register([]), checker=checker)
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
            bytes(jose.MAX_DOCUMENT + 1),
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


# --- broken inside --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plaintext", "error"),
    [
        (b"", BadSeal),
        (b"null", BadSeal),
        (b"{}", BadSeal),
        (b'{"envelop":"a.b.c"}', BadSeal),
        (b'{"envelop":"a.b.c","document":"QQ","meer":1}', BadSeal),
        (b'{"envelop":1,"document":"QQ"}', BadSeal),
        (b'{"envelop":"a.b.c","document":"QQ=="}', BadSeal),
        (b'{"envelop":"a.b.c","document":"QR"}', BadSeal),
        (b'{"envelop":"a.b.c","document":"Q Q"}', BadSeal),
        ('{"envelop":"a.b.c","document":"é"}'.encode(), BadSeal),
        (b'{"envelop":"a.b.c","document":"\\ud800"}', BadSeal),
        (b'{"envelop":"a.b.c","document":"QQ"}\xff', BadSeal),
        (b'{"envelop":"a.b","document":"QQ"}', BadSeal),
        (b'{"envelop":"","document":"QQ"}', BadSeal),
        (b'{"envelop":NaN,"document":"QQ"}', BadSeal),
        (b"[" * 5000, BadSeal),
        (b'{"envelop":"a.b.c","document":""}', Empty),
        (b'{"envelop":"a.b.c","document":"QQ","document":"QQ"}', DuplicateKey),
    ],
)
def test_another_object_inside_is_told_apart(
    pki: Path, sealers: dict[str, JoseSealer], plaintext: bytes, error: type[GatewayError]
) -> None:
    with pytest.raises(error) as caught:
        sealers["gateway"].open(foreign_jwe(pki, plaintext), now=now())
    assert type(caught.value) is error


def test_another_document_than_was_signed_is_a_bad_signature(
    pki: Path, sealers: dict[str, JoseSealer]
) -> None:
    inner = foreign_jws(pki, json.dumps(signed_envelope()).encode())
    with pytest.raises(BadSignature, match="document"):
        sealers["gateway"].open(sealed_with(pki, inner, b64(b"<ander/>")), now=now())


def test_a_changed_envelope_is_a_bad_signature(pki: Path, sealers: dict[str, JoseSealer]) -> None:
    header, _, signature = foreign_jws(pki, json.dumps(signed_envelope()).encode()).split(".")
    forged = b64(json.dumps(signed_envelope(id="ander")).encode())
    with pytest.raises(BadSignature):
        sealers["gateway"].open(sealed_with(pki, f"{header}.{forged}.{signature}"), now=now())
    for bad in ("", "AAAA", "=", signature[:-4]):
        with pytest.raises(BadSeal):
            sealers["gateway"].open(sealed_with(pki, f"{header}.{forged}.{bad}"), now=now())


def test_another_key_under_a_known_kid_is_a_bad_signature(
    pki: Path, sealers: dict[str, JoseSealer]
) -> None:
    token = foreign(pki, key=JWK.generate(kty="RSA", size=2048))
    with pytest.raises(BadSignature):
        sealers["gateway"].open(token, now=now())


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "zvh-receipt-1"},
        {"alg": "RS256"},
        {"alg": "PS512"},
        {"cty": "json"},
        {"x5t#S256": "AAAA"},
        {"jwk": {"kty": "oct", "k": "AA"}},
    ],
)
def test_another_jws_header_is_a_bad_seal(
    pki: Path, sealers: dict[str, JoseSealer], header: dict[str, Any]
) -> None:
    with pytest.raises(BadSeal) as caught:
        sealers["gateway"].open(foreign(pki, **header), now=now())
    assert type(caught.value) is BadSeal


@pytest.mark.parametrize(
    "extra",
    ['"crit":["zvh"],"zvh":1', '"crit":[]', '"b64":false,"crit":["b64"]', '"zip":"DEF"', '"kid":7'],
)
def test_no_jws_header_steers_the_reader(
    pki: Path, sealers: dict[str, JoseSealer], extra: str
) -> None:
    own = "" if extra.startswith('"kid"') else f'"kid":"{kid(pki, "zsm-sign")}",'
    header = f'{{"alg":"PS256",{own}"typ":"zvh-jose-1",{extra}}}'
    inner = raw_jws(pki, header, json.dumps(signed_envelope()).encode())
    with pytest.raises(BadSeal) as caught:
        sealers["gateway"].open(sealed_with(pki, inner), now=now())
    assert type(caught.value) is BadSeal


def test_none_and_hmac_with_the_public_key_are_refused(
    pki: Path, sealers: dict[str, JoseSealer]
) -> None:
    payload = json.dumps(signed_envelope()).encode()
    pem = public(pki, "zsm-sign").export_to_pem()
    secret = JWK(kty="oct", k=b64(pem))
    head = {"kid": kid(pki, "zsm-sign"), "typ": "zvh-jose-1"}
    none = f"{b64(json.dumps({'alg': 'none', **head}).encode())}.{b64(payload)}."
    for inner in (none, foreign_jws(pki, payload, key=secret)):
        with pytest.raises(BadSeal, match="alg"):
            sealers["gateway"].open(sealed_with(pki, inner), now=now())


def test_a_huge_header_is_a_bad_seal(pki: Path, sealers: dict[str, JoseSealer]) -> None:
    with pytest.raises(BadSeal, match="kop"):
        sealers["gateway"].open(foreign(pki, kid="x" * 5000), now=now())


def test_an_unknown_signer_is_refused(pki: Path, sealers: dict[str, JoseSealer]) -> None:
    with pytest.raises(CertificateRefused, match="bekend"):
        sealers["gateway"].open(foreign(pki, signer="gateway"), now=now())


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("expired", CertificateRefused),
        ("revoked", CertificateRefused),
        ("rogue", CertificateRefused),
        ("wrong-eku", CertificateRefused),
        ("no-oin", UnknownPartner),
    ],
)
def test_a_registered_but_broken_certificate_is_refused(
    pki: Path, fault: str, error: type[GatewayError]
) -> None:
    gateway = sealer_of("gateway", pki, known={"landelijk": f"broken-{fault}"})
    partner_side = sealer_of("landelijk", pki, signs_with=f"broken-{fault}")
    token = partner_side.seal(DOCUMENT, envelope=envelope(), receiver=partner("gateway"), now=now())
    with pytest.raises(error):
        gateway.open(token, now=now())


def test_a_certificate_of_another_organisation_is_refused(pki: Path) -> None:
    gateway = sealer_of("gateway", pki, known={"landelijk": "gateway"})
    token = foreign(pki, signer="gateway")
    with pytest.raises(CertificateRefused, match="OIN"):
        gateway.open(token, now=now())


def test_a_revocation_counts_at_once(tmp_path: Path) -> None:
    made = make_pki(tmp_path / "pki", broken=False)
    gateway = sealer_of("gateway", made.folder)
    gateway.open(foreign(made.folder), now=now())
    zsm = load_certificate((made.folder / "zsm-sign.crt").read_bytes())
    made.issuing.revoked.append(zsm.serial_number)
    made.write_crl(number=2)
    with pytest.raises(CertificateRefused, match="ingetrokken"):
        gateway.open(foreign(made.folder), now=now())


@pytest.mark.parametrize(
    ("member", "value"),
    [
        *((name, None) for name in ("id", "source", "type", "time", "datacontenttype", "aud")),
        ("id", ""),
        ("id", "x" * 41),
        ("id", "a\nb"),
        ("id", 7),
        ("source", "x" * 401),
        ("specversion", "0.3"),
        ("specversion", 1.0),
        ("datadigest", "é"),
        ("datadigest", 5),
        ("aud", [GATEWAY]),
        ("iat", "1795510800"),
        ("iat", True),
        ("iat", 1.5),
        ("iat", -1),
        ("iat", 10**15),
        ("iat", 10**400),
        ("huis", 5),
        ("traceparent", "x" * 56),
        ("data", {}),
    ],
)
def test_a_wrong_member_of_the_envelope_is_named_and_its_value_is_not(
    pki: Path, sealers: dict[str, JoseSealer], member: str, value: Any
) -> None:
    payload = json.dumps(signed_envelope(**{member: value})).encode()
    with pytest.raises(BadSeal) as caught:
        sealers["gateway"].open(foreign(pki, payload=payload), now=now())
    assert type(caught.value) is BadSeal
    if isinstance(value, str) and len(value) > 3:
        assert value not in caught.value.reason()
    if value is not None and value != 10**400 and member != "data":
        assert member == caught.value.path


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"nul", b'{"id":"\\udc00"}', b"\xff\xfe{\x00}\x00", b'{"a":' * 900]
)
def test_an_envelope_that_is_no_json_object_is_a_bad_seal(
    pki: Path, sealers: dict[str, JoseSealer], payload: bytes
) -> None:
    with pytest.raises(BadSeal):
        sealers["gateway"].open(foreign(pki, payload=payload), now=now())


def test_a_duplicate_member_of_the_envelope_is_told(
    pki: Path, sealers: dict[str, JoseSealer]
) -> None:
    payload = json.dumps(signed_envelope()).replace("{", '{"id":"ander",', 1).encode()
    with pytest.raises(DuplicateKey):
        sealers["gateway"].open(foreign(pki, payload=payload), now=now())


def test_unknown_members_of_the_envelope_pass(pki: Path, sealers: dict[str, JoseSealer]) -> None:
    payload = json.dumps(signed_envelope(eigenveld=5)).encode()
    assert (
        5 == sealers["gateway"].open(foreign(pki, payload=payload), now=now()).envelope["eigenveld"]
    )


def test_nothing_is_sealed_that_a_receiver_would_refuse(
    sealers: dict[str, JoseSealer],
) -> None:
    gateway = partner("gateway")
    with pytest.raises(Empty):
        sealers["zsm"].seal(b"", envelope=envelope(), receiver=gateway, now=now())
    with pytest.raises(BadSeal):
        sealers["zsm"].seal(DOCUMENT, envelope=envelope(id=""), receiver=gateway, now=now())


def test_without_a_usable_certificate_of_the_receiver_it_waits(
    pki: Path, sealers: dict[str, JoseSealer]
) -> None:
    for receiver, moment in (("zsm", now()), ("landelijk", now() + timedelta(days=900))):
        with pytest.raises(PartnerUnavailable):
            sealers["zsm"].seal(
                DOCUMENT, envelope=envelope(), receiver=partner(receiver), now=moment
            )


def test_wrong_files_stop_the_start(pki: Path, tmp_path: Path) -> None:
    checker = CertificateChecker(ca=pki / "ca.crt", crl=pki / "crl.pem")
    (tmp_path / "bad").write_text("rubbish")
    for certificate, key in (
        (pki / "zsm-sign.crt", pki / "gateway-sign.key"),
        (pki / "zsm-sign.crt", tmp_path / "bad"),
        (tmp_path / "absent", pki / "zsm-sign.key"),
    ):
        with pytest.raises(Misconfigured):
            JoseSealer(
                KeyMaterial(ZSM, KeyPair(certificate, key), ()),
                directory={},
                partners=Register([]),
                checker=checker,
            )
    with pytest.raises(Misconfigured):  # two partners with one certificate
        sealer_of("gateway", pki, known={"zsm": "landelijk"})


# --- receipts -------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    "refused", [{}, {"outcome": "geweigerd", "code": "bericht-leeg", "id": ""}]
)
def test_a_receipt_is_believed_by_who_it_is_for(
    sealers: dict[str, JoseSealer], refused: dict[str, str]
) -> None:
    token = sealers["gateway"].sign_receipt(receipt(**refused))
    found = sealers["zsm"].verify_receipt(token, partner=partner("gateway"), now=now())
    assert receipt(**refused) == found
    payload = json.loads(base64.urlsafe_b64decode(token.split(b".")[1] + b"=="))
    assert ("ontvangstbewijs", "code" in payload) == (payload["soort"], bool(refused))


@pytest.mark.parametrize("name", ["zsm", "landelijk"])
def test_partners_receipts_are_believed(sealers: dict[str, JoseSealer], name: str) -> None:
    said = receipt(issuer=partner(name).oin, audience=GATEWAY)
    token = sealers[name].sign_receipt(said)
    assert said == sealers["gateway"].verify_receipt(token, partner=partner(name), now=now())


def test_a_receipt_that_proves_nothing_is_invalid(
    pki: Path, sealers: dict[str, JoseSealer]
) -> None:
    gateway, zsm = sealers["gateway"], sealers["zsm"]
    good = gateway.sign_receipt(receipt())
    bad: list[bytes] = [
        b"",
        b"x",
        good[:-6] + b"AAAAAA",
        gateway.sign_receipt(receipt(audience=LANDELIJK)),
        gateway.sign_receipt(receipt(issuer=LANDELIJK)),
        gateway.sign_receipt(receipt(outcome="misschien")),
        sealers["landelijk"].sign_receipt(receipt(issuer=LANDELIJK)),
        gateway.sign(b'{"soort":"ontvangstbewijs"}'),
        gateway.seal(DOCUMENT, envelope=envelope(), receiver=partner("zsm"), now=now()),
    ]
    for payload in (b"{}", b"[]", b'{"soort":"ontvangstbewijs","id":1}', b'{"id":"a","id":"b"}'):
        bad.append(foreign_jws(pki, payload, signer="gateway", typ="zvh-receipt-1").encode())
    for token in bad:
        with pytest.raises(ReceiptInvalid):
            zsm.verify_receipt(token, partner=partner("gateway"), now=now())
    with pytest.raises(ReceiptInvalid):
        zsm.verify_receipt(good, partner=partner("gateway"), now=now() + timedelta(days=900))
    with pytest.raises(ReceiptInvalid):
        zsm.verify_receipt(good, partner=partner("landelijk"), now=now())


# --- own messages and the bus ---------------------------------------------------------------------


def test_the_bus_carries_what_only_the_gateway_reads(sealers: dict[str, JoseSealer]) -> None:
    gateway = sealers["gateway"]
    signed = gateway.sign(b'{"canoniek":1}')
    token = gateway.wrap_for_bus(signed)
    assert signed not in token
    assert b'{"canoniek":1}' == gateway.verify_own(gateway.unwrap_from_bus(token))
    with pytest.raises(Misconfigured):
        sealers["zsm"].unwrap_from_bus(token)


@pytest.mark.parametrize("place", [30, -40, -2])
def test_a_changed_parcel_does_not_open(sealers: dict[str, JoseSealer], place: int) -> None:
    token = bytearray(sealers["gateway"].wrap_for_bus(b"x" * 100))
    token[place] ^= 1
    with pytest.raises(BadSeal):
        sealers["gateway"].unwrap_from_bus(bytes(token))


def test_a_token_of_one_kind_is_never_another(sealers: dict[str, JoseSealer]) -> None:
    gateway = sealers["gateway"]
    sealed = gateway.seal(DOCUMENT, envelope=envelope(), receiver=partner("zsm"), now=now())
    own = gateway.sign(b"x")
    parcel = gateway.wrap_for_bus(own)
    for token in (gateway.sign_receipt(receipt()), sealed, parcel, b"", b"..", own[:-2] + b"AA"):
        with pytest.raises(BadSignature):
            gateway.verify_own(token)
    for token in (own, sealed, b"...."):
        with pytest.raises(BadSeal):
            gateway.unwrap_from_bus(token)
    with pytest.raises(BadSeal):
        gateway.open(parcel, now=now())
    with pytest.raises(BadSignature):  # another's signature under our kind
        gateway.verify_own(sealers["zsm"].sign(b"x"))


# --- whatever comes in ----------------------------------------------------------------------------

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
