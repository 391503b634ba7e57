"""Seal profile zvh-jose-1 (docs/seal-profile.md): sign the envelope, encrypt it with the document."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from datetime import datetime
from itertools import starmap
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import OctKey
from joserfc.util import urlsafe_b64encode

from gateway import errors
from gateway.core.ids import digest_of
from gateway.errors import BadSeal, CertificateRefused, Misconfigured, PartnerUnavailable
from gateway.model.partner import Partner
from gateway.ports import MAX_DOCUMENT, Receipt, Unsealed
from gateway.security import jose
from gateway.security.identity import CertificateChecker
from gateway.security.jose import MAX_TOKEN, Jwe, Jws, Key

SEAL, RECEIPT, CANONICAL, BUS = "zvh-jose-1", "zvh-receipt-1", "zvh-canoniek-1", "zvh-bus-1"

# Longest text a member may hold: those of the canonical envelope, plus what the seal adds.
REQUIRED = {"id": 40, "source": 400, "type": 100, "time": 40, "datacontenttype": 100}
REQUIRED |= {"datadigest": 43, "aud": 20}
OPTIONAL = {"dataschema": 400, "subject": 100, "conversatieid": 100, "antwoordop": 40}
OPTIONAL |= {"huis": 40, "traceparent": 55}
LAST_INSTANT = 253402300799  # 9999-12-31T23:59:59Z: later ones fit no datetime

RECEIPT_KIND = "ontvangstbewijs"
# The members of a receipt, in the order of the fields of `ports.Receipt`; `code` may be absent.
RECEIPT_MEMBERS = ("id", "digest", "uitkomst", "tijd", "iss", "aud", "code", "antwoord")


class KeyPair(NamedTuple):
    """Paths of a certificate and its private key, both PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """Own keys. More encryption pairs overlap during renewal; a partner has no bus key."""

    oin: str
    signing: KeyPair
    encryption: tuple[KeyPair, ...]
    bus_key: bytes | None = field(default=None, repr=False)


class PartnerCertificates(NamedTuple):
    """Paths of the certificates a partner signs with, and of the one to encrypt to."""

    signing: tuple[Path, ...]
    encryption: Path


Directory = Mapping[str, PartnerCertificates]  # by the name of the partner


class JoseSealer:
    """
    `ports.Sealer`, for the gateway and for its partners alike. Keys are parsed once, here.

    Raises:
        Misconfigured: a file is missing or broken, or two partners sign with one certificate.
    """

    def __init__(
        self,
        keys: KeyMaterial,
        directory: Directory,
        partners: Mapping[str, Partner],
        checker: CertificateChecker,
    ) -> None:
        self._oin, self._partners, self._checker = keys.oin, partners, checker
        self._signing = _read(*keys.signing)
        self._decryption = {key.kid: key for key in starmap(_read, keys.encryption)}
        self._bus_key = keys.bus_key
        self._receivers = {name: _read(theirs.encryption) for name, theirs in directory.items()}
        self._signers: dict[str, tuple[str, Key]] = {}
        for name, theirs in directory.items():
            for key in map(_read, theirs.signing):
                if self._signers.setdefault(key.kid, (name, key))[0] != name:
                    raise Misconfigured(f"Partner {name} deelt een certificaat met een ander.")

    def open(self, token: bytes, *, now: datetime) -> Unsealed:
        """
        Decrypt and verify. Checks everything but `aud` and the time window.

        Raises:
            Empty, TooLarge, DuplicateKey: of token or document.
            BadSeal, BadSignature, CertificateRefused, UnknownPartner: docs/seal-profile.md §5.
            Unavailable: we hold no current revocation list.
        """
        token = token.strip()
        if not token:
            raise errors.Empty()
        if len(token) > MAX_TOKEN:
            raise errors.TooLarge(f"Een verzegeld bericht is hoogstens {MAX_TOKEN} bytes.")
        outer = Jwe(token, typ=SEAL)
        if outer.kid not in self._decryption:
            raise BadSeal("`kid` noemt geen versleutelcertificaat van de ontvanger.")
        opened = jose.strict_json(outer.plaintext(self._decryption[outer.kid]))
        if opened.keys() != {"envelop", "document"}:
            raise BadSeal("Het geopende object heeft precies `envelop` en `document`.")
        if not all(isinstance(part, str) and part.isascii() for part in opened.values()):
            raise BadSeal("`envelop` en `document` zijn teksten in base64url.")
        inner_jws, document = opened["envelop"].encode(), jose.decode(opened["document"].encode())
        if not document:
            raise errors.Empty("Het verzegelde document is leeg.")
        inner = Jws(inner_jws, typ=SEAL)
        signer, key = self._signer(inner.kid, now)
        envelope = jose.strict_json(inner.payload(key))
        _check_envelope(envelope)
        digest = digest_of(document)
        if not hmac.compare_digest(digest, envelope["datadigest"]):
            raise errors.BadSignature("Het document is niet het document dat is ondertekend.")
        return Unsealed(signer, envelope, inner_jws, document, digest)

    def seal(
        self, document: bytes, *, envelope: dict[str, Any], receiver: Partner, now: datetime
    ) -> bytes:
        """
        Raises:
            Empty, TooLarge, BadSeal: document or envelope would be refused by any receiver.
            PartnerUnavailable: we hold no usable encryption certificate of the receiver.
        """
        if not document:
            raise errors.Empty()
        if len(document) > MAX_DOCUMENT:
            raise errors.TooLarge(f"Een document is hoogstens {MAX_DOCUMENT} bytes.")
        added = {"datadigest": digest_of(document), "aud": receiver.oin}
        signed = {**envelope, **added, "iat": int(now.timestamp())}
        _check_envelope(signed)
        inner = jose.sign(_json(signed), typ=SEAL, key=self._signing)
        plaintext = b'{"envelop":"%b","document":"%b"}' % (inner, urlsafe_b64encode(document))
        return jose.encrypt(plaintext, typ=SEAL, key=self._receiver(receiver, now))

    def sign_receipt(self, receipt: Receipt) -> bytes:
        """A compact JWS of type zvh-receipt-1."""
        said = dict(zip(RECEIPT_MEMBERS, astuple(receipt), strict=True))
        said = {
            name: text for name, text in said.items() if text or name not in ("code", "antwoord")
        }
        return jose.sign(_json({"soort": RECEIPT_KIND, **said}), typ=RECEIPT, key=self._signing)

    def verify_receipt(self, token: bytes, *, partner: Partner, now: datetime) -> Receipt:
        """
        Signed by `partner` for us. Whether it is about our message (id, digest) is not checked.

        Raises:
            ReceiptInvalid: anything else.
        """
        try:
            found = Jws(token.strip(), typ=RECEIPT)
            signer, key = self._signer(found.kid, now)
            said = {"code": "", "antwoord": "", **jose.strict_json(found.payload(key))}
        except errors.GatewayError as error:
            raise errors.ReceiptInvalid(error.detail) from error
        texts = [said.get(name) for name in RECEIPT_MEMBERS]
        if said.get("soort") != RECEIPT_KIND or not all(map(_printable, texts)):
            raise errors.ReceiptInvalid("Het ontvangstbewijs heeft niet de afgesproken velden.")
        if said["uitkomst"] not in ("geaccepteerd", "geweigerd"):
            raise errors.ReceiptInvalid("De uitkomst in het ontvangstbewijs is onbekend.")
        if signer.name != partner.name or said["iss"] != partner.oin or said["aud"] != self._oin:
            raise errors.ReceiptInvalid("Het ontvangstbewijs is van of voor een ander.")
        return Receipt(*map(str, texts))

    def sign(self, payload: bytes) -> bytes:
        """A compact JWS of type zvh-canoniek-1."""
        return jose.sign(payload, typ=CANONICAL, key=self._signing)

    def verify_own(self, token: bytes) -> bytes:
        """The payload of `sign`. Raises BadSignature."""
        try:
            return Jws(token, typ=CANONICAL).payload(self._signing)
        except errors.Refused as error:
            raise errors.BadSignature() from error

    def wrap_for_bus(self, jws: bytes) -> bytes:
        """A compact JWE of type zvh-bus-1. Raises Misconfigured without a bus key."""
        return jose.encrypt(jws, typ=BUS, key=self._bus())

    def unwrap_from_bus(self, token: bytes) -> bytes:
        """Raises BadSeal; Misconfigured without a bus key."""
        return Jwe(token, typ=BUS).plaintext(self._bus())

    def _signer(self, kid: str, now: datetime) -> tuple[Partner, Key]:
        if kid not in self._signers:
            raise CertificateRefused("`kid` noemt geen bij ons bekend ondertekencertificaat.")
        name, key = self._signers[kid]
        if (partner := self._partners.get(name)) is None:
            raise errors.UnknownPartner()
        return partner, self._check(key, partner, now)

    def _receiver(self, partner: Partner, now: datetime) -> Key:
        try:
            return self._check(self._receivers[partner.name], partner, now, encrypts=True)
        except (KeyError, errors.Refused) as error:
            raise PartnerUnavailable("Er is geen bruikbaar versleutelcertificaat.") from error

    def _check(self, key: Key, partner: Partner, now: datetime, *, encrypts: bool = False) -> Key:
        assert key.certificate is not None  # every key of the directory has one
        if self._checker.check(key.certificate, now=now, encrypts=encrypts) != partner.oin:
            raise CertificateRefused("Het OIN in het certificaat is niet dat van de partner.")
        return key

    def _bus(self) -> Key:
        if self._bus_key is None:
            raise Misconfigured("Er is geen bussleutel.")
        return Key(OctKey.import_key(self._bus_key), "bus")


def _check_envelope(envelope: dict[str, Any]) -> None:
    """Presence, type and length of the members; raises BadSeal naming the first wrong one."""
    present = {name: longest for name, longest in OPTIONAL.items() if name in envelope}
    for name, longest in (REQUIRED | present).items():
        value = envelope.get(name)
        if not (_printable(value) and 0 < len(value) <= longest):
            rule = f"`{name}` in de envelop is een tekst van 1 tot en met {longest} tekens."
            raise BadSeal(rule, path=name)
    if envelope.get("specversion") != "1.0":
        raise BadSeal("`specversion` in de envelop is 1.0.", path="specversion")
    iat = envelope.get("iat")
    if type(iat) is not int or not 0 <= iat <= LAST_INSTANT:
        raise BadSeal("`iat` in de envelop is een geheel getal in seconden.", path="iat")
    if not envelope["datadigest"].isascii() or envelope.keys() & {"data", "data_base64"}:
        raise BadSeal("De envelop bevat `datadigest` in plaats van de data.", path="datadigest")


def _printable(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value.isprintable()


def _json(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()


def _read(certificate: Path, private: Path | None = None) -> Key:
    """The key of a certificate: its public one, or the private one in the other file."""
    try:
        own = load_pem_private_key(private.read_bytes(), None) if private else None
        return jose.certified(x509.load_pem_x509_certificate(certificate.read_bytes()), own)
    except (OSError, ValueError, TypeError) as error:
        raise Misconfigured(f"Certificaat {certificate} of zijn sleutel is onbruikbaar.") from error
