"""Every way to get the inside of a sealed message wrong: signature, certificate, envelope."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
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
    UnknownPartner,
)
from gateway.security.identity import CertificateChecker
from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair

from .foreign import (
    DOCUMENT,
    b64,
    foreign,
    foreign_jwe,
    foreign_jws,
    kid,
    public,
    raw_jws,
    sealed_with,
    signed_envelope,
)
from .pki import GATEWAY, ZSM, envelope, make_pki, now, partner, sealer_of


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
    zsm = x509.load_pem_x509_certificate((made.folder / "zsm-sign.crt").read_bytes())
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
                partners={},
                checker=checker,
            )
    with pytest.raises(Misconfigured):  # two partners with one certificate
        sealer_of("gateway", pki, known={"zsm": "landelijk"})
