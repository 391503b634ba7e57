"""Mutual TLS: files become an `ssl.SSLContext`, and every refused handshake leaves a trace."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from gateway.errors import Misconfigured


class TlsFiles(NamedTuple):
    """Own certificate (leaf first) and key, the CAs to trust, and their revocation lists."""

    certificate: Path
    key: Path
    ca: Path
    crl: Path


def server_context(files: TlsFiles, *, on_refused: Callable[[str], None]) -> ssl.SSLContext:
    """
    A context that demands a client certificate: path, validity, purpose and CRL are checked by
    OpenSSL. `on_refused` gets the reason of each failed handshake, which the server does not log.

    Whether the certificate belongs to a partner is not checked here (identity.py).

    Raises:
        Misconfigured: a file is missing, broken, or key and certificate do not match.
    """
    context = _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files)
    context.verify_mode = ssl.CERT_REQUIRED

    class Recording(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise  # not refused: the handshake waits for the network
            except ssl.SSLError as error:
                # Both are OpenSSL's fixed words; neither repeats anything from the certificate.
                on_refused(getattr(error, "verify_message", None) or error.reason or "unknown")
                raise

    context.sslobject_class = Recording
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """A context for calling a partner: shows our certificate, checks its host name and CRL."""
    return _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files)


def broker_context(ca: Path, own: tuple[Path, Path] | None) -> ssl.SSLContext:
    """
    For a connection to the broker, whose CA may be the organisation's own: checks path, validity and
    host name, no revocation. `own` is the certificate and key to show. Raises Misconfigured.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if own:
            context.load_cert_chain(*own)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        what = "certificate, key or CA"
        raise Misconfigured(f'"bus-tls": {what} unusable, see {ca.parent}') from error
    return context


def reload(context: ssl.SSLContext, files: TlsFiles) -> None:
    """
    Take renewed files into a living context: new connections use them, open ones go on.

    Raises:
        Misconfigured: as `server_context`; the context then keeps what it had.
    """
    _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), files)  # broken files never reach the live one
    _load(context, files)


def _strict(context: ssl.SSLContext, files: TlsFiles) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_X509_STRICT
    _load(context, files)
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    try:
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(files.ca)
        context.load_verify_locations(files.crl)  # of several lists OpenSSL takes the newest
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        what = "certificaat, sleutel, CA of CRL"
        raise Misconfigured(f"TLS: {what} onbruikbaar in {files.certificate.parent}.") from error
