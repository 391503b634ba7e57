"""
A partner that has nothing of ours but docs/seal-profile.md: jwcrypto, curl and its own certificates.

It asks a question as ZSM, fetches the answer from its postbus and signs for it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwcrypto import jwe, jwk, jws
from lxml import etree

from gateway.simulators.national import National

from .process import world

VCOB = Path(__file__).parent / "examples" / "stuf-jz" / "valid" / "vcobDi01.xml"
REFERENCE = "3f1e6a52-6a39-4d0b-9f4e-1a7b0c1d2e3f"  # its referentienummer
ZSM, GATEWAY = "00000099000000001000", "00000099000000000100"
ENVELOPE = {
    "specversion": "1.0",
    "id": REFERENCE,
    "source": f"urn:nld:oin:{ZSM}:systeem:PGAx",
    "type": "nl.zvh.bekendheidsverzoek.v1",
    "time": "2025-03-01T09:15:00.123Z",
    "datacontenttype": "application/xml",
}


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Stranger:
    """Section by section what the page says."""

    def __init__(self, pki: Path, url: str, folder: Path) -> None:
        self.pki, self.url, self.folder = pki, url, folder

    def kid(self, name: str) -> str:
        certificate = x509.load_pem_x509_certificate((self.pki / f"{name}.crt").read_bytes())
        return _b64(certificate.fingerprint(hashes.SHA256()))

    def key(self, name: str) -> jwk.JWK:
        return jwk.JWK.from_pem((self.pki / name).read_bytes())

    def is_rsa(self, name: str) -> bool:
        certificate = x509.load_pem_x509_certificate((self.pki / f"{name}.crt").read_bytes())
        return isinstance(certificate.public_key(), RSAPublicKey)

    def sign(self, payload: dict[str, Any], typ: str) -> str:
        token = jws.JWS(json.dumps(payload).encode())
        algorithm = "PS256" if self.is_rsa("zsm-sign") else "ES256"
        header = {"alg": algorithm, "kid": self.kid("zsm-sign"), "typ": typ}
        token.add_signature(self.key("zsm-sign.key"), protected=json.dumps(header))
        return str(token.serialize(compact=True))

    def seal(self, document: bytes, envelope: dict[str, Any], **changes: Any) -> str:
        envelope = {
            **envelope,
            "datadigest": _b64(hashlib.sha256(document).digest()),
            "aud": GATEWAY,
            "iat": int(time.time()),
            **changes,
        }
        content = {"envelop": self.sign(envelope, "zvh-jose-1"), "document": _b64(document)}
        algorithm = "RSA-OAEP-256" if self.is_rsa("gateway-enc") else "ECDH-ES+A256KW"
        header = {
            "alg": algorithm,
            "enc": "A256GCM",
            "kid": self.kid("gateway-enc"),
            "typ": "zvh-jose-1",
        }
        token = jwe.JWE(json.dumps(content).encode(), protected=json.dumps(header))
        token.add_recipient(self.key("gateway-enc.crt"))
        return str(token.serialize(compact=True))

    def open(self, token: str) -> tuple[dict[str, Any], bytes]:
        box = jwe.JWE(algs=["RSA-OAEP-256", "ECDH-ES+A256KW", "A256GCM"])
        box.deserialize(token, self.key("zsm-enc.key"))
        content = json.loads(box.payload)
        envelope = self.verify(content["envelop"])
        document = _unb64(content["document"])
        assert envelope["datadigest"] == _b64(hashlib.sha256(document).digest())
        return envelope, document

    def verify(self, token: str) -> dict[str, Any]:
        signed = jws.JWS()
        signed.allowed_algs = ["PS256", "ES256"]
        signed.deserialize(token, self.key("gateway-sign.crt"))
        payload: dict[str, Any] = json.loads(signed.payload)
        return payload

    def curl(self, path: str, *more: str, body: str = "") -> tuple[int, str]:
        answer = self.folder / "answer"
        command = ["curl", "-sS", "--cacert", str(self.pki / "ca.crt")]
        command += ["--cert", str(self.pki / "zsm-tls.crt"), "--key", str(self.pki / "zsm-tls.key")]
        command += ["-o", str(answer), "-w", "%{http_code}", *more, f"{self.url}{path}"]
        if body:
            command += ["-H", "Content-Type: application/jose", "--data-binary", "@-"]
        done = subprocess.run(command, input=body.encode(), capture_output=True, check=True)
        return int(done.stdout), answer.read_text() if answer.exists() else ""


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_foreign_tools_ask_a_question_and_fetch_the_answer(tmp_path: Path) -> None:
    with world(tmp_path / "w") as (settings, process):
        process.start()
        url = f"https://127.0.0.1:{settings.port}"
        zsm = Stranger(settings.directory / "pki", url, tmp_path)
        document = VCOB.read_bytes()
        with National(settings):
            status, receipt = zsm.curl("/v1/berichten", body=zsm.seal(document, ENVELOPE))
            assert status == 202, receipt
            proof = zsm.verify(receipt)
            assert ("geaccepteerd", REFERENCE, GATEWAY, ZSM) == tuple(
                proof[name] for name in ("uitkomst", "id", "iss", "aud")
            )

            again = zsm.curl("/v1/berichten", body=zsm.seal(document, ENVELOPE))
            assert (202, receipt) == again

            waiting: list[dict[str, Any]] = []
            end = time.monotonic() + 30
            while not waiting and time.monotonic() < end:
                waiting = json.loads(zsm.curl("/v1/postbus")[1])["berichten"]
            assert 1 == len(waiting)
            delivery = waiting[0]["id"]
            status, token = zsm.curl(f"/v1/postbus/{delivery}")
            assert status == 200
            said, answer = zsm.open(token)

            ucob = etree.fromstring(answer)
            assert ucob.tag.endswith("}ucobDi01")
            assert REFERENCE == ucob.findtext(".//{http://www.egem.nl/StUF/StUF0301}crossRefnummer")
            mine = {
                "soort": "ontvangstbewijs",
                "id": said["id"],
                "digest": said["datadigest"],
                "uitkomst": "geaccepteerd",
                "tijd": "2026-11-24T09:00:00Z",
                "iss": ZSM,
                "aud": GATEWAY,
            }
            status, told = zsm.curl(
                f"/v1/postbus/{delivery}/bevestiging", body=zsm.sign(mine, "zvh-receipt-1")
            )
            assert status == 204, told
            assert [] == json.loads(zsm.curl("/v1/postbus")[1])["berichten"]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_foreign_tools_read_a_signed_refusal_that_says_what_to_change(tmp_path: Path) -> None:
    with world(tmp_path / "w") as (settings, process):
        process.start()
        url = f"https://127.0.0.1:{settings.port}"
        zsm = Stranger(settings.directory / "pki", url, tmp_path)
        document = VCOB.read_bytes().replace(b"999990342", b"999990343")
        status, text = zsm.curl("/v1/berichten", body=zsm.seal(document, ENVELOPE))
        problem = json.loads(text)
        proof = zsm.verify(problem["ontvangstbewijs"])

    assert 400 == status
    assert "bsn-ongeldig" == problem["code"] == proof["code"]
    assert ("geweigerd", REFERENCE) == (proof["uitkomst"], proof["id"])
    assert "999990343" not in text
    assert {"type", "title", "status", "detail", "advies"} <= problem.keys()
