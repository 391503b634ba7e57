"""The published test vector, the page that shows it and the code agree; and Node's `jose` does too."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from jwcrypto.jwk import JWK

from gateway.errors import GatewayError
from gateway.model.partner import Partner
from gateway.ports import Receipt
from gateway.security.identity import CertificateChecker
from gateway.security.seal import JoseSealer, KeyMaterial, KeyPair, PartnerCertificates

from .pki import GATEWAY, ZSM, envelope, make_test_pki, now, partner, sealer_of
from .vectors.make_seal_profile import BEGIN, END, PAGE, VECTOR, example, make

JOSE = "6.2.1"
WHOLE: dict[str, Any] = json.loads(VECTOR.read_text(encoding="utf-8"))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pem(der: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n"


def sealers(vector: dict[str, Any], case: dict[str, Any], folder: Path) -> tuple[JoseSealer, ...]:
    """Receiver and sender of a case, from the values of the vector alone."""
    (folder / "ca.crt").write_text("".join(vector["ca"]))
    (folder / "crl.pem").write_text("".join(vector["crl"]))
    (folder / "sign.crt").write_text(pem(case["sender_signing_certificate"]))
    (folder / "enc.crt").write_text(pem(case["receiver_encryption_certificate"]))
    for name, use in (("sign", "sender_signing"), ("enc", "receiver_encryption")):
        key = JWK(**case[f"{use}_jwk_THROW_AWAY"])
        (folder / f"{name}.key").write_bytes(key.export_to_pem(private_key=True, password=None))
    # Each side has one pair in the vector, so the other role is played by the same pair.
    signing, encryption = (
        KeyPair(folder / f"{n}.crt", folder / f"{n}.key") for n in ("sign", "enc")
    )
    checker = CertificateChecker(ca=folder / "ca.crt", crl=folder / "crl.pem")
    return tuple(
        JoseSealer(
            KeyMaterial(own, signing, (encryption,)),
            directory={
                other.name: PartnerCertificates((signing.certificate,), encryption.certificate)
            },
            partners={other.name: other},
            checker=checker,
        )
        for own, other in ((GATEWAY, partner("zsm")), (ZSM, partner("gateway")))
    )


CASES = pytest.mark.parametrize("case", WHOLE["cases"], ids=lambda case: str(case["name"]))


@CASES
def test_the_vector_opens_to_its_values(case: dict[str, Any], tmp_path: Path) -> None:
    receiver, _ = sealers(WHOLE, case, tmp_path)
    moment = datetime.fromtimestamp(WHOLE["now"], UTC)
    opened = receiver.open(case["token"].encode(), now=moment)
    assert case["document"] == opened.document.decode()
    assert case["datadigest"] == opened.digest
    assert json.loads(case["envelope"]) == opened.envelope
    assert case["jws"] == opened.inner_jws.decode()
    proof = receiver.verify_receipt(case["receipt"].encode(), partner=partner("zsm"), now=moment)
    assert ("geaccepteerd", case["datadigest"]) == (proof.outcome, proof.digest)


@CASES
def test_the_values_on_the_way_belong_together(case: dict[str, Any]) -> None:
    aad, encrypted_key, iv, ciphertext, tag = case["token"].split(".")
    assert (case["jwe_header"], case["encrypted_key"]) == (raw(aad).decode(), encrypted_key)
    assert (case["iv"], case["tag"]) == (iv, tag)
    cek = raw(case["cek"])
    if "kek" in case:
        assert cek == keywrap.aes_key_unwrap(raw(case["kek"]), raw(encrypted_key))
    else:
        key = JWK(**case["receiver_encryption_jwk_THROW_AWAY"]).get_op_key("decrypt")
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        assert cek == key.decrypt(raw(encrypted_key), oaep)
    plaintext = AESGCM(cek).decrypt(raw(iv), raw(ciphertext) + raw(tag), aad.encode())
    assert case["plaintext"] == plaintext.decode()
    assert case["jws"] == json.loads(plaintext)["envelop"]
    header, payload, _ = case["jws"].split(".")
    assert (case["jws_header"], case["envelope"]) == (raw(header).decode(), raw(payload).decode())


def test_the_page_shows_the_vector() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert example(WHOLE) == page.partition(BEGIN)[2].partition(END)[0].removeprefix("\n")


def test_a_fresh_vector_opens_too(tmp_path: Path) -> None:
    fresh = make()
    for number, case in enumerate(fresh["cases"]):
        (tmp_path / str(number)).mkdir()
        receiver, _ = sealers(fresh, case, tmp_path / str(number))
        opened = receiver.open(case["token"].encode(), now=now())
        assert case["document"] == opened.document.decode()


def test_the_private_keys_in_the_vector_are_marked() -> None:
    assert "Never use them" in WHOLE["warning"]
    for case in WHOLE["cases"]:
        private = {n for n, value in case.items() if isinstance(value, dict) and "d" in value}
        assert {n for n in private if n.endswith("THROW_AWAY")} == private
        assert 2 == len(private)


# --- Node -----------------------------------------------------------------------------------------

SCRIPT = """
import * as jose from 'jose'
import { readFileSync } from 'node:fs'
import { createHash, X509Certificate } from 'node:crypto'
const [how, folder, me, other] = process.argv.slice(2)
const text = n => readFileSync(`${folder}/${n}`, 'utf8')
const cert = n => new X509Certificate(text(n))
const kid = n => createHash('sha256').update(cert(n).raw).digest('base64url')
const ec = n => cert(n).publicKey.asymmetricKeyType === 'ec'
const signAlg = n => ec(n) ? 'ES256' : 'PS256'
const wrapAlg = n => ec(n) ? 'ECDH-ES+A256KW' : 'RSA-OAEP-256'
const sign = async (bytes, typ) => new jose.CompactSign(bytes)
  .setProtectedHeader({ alg: signAlg(`${me}-sign.crt`), kid: kid(`${me}-sign.crt`), typ })
  .sign(await jose.importPKCS8(text(`${me}-sign.key`), signAlg(`${me}-sign.crt`)))
const input = JSON.parse(readFileSync(0, 'utf8'))
const encode = s => new TextEncoder().encode(s)
if (how === 'seal') {
  const document = Buffer.from(input.document)
  const envelope = { ...input.envelope, datadigest: createHash('sha256').update(document).digest('base64url') }
  const envelop = await sign(encode(JSON.stringify(envelope)), 'zvh-jose-1')
  const plain = JSON.stringify({ envelop, document: document.toString('base64url') })
  const alg = wrapAlg(`${other}-enc.crt`)
  const key = await jose.importX509(text(`${other}-enc.crt`), alg)
  const token = await new jose.CompactEncrypt(encode(plain))
    .setProtectedHeader({ alg, enc: 'A256GCM', kid: kid(`${other}-enc.crt`), typ: 'zvh-jose-1' }).encrypt(key)
  const receipt = await sign(encode(JSON.stringify(input.receipt)), 'zvh-receipt-1')
  console.log(JSON.stringify({ token, receipt }))
} else {
  const alg = wrapAlg(`${me}-enc.crt`)
  const mine = await jose.importPKCS8(text(`${me}-enc.key`), alg)
  const options = { keyManagementAlgorithms: [alg], contentEncryptionAlgorithms: ['A256GCM'] }
  const { plaintext } = await jose.compactDecrypt(input.token, mine, options)
  const opened = JSON.parse(new TextDecoder().decode(plaintext))
  const signer = signAlg(`${other}-sign.crt`)
  const theirs = await jose.importX509(text(`${other}-sign.crt`), signer)
  const verify = async t => JSON.parse(new TextDecoder().decode(
    (await jose.compactVerify(t, theirs, { algorithms: [signer] })).payload))
  const envelope = await verify(opened.envelop)
  const document = Buffer.from(opened.document, 'base64url')
  if (createHash('sha256').update(document).digest('base64url') !== envelope.datadigest) throw Error('digest')
  console.log(JSON.stringify({ envelope, document: document.toString(), receipt: await verify(input.receipt) }))
}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Node's `jose`; a loud skip where there is no Node, a failure in CI."""
    if not (shutil.which("node") and shutil.which("npm")):
        reason = "Node and npm are needed to prove interoperability with `jose`"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"type":"module","private":true}')
    command = ["npm", "install", "--no-save", "--no-audit", "--no-fund", f"jose@{JOSE}"]
    installed = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    if installed.returncode:
        reason = "npm cannot install `jose`: " + installed.stderr[-300:]
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    (folder / "seal.mjs").write_text(SCRIPT)
    return folder


def run(node: Path, *given: str, **asked: Any) -> dict[str, Any]:
    command = ["node", "seal.mjs", *given]
    done = subprocess.run(
        command,
        cwd=node,
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def said(by: Partner, to: Partner) -> dict[str, str]:
    return {
        "soort": "ontvangstbewijs",
        "id": "1",
        "digest": "d",
        "uitkomst": "geaccepteerd",
        "tijd": "2026-11-24T09:00:00Z",
        "iss": by.oin,
        "aud": to.oin,
    }


PAIRS = pytest.mark.parametrize(
    ("sender", "receiver"), [("zsm", "gateway"), ("landelijk", "zsm"), ("gateway", "landelijk")]
)


@PAIRS
def test_node_seals_and_we_open(
    node: Path, tmp_path_factory: pytest.TempPathFactory, sender: str, receiver: str
) -> None:
    pki = make_test_pki(tmp_path_factory)
    by, to = partner(sender), partner(receiver)
    made = run(
        node,
        *("seal", str(pki), sender, receiver),
        document="<één/>",
        envelope={**envelope(), "aud": to.oin, "iat": 1795510800},
        receipt=said(by, to),
    )
    ours = sealer_of(receiver, pki)
    opened = ours.open(made["token"].encode(), now=now())
    assert ("<één/>", sender) == (opened.document.decode(), opened.signer.name)
    assert "1" == ours.verify_receipt(made["receipt"].encode(), partner=by, now=now()).id
    with pytest.raises(GatewayError):
        ours.open(made["receipt"].encode(), now=now())


@PAIRS
def test_we_seal_and_node_opens(
    node: Path, tmp_path_factory: pytest.TempPathFactory, sender: str, receiver: str
) -> None:
    pki = make_test_pki(tmp_path_factory)
    by, to = partner(sender), partner(receiver)
    ours = sealer_of(sender, pki)
    token = ours.seal("<één/>".encode(), envelope=envelope(), receiver=to, now=now())
    proof = ours.sign_receipt(
        Receipt("1", "d", "geaccepteerd", "2026-11-24T09:00:00Z", by.oin, to.oin)
    )
    found = run(
        node,
        *("open", str(pki), receiver, sender),
        token=token.decode(),
        receipt=proof.decode(),
    )
    assert ("<één/>", to.oin) == (found["document"], found["envelope"]["aud"])
    assert said(by, to) == found["receipt"]
