"""A sixth partner in a wheel of its own: docs/new-partner.md, done as it is written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.settings import load
from gateway.simulators.national import National
from gateway.simulators.party import Party

from .process import Process, free_ports, until

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "new-partner.md"
NAME = "toezicht"
MESSAGE = "7a1c7f0e-5b7e-4a43-9f6e-2d6a0c9b1e55"  # nummer of examples/vraag.xml


def blocks() -> dict[str, list[str]]:
    """The commands of the page by the heading they stand under."""
    found: dict[str, list[str]] = {}
    heading = ""
    for match in re.finditer(
        r"^## ([^\n]+)$|^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    ):
        heading = match[1] or heading
        if match[2]:
            found.setdefault(heading, []).append(match[2])
    return found


class Reader:
    """Somebody with a checkout who follows the page; what gets installed stays in a folder of hers."""

    told = ""  # by the commands that install and check

    def __init__(self, home: Path) -> None:
        self.checkout = home / "gateway"
        shutil.copytree(ROOT / "docs", self.checkout / "docs")
        self.site = home / "site"
        self.environment = {
            **os.environ,
            "NAME": NAME,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{self.site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "PIP_TARGET": str(self.site),
            "PIP_NO_INDEX": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def does(self, heading: str, number: int = 0) -> str:
        script = re.sub(
            r"^gateway ", "python -m gateway ", blocks()[heading][number], flags=re.MULTILINE
        )
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{heading}: {done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """One who copied the template and installed it."""
    found = Reader(tmp_path_factory.mktemp("sixth"))
    found.does("1 Copy the template")
    found.told = found.does("5 Install and check")
    yield found


def test_the_template_leaves_no_trace_of_its_name(reader: Reader) -> None:
    project = reader.checkout.parent / f"zvh-{NAME}"
    paths = [path.relative_to(project) for path in project.rglob("*")]

    assert Path("examples/vraag.xml") in paths
    assert [path for path in paths if "voorbeeld" in str(path)] == []
    texts = [path.read_text() for path in project.rglob("*") if path.suffix in {".toml", ".xsd"}]
    assert [text for text in texts if "voorbeeld" in text] == []


def test_its_data_is_found_in_its_own_wheel(reader: Reader) -> None:
    assert (reader.site / f"zvh_{NAME}" / "mappings" / NAME / "vraag.toml").is_file()
    assert f"{NAME}/1.0#vraag" in reader.told
    assert "Toezichthouder die in het casusoverleg zit" in reader.told
    assert '"soortVerzoeker":"procesregisseur-zvh"' in reader.told


def test_the_sixth_partner_asks_and_is_answered_over_a_real_gateway(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for heading in ("6 Doelbinding", "7 Configuration", "8 Certificates"):
        reader.does(heading)
    work = reader.checkout / "work"
    port, management, landelijk = free_ports(3)
    configuration = (work / "gateway.toml").read_text()
    for old, new in (("8443", port), ("9443", management), ("8444", landelijk)):
        assert old in configuration
        configuration = configuration.replace(old, new)
    (work / "gateway.toml").write_text(configuration)

    monkeypatch.setenv("PYTHONPATH", reader.environment["PYTHONPATH"])
    settings = load(work)
    process = Process(settings)
    started, send = blocks()["9 A first message"][:2]
    run, ready, simulate = started.strip().split("\n")
    assert run == "gateway run --dir work &"
    assert "/health/ready" in ready
    assert simulate == "gateway simulate landelijk --dir work &"
    assert send.startswith("gateway send ")
    try:
        process.start()
        with National(settings) as national:
            assert "geaccepteerd" in (sent := reader.does("9 A first message", 1))
            assert "the receipt is verified" in sent
            with Party(settings, NAME).client as toezicht:
                until(lambda: bool(toezicht.inbox()), "the answer waits")
            (document,) = (national.folder / "received").glob("*.document")
        told = reader.does("9 A first message", 2)
    finally:
        process.kill()

    question = json.loads(document.read_bytes())
    assert ("nl.zvh.bekendheidsverzoek.v1", MESSAGE) == (question["type"], question["id"])
    assert "procesregisseur-zvh" == question["data"]["verzoek"]["soortVerzoeker"]
    assert "999990342" == question["data"]["verzoek"]["persoon"]["bsn"]
    assert "afgeleverd, HTTP 202, receipt verified and kept" in told
    (answer,) = (work / "taken").iterdir()
    text = answer.read_text()
    assert f"<V:antwoordOp>{MESSAGE}</V:antwoordOp>" in text
    assert "<V:bekend>true</V:bekend>" in text


TWICE = """
from dataclasses import replace
from adapters.zsm import ADAPTER, ZSM_1
ADAPTER = replace(ADAPTER, dialects=(replace(ZSM_1),))
"""


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import zvh_nergens", "adapter fout cannot be loaded"),
        ("x = 1", "adapter fout cannot be loaded"),
        (TWICE, "brings zsm/1.0, which is there"),
    ],
)
def test_a_plug_in_that_is_not_right_is_named_and_stops_the_start(
    tmp_path: Path, code: str, problem: str
) -> None:
    (tmp_path / "zvh_fout.py").write_text(code)
    about = tmp_path / "zvh_fout-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: zvh-fout\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[gateway.adapters]\nfout = zvh_fout:ADAPTER\n")

    done = subprocess.run(
        [sys.executable, "-m", "gateway", "mapping", "check"],
        env={
            **os.environ,
            "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert (3, True) == (done.returncode, problem in done.stderr)
