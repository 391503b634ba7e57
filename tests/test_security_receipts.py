"""Receipts prove what they say to whom they are for; the gateway reads its own and no other kind."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import BadSeal, BadSignature, Misconfigured, ReceiptInvalid
from gateway.security.seal import JoseSealer

from .foreign import DOCUMENT, foreign_jws, receipt
from .pki import GATEWAY, LANDELIJK, envelope, now, partner

# --- receipts -------------------------------------------------------------------------------------


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
    forged = own[:-9] + (b"B" if own[-9:-8] == b"A" else b"A") + own[-8:]
    for token in (gateway.sign_receipt(receipt()), sealed, parcel, b"", b"..", forged):
        with pytest.raises(BadSignature):
            gateway.verify_own(token)
    for token in (own, sealed, b"...."):
        with pytest.raises(BadSeal):
            gateway.unwrap_from_bus(token)
    with pytest.raises(BadSeal):
        gateway.open(parcel, now=now())
    with pytest.raises(BadSignature):  # another's signature under our kind
        gateway.verify_own(sealers["zsm"].sign(b"x"))
