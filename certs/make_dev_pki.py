"""
A throw-away PKI of the shape of PKIoverheid, for development, tests and the demo. Never production.

    root -> issuing CA -> per party a TLS, a signing and an encryption certificate

The OIN stands in `subject.serialNumber`. CA keys are never written: a folder cannot grow later.
"""

import sys
from datetime import UTC, datetime, timedelta
from inspect import signature
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

LEAF_DAYS = 730
CA_DAYS = 3650
PEM = serialization.Encoding.PEM
SIGN = "digital_signature"
BOTH = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH)
KEY_USAGES = tuple(signature(x509.KeyUsage).parameters)  # digital_signature, …
CRITICAL = (x509.BasicConstraints, x509.KeyUsage)
FAULTS = ("expired", "revoked", "rogue", "wrong-eku", "no-oin")


class Party(NamedTuple):
    """Who gets certificates. `key` is `ec` (P-256) or `rsa`."""

    name: str
    oin: str
    organisation: str
    key: str = "ec"


class Authority:
    """A root or issuing CA; its key lives in memory only."""

    def __init__(self, name: str, *, issuer: "Authority | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        self.name = _name("ZVH ontwikkeling", name)
        self.revoked: list[int] = []
        below = x509.BasicConstraints(ca=True, path_length=0 if issuer else 1)
        usage = _usage("key_cert_sign", "crl_sign")
        self.certificate = (issuer or self).certify(self.name, self.key, CA_DAYS, below, usage)

    def issue(self, party: Party, key: Key, usage: str, fault: str = "") -> x509.Certificate:
        """A leaf for a party on this machine; a fault makes it one that must be refused."""
        here = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        return self.certify(
            _name(party.organisation, party.name, "" if fault == "no-oin" else party.oin),
            key,
            -1 if fault == "expired" else LEAF_DAYS,
            x509.BasicConstraints(ca=False, path_length=None),
            _usage(usage),
            x509.ExtendedKeyUsage(BOTH[1:] if fault == "wrong-eku" else BOTH),
            x509.SubjectAlternativeName(here),
        )

    def certify(
        self, subject: x509.Name, key: Key, days: int, *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        """Sign a certificate with these extensions and those that name the two keys."""
        now, public = datetime.now(UTC), key.public_key()
        start, end = now - timedelta(days=30), now + timedelta(days=days)
        named = (*extensions, x509.SubjectKeyIdentifier.from_public_key(public), self.identifier)
        every = [x509.Extension(e.oid, isinstance(e, CRITICAL), e) for e in named]
        serial = x509.random_serial_number()
        builder = x509.CertificateBuilder(self.name, subject, public, serial, start, end, every)
        return builder.sign(self.key, hashes.SHA256())

    def crl(self, *, number: int, days: int) -> bytes:
        """The revocation list as PEM; a higher `number` replaces an earlier one."""
        now = datetime.now(UTC)
        start, end = now + timedelta(days=-30, seconds=number), now + timedelta(days=days)
        gone = [x509.RevokedCertificateBuilder(serial, now).build() for serial in self.revoked]
        named = (x509.CRLNumber(number), self.identifier)
        every = [x509.Extension(e.oid, False, e) for e in named]
        builder = x509.CertificateRevocationListBuilder(self.name, start, end, every, gone)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(PEM)


class Pki(NamedTuple):
    """What `make_pki` leaves in memory, so that a test can revoke."""

    folder: Path
    root: Authority
    issuing: Authority

    def write_crl(self, *, number: int = 1, days: int = LEAF_DAYS) -> None:
        """`crl.pem`: the lists of both CAs; replaced whole or not at all."""
        fresh = self.folder / "crl.new"
        lists = [ca.crl(number=number, days=days) for ca in (self.issuing, self.root)]
        fresh.write_bytes(b"".join(lists))
        fresh.replace(self.folder / "crl.pem")

    def write(self, name: str, key: Key, certificate: x509.Certificate) -> None:
        """`<name>.crt` and `.key`; for TLS the issuing CA too, as a peer may know the root only."""
        chain = (certificate, self.issuing.certificate)[: 2 if name.endswith("-tls") else 1]
        (self.folder / f"{name}.crt").write_bytes(b"".join(c.public_bytes(PEM) for c in chain))
        form, no_password = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        file = self.folder / f"{name}.key"
        file.touch(mode=0o600, exist_ok=False)  # unreadable for others from the first byte
        file.write_bytes(key.private_bytes(PEM, form, no_password))


def make_pki(folder: Path, parties: list[Party], *, broken: bool = False, bits: int = 3072) -> Pki:
    """
    Fill a folder: `ca.crt` (root and issuing CA), `crl.pem` (both lists), and per party
    `<name>-tls`, `<name>-sign` and `<name>-enc` as `.crt` and `.key`.

    With `broken` also certificates that must be refused, in the name of the last party:
    `broken-{expired,revoked,rogue,wrong-eku,no-oin}-{tls,sign}`.

    Raises:
        FileExistsError: the folder already holds a PKI; its CA keys are gone, so it cannot grow.
    """
    if (folder / "ca.crt").exists():
        raise FileExistsError(f"{folder} already holds a PKI")
    folder.mkdir(parents=True, exist_ok=True)
    # The rogue CA bears the name of the real one: only its key gives it away.
    pki, rogue = _authorities(folder), _authorities(folder)
    for party in parties:
        wrap = "key_encipherment" if party.key == "rsa" else "key_agreement"
        for use, usage in (("tls", SIGN), ("sign", SIGN), ("enc", wrap)):
            key = _new_key(party.key, bits)
            pki.write(f"{party.name}-{use}", key, pki.issuing.issue(party, key, usage))
    for fault in FAULTS if broken else ():
        signer = rogue if fault == "rogue" else pki
        for use in ("tls", "sign"):
            key = _new_key("ec", bits)
            certificate = signer.issuing.issue(parties[-1], key, SIGN, fault)
            signer.write(f"broken-{fault}-{use}", key, certificate)
            if fault == "revoked":
                pki.issuing.revoked.append(certificate.serial_number)
    pki.write_crl()
    cas = [ca.certificate.public_bytes(PEM) for ca in (pki.root, pki.issuing)]
    (folder / "ca.crt").write_bytes(b"".join(cas))  # last: a folder with this file is complete
    return pki


def _authorities(folder: Path) -> Pki:
    root = Authority("ZVH Ontwikkel Root CA")
    return Pki(folder, root, Authority("ZVH Ontwikkel Services CA", issuer=root))


def _new_key(kind: str, bits: int) -> Key:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return ec.generate_private_key(ec.SECP256R1())


def _usage(*names: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in names for name in KEY_USAGES})


def _name(organisation: str, common_name: str, oin: str = "") -> x509.Name:
    pairs = [(NameOID.COUNTRY_NAME, "NL"), (NameOID.ORGANIZATION_NAME, organisation)]
    pairs += [(NameOID.COMMON_NAME, common_name), (NameOID.SERIAL_NUMBER, oin)]
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in pairs if value])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} FOLDER name:oin:organisation[:rsa] …")
    make_pki(Path(sys.argv[1]), [Party(*given.split(":")) for given in sys.argv[2:]], broken=True)
