"""The demo is the real thing: a gateway process, the chain around it, every scene, both buses."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli.setup import make_directory
from gateway.errors import InvalidDocument, UnknownDocument
from gateway.settings import load
from gateway.simulators.zsm import JAN, Zsm, read_ucob

from . import fhir
from .broker import require_rabbitmq

XSD = (
    Path(__file__).parents[2]
    / "shared/standards/corv-1.0.9/vv/jz0100_msg_vvberichten_resolved2025.xsd"
)
SCENES = (
    "question and answer",
    "landelijk is down",
    "duplicate",
    "tampered",
    "unknown signer",
    "revoked certificate",
    "invalid document",
    "buikpijn",
    "decision of the OM",
    "report to Veilig Thuis",
    "return (BIJ)",
    "correction",
    "re-integration plan",
    "report by an event",
    "outcome of the overleg",
    "casus of GCOS",
    "the same as CSV",
    "half a file",
)


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gateway", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def assert_as_told(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, result.stdout + result.stderr
    assert [scene for scene in SCENES if scene not in result.stdout] == []
    assert "NOT AS TOLD" not in result.stdout
    assert "the same receipt, byte for byte" in result.stdout
    assert result.stdout.count("signed refusal:") == 3
    assert "certificaat-geweigerd" in result.stdout, "one wrong certificate is refused by us"
    assert "certificate revoked" in result.stdout, "and one by TLS"
    assert "announced, and read over mutual TLS" in result.stdout, "an event of SOH"


def test_the_demo_goes_as_told(tmp_path: Path) -> None:
    result = demo("--once", "--dir", str(tmp_path / "demo"))

    assert_as_told(result)
    assert "doelbinding: Wgs art. 2.28" in result.stdout, "one message's way, step by step"
    kept = tmp_path / "demo" / "simulators"
    assert len((kept / "zsm" / "ledger.jsonl").read_text().splitlines()) == 4
    assert len((kept / "landelijk" / "ledger.jsonl").read_text().splitlines()) == 10
    bundles = [p for p in kept.glob("zvh/received/*.document") if b'"Bundle"' in p.read_bytes()]
    assert [[]] == [fhir.issues(p.read_bytes()) for p in bundles], "the BIJ notice as FHIR"
    log = (tmp_path / "demo" / "gateway.log").read_text()
    assert "message_accepted" in log
    assert not re.search(JAN.bsn + "|" + JAN.surname, log)


@pytest.mark.broker
def test_the_demo_goes_as_told_on_rabbitmq() -> None:
    require_rabbitmq()

    assert_as_told(demo("--once", "--bus", "rabbitmq"))


def test_without_once_it_keeps_running_and_the_curl_it_tells_works(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "gateway", "demo", "--dir", str(tmp_path / "demo")],
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        end = time.monotonic() + 100
        while "Ctrl-C" not in out.read_text() and time.monotonic() < end:
            assert process.poll() is None, out.read_text()
            time.sleep(0.1)
        told = [line.split() for line in out.read_text().splitlines() if line.startswith("  curl")]
        assert len(told) == 3
        answers = [
            subprocess.run([*command, "-sf"], capture_output=True, check=True).stdout
            for command in told
        ]
        assert json.loads(answers[0])["oin"] == "00000099000000001000"
        (sent, *_) = (tmp_path / "demo" / "simulators" / "zsm" / "sent").glob("*-*.receipt")
        assert_a_partner_can_send_and_be_traced(tmp_path / "demo", sent.with_suffix(".document"))
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, out.read_text()


def assert_a_partner_can_send_and_be_traced(folder: Path, document: Path) -> None:
    def said(*arguments: object) -> Any:
        given = [str(argument) for argument in (*arguments, "--dir", folder, "--json")]
        result = CliRunner().invoke(app, given)
        assert result.exit_code == 0, (result.output, result.exception)
        return json.loads(result.stdout)

    receipt = said("send", document, "--as", "zsm")
    assert (receipt["id"], receipt["outcome"]) == (document.stem, "geaccepteerd")
    (way,) = said("trace", document.stem)
    steps = [step["step"] for step in way["steps"]]
    assert steps[:3] == ["received", "read", "allowed"]
    assert {"routed", "attempt"} <= set(steps)
    assert [d["state"] for d in way["deliveries"]] == ["afgeleverd"]
    assert said("inbox", "--as", "zsm", "--take", folder / "taken") == []


def test_zsm_writes_what_the_published_schema_accepts(tmp_path: Path) -> None:
    if not XSD.exists():
        pytest.skip(f"{XSD} is not here")
    make_directory(tmp_path)
    document = Zsm(load(tmp_path)).question(JAN)

    etree.XMLSchema(etree.parse(XSD)).assertValid(etree.fromstring(document))


def test_zsm_takes_nothing_else_for_an_answer() -> None:
    for document, error in ((b"<other/>", UnknownDocument), (b"<other", InvalidDocument)):
        with pytest.raises(error):
            read_ucob(document)
