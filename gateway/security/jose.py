"""
Compact JOSE without choices: the key decides the algorithm, and each kind of token has its `typ`.

A `Jws` or `Jwe` object exists only if shape, `typ` and header are right, so a token of one kind is
never taken for another. The errors of joserfc become ours here and nowhere else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwe, jwk, jws
from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from gateway.errors import BadSeal, BadSignature, DuplicateKey, Misconfigured, Refused
from gateway.formats import jsondoc

MAX_TOKEN = 64 * 2**20  # base64url twice makes 16/9 of it; the rest is for the envelope
MAX_HEADER = 4096  # several times the largest header of this profile
MIN_RSA_BITS = 2048
ALGS = {"RSA": ("PS256", "RSA-OAEP-256"), "EC": ("ES256", "ECDH-ES+A256KW"), "oct": ("", "dir")}
ENC = "A256GCM"


class _Signing(jws.JWSRegistry):
    max_header_length = MAX_HEADER
    max_payload_length = MAX_TOKEN


class _Encryption(jwe.JWERegistry):
    max_protected_header_length = MAX_HEADER
    max_ciphertext_length = MAX_TOKEN


class Key:
    """A key, the certificate it is from (not for the bus), and its two allowed algorithms."""

    def __init__(self, key: jwk.Key, kid: str, certificate: x509.Certificate | None = None) -> None:
        self.key, self.kid, self.certificate = key, kid, certificate
        self.sign_alg, self.wrap_alg = ALGS[key.key_type]
        self.signing = _Signing(algorithms=[self.sign_alg])
        self.encryption = _Encryption(algorithms=[self.wrap_alg, ENC])


def certified(certificate: x509.Certificate, private: Any = None) -> Key:
    """
    The public key of a certificate, or its private key. Only P-256, or RSA of 2048 bits and more.

    Raises:
        Misconfigured: another kind of key, or a private key of another certificate.
    """
    public = certificate.public_key()
    if private is not None and private.public_key() != public:
        raise Misconfigured("Certificaat en sleutel horen niet bij elkaar.")
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        return Key(jwk.ECKey.import_key(private or public), thumbprint(certificate), certificate)
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= MIN_RSA_BITS:
        return Key(jwk.RSAKey.import_key(private or public), thumbprint(certificate), certificate)
    raise Misconfigured("Een sleutel is P-256, of RSA van ten minste 2048 bits.")


def thumbprint(certificate: x509.Certificate) -> str:
    """`x5t#S256` (RFC 7515 §4.1.8): the `kid` of its key."""
    return urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode()


def decode(text: bytes) -> bytes:
    """base64url, the one way back: no padding, no other alphabet, no stray bits. Raises BadSeal."""
    with _ours("Een deel is geen base64url zonder opvulling."):
        return urlsafe_b64decode(text)


def strict_json(data: bytes) -> dict[str, Any]:
    """One JSON object. Raises DuplicateKey; BadSeal for anything else readers may differ on."""
    try:
        found = jsondoc.read(data)
    except DuplicateKey:
        raise
    except Refused as error:
        raise BadSeal("Een onderdeel van het zegel is geen geldige JSON.") from error
    if not isinstance(found, dict):
        raise BadSeal("Een onderdeel van het zegel is geen JSON-object.")
    return found


class _Token:
    _parts: ClassVar[int]
    _names: ClassVar[frozenset[str]]

    def __init__(self, token: bytes, *, typ: str) -> None:
        """Raises BadSeal unless this is a token of this type with exactly the header we know."""
        self._token = token
        if token.count(b".") != self._parts - 1:
            raise BadSeal(f"Een compacte vorm van {self._parts} delen wordt verwacht.")
        first = token.partition(b".")[0]
        if len(first) > MAX_HEADER:
            raise BadSeal(f"Een kop is hoogstens {MAX_HEADER} bytes.")
        header = strict_json(decode(first))
        texts = {name for name, value in header.items() if isinstance(value, str)}
        if texts != self._names or header.keys() - texts - {"epk"}:
            # So no crit, zip, b64, jku, jwk and x5c: nothing in a header may steer the reader.
            raise BadSeal(f"De kop heeft precies de teksten {', '.join(sorted(self._names))}.")
        if header["typ"] != typ:
            raise BadSeal(f"`typ` in de kop is niet {typ}.")
        self.kid: str = header["kid"]


class Jws(_Token):
    """A signed token of one type. Nothing is proved until `payload` returned."""

    _parts = 3
    _names = frozenset({"alg", "kid", "typ"})

    def payload(self, key: Key) -> bytes:
        """Raises BadSignature; BadSeal when `alg` is not that of the key."""
        with _ours("De JWS is niet goed gevormd."):
            return jws.deserialize_compact(self._token, key.key, registry=key.signing).payload


class Jwe(_Token):
    """An encrypted token of one type."""

    _parts = 5
    _names = frozenset({"alg", "enc", "kid", "typ"})

    def plaintext(self, key: Key) -> bytes:
        """Raises BadSeal, also when `alg` is not that of the key."""
        with _ours("De JWE is niet te ontsleutelen: gewijzigd of niet goed gevormd."):
            found = jwe.decrypt_compact(self._token, key.key, registry=key.encryption)
            return found.plaintext or b""


def sign(payload: bytes, *, typ: str, key: Key) -> bytes:
    """A compact JWS."""
    header = {"alg": key.sign_alg, "kid": key.kid, "typ": typ}
    return jws.serialize_compact(header, payload, key.key, registry=key.signing).encode()


def encrypt(plaintext: bytes, *, typ: str, key: Key) -> bytes:
    """A compact JWE."""
    header = {"alg": key.wrap_alg, "enc": ENC, "kid": key.kid, "typ": typ}
    return jwe.encrypt_compact(header, plaintext, key.key, registry=key.encryption).encode()


@contextmanager
def _ours(sentence: str) -> Iterator[None]:
    try:
        yield
    except BadSignatureError as error:
        raise BadSignature() from error
    except UnsupportedAlgorithmError as error:
        raise BadSeal("`alg` of `enc` past niet bij de sleutel.") from error
    except (JoseError, ValueError, TypeError, LookupError) as error:
        raise BadSeal(sentence) from error
