"""Certificates: the dev PKI, mutual TLS in a real handshake, identity, revocation."""

from __future__ import annotations

import os
import socket
import ssl
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import CertificateRefused, Misconfigured, Unavailable, UnknownPartner
from gateway.resources import folder
from gateway.security import tls
from gateway.security.identity import CertificateChecker, load_certificate, oin_of

from .pki import GATEWAY, LANDELIJK, PARTIES, ZSM, make_pki, now


@pytest.fixture(scope="module")
def checker(pki: Path) -> CertificateChecker:
    return CertificateChecker(ca=pki / "ca.crt", crl=pki / "crl.pem")


def certificate(pki: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((pki / f"{name}.crt").read_bytes())


# --- the dev PKI ----------------------------------------------------------------------------------


def test_every_party_gets_three_separate_certificates_with_its_oin(pki: Path) -> None:
    for name, oin, _, _ in PARTIES:
        found = [certificate(pki, f"{name}-{use}") for use in ("tls", "sign", "enc")]
        assert [oin] * 3 == [oin_of(c) for c in found]
        assert 3 == len({c.public_key().public_numbers() for c in found})  # type: ignore[union-attr]


def test_keys_are_readable_by_their_owner_only(pki: Path) -> None:
    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in pki.glob("*.key")}


def test_a_pki_is_never_overwritten(pki: Path) -> None:
    with pytest.raises(FileExistsError):
        make_pki(pki)


def test_the_script_runs_by_itself(tmp_path: Path) -> None:
    script = str(folder("certs") / "make_dev_pki.py")
    party = f"zsm:{ZSM}:OM"
    subprocess.run([sys.executable, script, str(tmp_path / "pki"), party], check=True)
    assert ZSM == oin_of(certificate(tmp_path / "pki", "zsm-tls"))


# --- identity -------------------------------------------------------------------------------------


def test_the_oin_is_read_from_a_certificate_as_tls_shows_it(pki: Path) -> None:
    der = certificate(pki, "zsm-tls").public_bytes(Encoding.DER)
    assert ZSM == oin_of(load_certificate(der))


def test_a_certificate_without_oin_belongs_to_nobody(
    pki: Path, checker: CertificateChecker
) -> None:
    with pytest.raises(UnknownPartner):
        oin_of(certificate(pki, "broken-no-oin-tls"))
    with pytest.raises(UnknownPartner):
        checker.check(certificate(pki, "broken-no-oin-tls"), now=now())


def test_rubbish_is_no_certificate() -> None:
    for rubbish in (b"", b"-----BEGIN", b"\x30\x03\x02\x01"):
        with pytest.raises(CertificateRefused):
            load_certificate(rubbish)


@pytest.mark.parametrize(("party", "oin"), [party[:2] for party in PARTIES])
@pytest.mark.parametrize("file", ["tls", "sign", "enc"])
def test_good_certificates_pass(
    pki: Path, checker: CertificateChecker, party: str, oin: str, file: str
) -> None:
    found = certificate(pki, f"{party}-{file}")
    assert oin == checker.check(found, now=now(), encrypts=file == "enc")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("expired", "niet geldig"),
        ("revoked", "ingetrokken"),
        ("rogue", "vertrouwde CA"),
        ("wrong-eku", "niet voor dit gebruik"),
    ],
)
@pytest.mark.parametrize("use", ["tls", "sign"])
def test_broken_certificates_are_refused_each_with_its_reason(
    pki: Path, checker: CertificateChecker, name: str, reason: str, use: str
) -> None:
    with pytest.raises(CertificateRefused, match=reason):
        checker.check(certificate(pki, f"broken-{name}-{use}"), now=now())


def test_keys_are_kept_to_their_use(pki: Path, checker: CertificateChecker) -> None:
    for name, encrypts in (("zsm-sign", True), ("zsm-enc", False), ("landelijk-enc", False)):
        with pytest.raises(CertificateRefused):
            checker.check(certificate(pki, name), now=now(), encrypts=encrypts)


def test_validity_is_judged_at_the_given_time(pki: Path, checker: CertificateChecker) -> None:
    for days in (-60, 800):
        with pytest.raises(CertificateRefused):
            checker.check(certificate(pki, "zsm-tls"), now=now() + timedelta(days=days))


def test_a_new_revocation_counts_without_restart(tmp_path: Path) -> None:
    made = make_pki(tmp_path / "pki", broken=False)
    living = CertificateChecker(ca=made.folder / "ca.crt", crl=made.folder / "crl.pem")
    zsm = certificate(made.folder, "zsm-sign")
    living.check(zsm, now=now())
    made.issuing.revoked.append(zsm.serial_number)
    made.write_crl(number=2)
    with pytest.raises(CertificateRefused, match="ingetrokken"):
        living.check(zsm, now=now())


def test_a_revoked_issuing_ca_takes_its_certificates_with_it(tmp_path: Path) -> None:
    made = make_pki(tmp_path / "pki", broken=False)
    made.root.revoked.append(made.issuing.certificate.serial_number)
    made.write_crl(number=2)
    with pytest.raises(CertificateRefused, match="ingetrokken"):
        CertificateChecker(ca=made.folder / "ca.crt", crl=made.folder / "crl.pem").check(
            certificate(made.folder, "zsm-sign"), now=now()
        )


def test_a_stale_or_missing_list_is_our_fault_and_transient(tmp_path: Path) -> None:
    made = make_pki(tmp_path / "pki", broken=False)
    zsm = certificate(made.folder, "zsm-sign")
    made.write_crl(number=2, days=-1)
    living = CertificateChecker(ca=made.folder / "ca.crt", crl=made.folder / "crl.pem")
    with pytest.raises(Unavailable):
        living.check(zsm, now=now())
    (made.folder / "crl.pem").write_bytes(made.root.crl(number=3, days=9))
    with pytest.raises(Unavailable):
        living.check(zsm, now=now())


def test_a_half_copied_list_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    made = make_pki(tmp_path / "pki", broken=False)
    living = CertificateChecker(ca=made.folder / "ca.crt", crl=made.folder / "crl.pem")
    whole = (made.folder / "crl.pem").read_bytes()
    (made.folder / "crl.pem").write_bytes(whole[: len(whole) // 3])
    living.check(certificate(made.folder, "zsm-sign"), now=now())


def test_a_list_of_another_ca_stops_the_start(tmp_path: Path) -> None:
    made, other = (make_pki(tmp_path / name, broken=False) for name in ("pki", "other"))
    with pytest.raises(Misconfigured):
        CertificateChecker(ca=made.folder / "ca.crt", crl=other.folder / "crl.pem")


# --- mutual TLS -----------------------------------------------------------------------------------


def files(pki: Path, name: str) -> tls.TlsFiles:
    return tls.TlsFiles(pki / f"{name}.crt", pki / f"{name}.key", pki / "ca.crt", pki / "crl.pem")


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes | None:
    """The client's certificate as the server sees it, over a real connection."""
    seen: list[bytes | None] = []
    left, right = socket.socketpair()

    def serve() -> None:
        # As asyncio does it: an SSLObject on memory buffers, which is what records refusals.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tunnel = server.wrap_bio(incoming, outgoing, server_side=True)
        with left:
            while True:
                try:
                    tunnel.do_handshake()
                except ssl.SSLWantReadError:
                    left.sendall(outgoing.read())
                    data = left.recv(65536)
                    incoming.write(data) if data else incoming.write_eof()
                    continue
                except ssl.SSLError:
                    with suppress(BrokenPipeError):  # a client that refuses is gone at once
                        left.sendall(outgoing.read())
                    return
                seen.append(tunnel.getpeercert(binary_form=True))
                tunnel.write(b"ok")
                left.sendall(outgoing.read())
                return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with right, client.wrap_socket(right, server_hostname="localhost") as connection:
            connection.recv(2)
    except (ssl.SSLError, OSError):
        pass
    finally:
        thread.join(timeout=10)
    return seen[0] if seen else None


@pytest.mark.parametrize(("name", "oin"), [("zsm-tls", ZSM), ("landelijk-tls", LANDELIJK)])
def test_a_good_client_is_known_by_its_oin(pki: Path, name: str, oin: str) -> None:
    refused: list[str] = []
    server = tls.server_context(files(pki, "gateway-tls"), on_refused=refused.append)
    der = handshake(server, tls.client_context(files(pki, name)))
    assert der is not None
    assert (oin, []) == (oin_of(load_certificate(der)), refused)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken-expired-tls", "certificate has expired"),
        ("broken-revoked-tls", "certificate revoked"),
        ("broken-rogue-tls", "unable to get local issuer certificate"),
        ("broken-wrong-eku-tls", "unsuitable certificate purpose"),
    ],
)
def test_a_refused_handshake_is_recorded_with_its_reason(pki: Path, name: str, reason: str) -> None:
    refused: list[str] = []
    server = tls.server_context(files(pki, "gateway-tls"), on_refused=refused.append)
    assert handshake(server, tls.client_context(files(pki, name))) is None
    assert len(refused) == 1 and reason in refused[0]


def test_a_client_without_certificate_or_with_old_tls_is_refused(pki: Path) -> None:
    refused: list[str] = []
    server = tls.server_context(files(pki, "gateway-tls"), on_refused=refused.append)
    anonymous = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    assert handshake(server, anonymous) is None
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2
    assert ["PEER_DID_NOT_RETURN_A_CERTIFICATE"] == refused


def test_a_revocation_reaches_a_living_context(tmp_path: Path) -> None:
    made = make_pki(tmp_path / "pki", broken=False)
    refused: list[str] = []
    server = tls.server_context(files(made.folder, "gateway-tls"), on_refused=refused.append)
    client = tls.client_context(files(made.folder, "zsm-tls"))
    assert handshake(server, client) is not None
    made.issuing.revoked.append(certificate(made.folder, "zsm-tls").serial_number)
    made.write_crl(number=2)
    tls.reload(server, files(made.folder, "gateway-tls"))
    assert handshake(server, client) is None
    assert ["certificate revoked"] == refused


def test_broken_files_stop_the_start_and_never_reach_a_living_context(
    pki: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.pem").write_bytes(b"rubbish")
    good, other = files(pki, "gateway-tls"), files(pki, "zsm-tls")
    living = tls.server_context(good, on_refused=print)
    for bad in (
        tls.TlsFiles(good.certificate, other.key, good.ca, good.crl),
        tls.TlsFiles(good.certificate, good.key, tmp_path / "bad.pem", good.crl),
        tls.TlsFiles(good.certificate, good.key, good.ca, tmp_path / "absent.pem"),
    ):
        with pytest.raises(Misconfigured):
            tls.server_context(bad, on_refused=print)
        with pytest.raises(Misconfigured):
            tls.reload(living, bad)
    der = handshake(living, tls.client_context(files(pki, "zsm-tls")))
    assert der is not None and oin_of(load_certificate(der)) == ZSM


def test_a_client_refuses_a_server_of_another_ca(pki: Path, tmp_path: Path) -> None:
    other = make_pki(tmp_path / "pki", broken=False).folder
    server = tls.server_context(files(pki, "gateway-tls"), on_refused=lambda _: None)
    client = tls.client_context(
        tls.TlsFiles(pki / "zsm-tls.crt", pki / "zsm-tls.key", other / "ca.crt", other / "crl.pem")
    )
    assert handshake(server, client) is None


def test_the_gateway_itself_has_an_oin(pki: Path) -> None:
    assert GATEWAY == oin_of(certificate(pki, "gateway-sign"))
    assert os.access(pki / "gateway-sign.key", os.R_OK)
