"""Who a certificate belongs to, and whether it can be trusted now."""

import re
from datetime import datetime
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from gateway.errors import CertificateRefused, Misconfigured, Unavailable, UnknownPartner

log = structlog.get_logger()

_OIN = re.compile(r"[0-9A-Z]{20}")


def load_certificate(der: bytes) -> x509.Certificate:
    """A certificate as TLS shows it. Raises CertificateRefused when it cannot be read."""
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as error:
        raise CertificateRefused("Het certificaat is onleesbaar.") from error


def oin_of(certificate: x509.Certificate) -> str:
    """
    The OIN in `subject.serialNumber` (PKIoverheid; Digikoppeling PKI001). Nothing else is checked.

    Raises:
        UnknownPartner: there is not exactly one, or it is not an OIN.
    """
    found = certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    oins = [str(attribute.value) for attribute in found]
    if len(oins) != 1 or not _OIN.fullmatch(oins[0]):
        raise UnknownPartner("Het certificaat bevat geen OIN in subject.serialNumber.")
    return oins[0]


class CertificateChecker:
    """
    Trusts certificates below one CA bundle that no revocation list names.

    The lists are parsed once and again when the file changes. Checked per certificate: path,
    validity, revocation of every certificate on the path, clientAuth, and the key usage.
    """

    def __init__(self, *, ca: Path, crl: Path) -> None:
        """Raises Misconfigured when a file is missing or broken."""
        self._crl_path, self._seen = crl, (0, 0)
        try:
            self._cas = x509.load_pem_x509_certificates(ca.read_bytes())
            roots = Store([c for c in self._cas if c.subject == c.issuer])
            self._read_lists()
        except (OSError, ValueError) as error:
            raise Misconfigured(f"CA of CRL onbruikbaar: {ca}, {crl}.") from error
        every = ExtensionPolicy.permit_all()  # ours are stricter, see `_check_use`
        policy, ca_policy = PolicyBuilder().store(roots), ExtensionPolicy.webpki_defaults_ca()
        self._policy = policy.extension_policies(ca_policy=ca_policy, ee_policy=every)

    def check(self, certificate: x509.Certificate, *, now: datetime, encrypts: bool = False) -> str:
        """
        The OIN of a certificate that may be used now: to sign (TLS does so too), or to encrypt to.

        Raises:
            CertificateRefused: with the reason.
            UnknownPartner: it bears no OIN.
            Unavailable: we have no current revocation list; no fault of the sender.
        """
        try:
            found = self._policy.time(now).build_client_verifier().verify(certificate, self._cas)
            _check_use(certificate, encrypts)
            self._check_revocation(found.chain, now)
            return oin_of(certificate)
        except VerificationError as error:
            if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
                raise CertificateRefused("Het certificaat is (nog) niet geldig.") from error
            raise CertificateRefused("Het certificaat komt niet van een vertrouwde CA.") from error
        except ValueError as error:  # its parts are parsed on first use
            raise CertificateRefused("Het certificaat is onleesbaar.") from error

    def _check_revocation(self, chain: list[x509.Certificate], now: datetime) -> None:
        try:
            self._read_lists()
        except (OSError, ValueError):
            # The old lists stay in force until they expire; a half-copied file mends itself.
            log.warning("crl_unreadable", file=self._crl_path.name)
        for certificate in chain[:-1]:
            current = self._lists.get(certificate.issuer)
            if current is None or not current.next_update_utc or current.next_update_utc < now:
                raise Unavailable("Er is geen actuele intrekkingslijst van de uitgever.")
            if current.get_revoked_certificate_by_serial_number(certificate.serial_number):
                raise CertificateRefused("Het certificaat is ingetrokken.")

    def _read_lists(self) -> None:
        status, lists = self._crl_path.stat(), {}
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp == self._seen:
            return
        for block in re.split(rb"(?=-----BEGIN X509 CRL-----)", self._crl_path.read_bytes())[1:]:
            found = x509.load_pem_x509_crl(block)
            signers = [c for c in self._cas if c.subject == found.issuer]
            if not any(found.is_signature_valid(c.public_key()) for c in signers):  # type: ignore[arg-type]  # CA keys are RSA or EC
                raise ValueError("a revocation list is not signed by its CA")
            lists[found.issuer] = found
        self._lists, self._seen = lists, stamp


def _check_use(certificate: x509.Certificate, encrypts: bool) -> None:
    """Its key usage must allow it (RFC 5280 §4.2.1.3), and it must be a client's."""
    try:
        extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise CertificateRefused("Het certificaat noemt zijn gebruik niet.") from error
    encryption = usage.key_agreement or usage.key_encipherment
    allowed = encryption if encrypts else usage.digital_signature
    if not allowed or ExtendedKeyUsageOID.CLIENT_AUTH not in extended:
        raise CertificateRefused("Het certificaat is niet voor dit gebruik uitgegeven.")
