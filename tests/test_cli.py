"""The command line: what it prints, what it writes, and its exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.__main__ import main
from gateway.cli import app
from gateway.cli.demo import PORTS, running_gateway
from gateway.cli.setup import make_directory
from gateway.errors import IdReused
from gateway.ports import Unsealed
from gateway.settings import Settings, load
from gateway.simulators.broker import free_ports
from gateway.simulators.national import National
from gateway.simulators.zsm import JAN, Zsm

VCOB = Path(__file__).parent / "examples" / "stuf-jz" / "valid" / "vcobDi01.xml"
COMMANDS = (
    *("init", "serve", "work", "run", "demo", "simulate", "send", "inbox", "trace"),
    *("translate", "check", "dead", "bus", "certs", "mapping"),
)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory; made once, copied by who changes it."""
    folder = tmp_path_factory.mktemp("cli") / "zvh"
    assert call("init", folder).exit_code == 0
    return folder


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit code and stderr of the program itself, with its errors made into lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gateway", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0), capsys.readouterr().err


def checked(*arguments: object) -> list[dict[str, object]]:
    return [json.loads(line) for line in call("check", "--json", *arguments).stdout.splitlines()]


def test_help_is_quick_and_names_every_command() -> None:
    began = time.monotonic()
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "gateway", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert time.monotonic() - began < 10, "a tenth of it on an idle machine"
    assert [name for name in COMMANDS if f"  {name} " not in shown.stdout] == []
    slow = ("fastapi", "sqlalchemy", "pika", "httpx2", "joserfc", "lxml")
    loaded = {line.rpartition("|")[2].strip() for line in shown.stderr.splitlines()}
    assert [name for name in slow if name in loaded] == []


def test_init_writes_inside_its_folder_only(tmp_path: Path) -> None:
    (tmp_path / "beside").write_text("untouched")

    assert call("init", tmp_path / "zvh").exit_code == 0

    assert {path.name for path in tmp_path.iterdir()} == {"beside", "zvh"}
    found = {path.name for path in (tmp_path / "zvh").iterdir()}
    assert {"gateway.toml", "gateway.db", "keys", "pki"} <= found
    secrets = [*(tmp_path / "zvh" / "keys").glob("*.key"), *(tmp_path / "zvh/pki").glob("*.key")]
    assert secrets
    assert [path for path in secrets if path.stat().st_mode & 0o077] == []


def test_init_never_writes_over_anything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").write_text("mine")

    code, err = told(capsys, "init", tmp_path)

    assert (code, [path.name for path in tmp_path.iterdir()]) == (1, ["mine"])
    assert "not empty" in err


def test_check_accepts_a_valid_document() -> None:
    result = call("check", "--json", VCOB)

    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "file": str(VCOB),
        "dialect": "stuf-jz/1.0.9",
        "root": "vcobDi01",
        "valid": True,
        "code": None,
        "path": None,
        "loss": [],
    }


@pytest.mark.parametrize(
    ("name", "content", "code", "valid"),
    [
        ("empty.xml", b"", "bericht-leeg", False),
        ("broken.xml", b"<a><b></a>", "document-ongeldig", False),
        ("broken.json", b'{"type": ', "document-ongeldig", False),
        ("double.json", b'{"a": 1, "a": 2}', "dubbele-sleutel", False),
        ("dtd.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "dtd-verboden", False),
        ("noise.bin", bytes(range(256)), "document-onbekend", False),
        ("other.xml", b"<other/>", "document-onbekend", False),
        ("code.xml", (b">02</JZ:soort", b">ZSM</JZ:soort"), "document-ongeldig", False),
        ("bsn.xml", (b">999990342<", b">999990343<"), "bsn-ongeldig", True),
    ],
)
def test_check_gives_every_fault_its_own_code(
    tmp_path: Path, name: str, content: bytes | tuple[bytes, bytes], code: str, valid: bool
) -> None:
    """A pair stands for a change to a valid document."""
    if isinstance(content, tuple):
        content = VCOB.read_bytes().replace(*content)
    (tmp_path / name).write_bytes(content)

    (line,) = checked(tmp_path / name)

    assert (line["code"], line["valid"]) == (code, valid)
    assert call("check", tmp_path / name).exit_code == 1


def test_check_goes_through_folders_and_past_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    shutil.copy(VCOB, tmp_path / "deep")
    (tmp_path / "noise").write_bytes(b"\0\xff")

    found = {str(line["file"]): line["code"] for line in checked(tmp_path, tmp_path / "absent")}

    assert found == {
        str(tmp_path / "deep" / VCOB.name): None,
        str(tmp_path / "noise"): "document-onbekend",
        str(tmp_path / "absent"): "niet-gevonden",
    }


def test_a_thousand_documents_are_one_quick_process(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number}.xml").write_bytes(VCOB.read_bytes())
    began = time.monotonic()

    assert len(checked(tmp_path)) == 1000
    assert time.monotonic() - began < 20, "about a second on an idle machine"


def test_translate_goes_there_and_back_without_loss(tmp_path: Path) -> None:
    there = call("translate", VCOB, "--to", "landelijk/1.0", "--out", tmp_path, "--json")
    line = json.loads(there.stdout)
    back = call("translate", line["out"], "--to", "stuf-jz/1.0.9")

    assert (there.exit_code, back.exit_code, line["loss"]) == (0, 0, [])
    assert Path(line["out"]) == tmp_path / "vcobDi01.json"
    assert json.loads((tmp_path / "vcobDi01.json").read_bytes())["data"]["verzoek"]
    assert ">999990342</" in back.stdout


def test_two_documents_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(VCOB, tmp_path / folder)

    result = call(
        "translate", tmp_path / "a", tmp_path / "b", "--to", "landelijk/1.0", "--out", tmp_path
    )

    assert result.exit_code == 0
    assert {p.name for p in tmp_path.glob("*.json")} == {"vcobDi01.json", "vcobDi01-2.json"}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["translate", VCOB, "--to", "klingon/1"], 1, "verzoek-ongeldig"),
        (["trace", "--dir", "{made}", "nothing"], 1, "niet-gevonden"),
        (["dead", "show", "--dir", "{made}", "nothing"], 1, "niet-gevonden"),
        (["dead", "requeue", "--dir", "{made}", "--by", "Noor", "nothing"], 1, "niet-gevonden"),
        (["check", "--nonsense"], 2, "No such option"),
        (["trace", "--dir", "{made}/pki", "x"], 3, "configuratie-onjuist"),
        (["inbox", "--as", "zsm", "--dir", "{made}"], 4, "partner-onbereikbaar"),
        (["inbox", "--as", "nobody", "--dir", "{made}"], 1, "niet-gevonden"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    made: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[object],
    code: int,
    text: str,
) -> None:
    found, err = told(capsys, *(str(argument).format(made=made) for argument in arguments))

    assert (found, text in err, "Traceback" in err) == (code, True, False)
    assert code == 2 or err.count("\n") == 1


def test_reading_commands_speak_json(made: Path) -> None:
    assert json.loads(call("dead", "list", "--dir", made, "--json").stdout) == []
    assert "No delivery is dead" in call("dead", "list", "--dir", made).stdout
    certificates = json.loads(call("certs", "show", "--dir", made, "--json").stdout)
    assert {(c["owner"], c["use"]) for c in certificates} >= {("gateway", "enc"), ("zsm", "sign")}
    assert all(c["oin"].startswith("00000099") for c in certificates)
    assert call("bus", "check", "--dir", made).exit_code == 0
    assert json.loads(call("bus", "status", "--dir", made, "--json").stdout)


def test_certs_make_fills_a_folder_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    party = "dji:00000099000000009000:DJI"

    assert call("certs", "make", tmp_path, party).exit_code == 0
    assert (tmp_path / "dji-sign.crt").exists()
    assert told(capsys, "certs", "make", tmp_path, party)[0] == 1


# --- against a running gateway --------------------------------------------------------------------


@contextmanager
def running(folder: Path) -> Iterator[Settings]:
    ports = zip(PORTS, map(str, free_ports(len(PORTS))), strict=True)
    make_directory(folder, retry_ladder="[0.2]", **dict(ports))
    with running_gateway(settings := load(folder)):
        yield settings


def until(holds: Callable[[], bool], patience: float = 30) -> None:
    end = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def listed(folder: Path, *arguments: object) -> list[dict[str, Any]]:
    result = call(*arguments, "--dir", folder, "--json")
    assert result.exit_code == 0, (result.output, result.exception)
    return list(json.loads(result.stdout))


def written_question(settings: Settings) -> Path:
    file = settings.directory / "question.xml"
    file.write_bytes(Zsm(settings).question(JAN))
    return file


class Refusing(National):
    """A national system that refuses for good."""

    def receive(self, unsealed: Unsealed) -> bytes:
        raise IdReused


def test_a_requeued_delivery_arrives_once(tmp_path: Path) -> None:
    with running(tmp_path / "zvh") as settings:
        folder = settings.directory
        with Refusing(settings):
            assert (
                call("send", written_question(settings), "--as", "zsm", "-d", folder).exit_code == 0
            )
            until(lambda: bool(listed(folder, "dead", "list")))
        (dead,) = listed(folder, "dead", "list")
        assert (dead["to"], "id-hergebruikt" in dead["reason"]) == ("landelijk", True)

        with National(settings) as landelijk:
            result = call("dead", "requeue", dead["delivery"], "--by", "Noor", "-d", folder)
            assert result.exit_code == 0, result.output
            until(lambda: bool(listed(folder, "inbox", "--as", "zsm")))
            again = call("dead", "requeue", dead["delivery"], "--by", "Noor", "-d", folder)
            assert again.exit_code == 1, "it is no longer dead"
            ledger = (landelijk.folder / "ledger.jsonl").read_text().splitlines()

        assert len(ledger) == 1
        assert listed(folder, "dead", "list") == []
        assert "Noor" in call("trace", dead["delivery"], "-d", folder).stdout
        (line,) = (r for r in listed(folder, "bus", "status") if "to landelijk" in r["what"])
        assert (line["state"], line["count"]) == ("afgeleverd", 1)


def test_every_partner_of_the_configuration_can_be_simulated(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = told(capsys, "simulate", "niemand", "--dir", made)

    assert code
    known = set(re.findall("[a-z-]+", said.partition("known: ")[2]))
    assert {entry.name for entry in load(made).partner} <= known


def test_a_simulated_partner_answers_what_is_sent(tmp_path: Path) -> None:
    with running(tmp_path / "zvh") as settings:
        folder = settings.directory
        command = [sys.executable, "-m", "gateway", "simulate", "landelijk", "--dir", str(folder)]
        simulator = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            assert (
                call("send", written_question(settings), "--as", "zsm", "-d", folder).exit_code == 0
            )
            until(lambda: bool(listed(folder, "inbox", "--as", "zsm")))
            (row,) = listed(folder, "inbox", "--as", "zsm", "--take", tmp_path / "taken")
        finally:
            simulator.terminate()
            assert simulator.wait(30) == 0

        (answer,) = (tmp_path / "taken").iterdir()
        assert answer.stem == row["id"]
        (line,) = checked(answer)
        assert (line["root"], line["code"]) == ("ucobDi01", None)
        assert listed(folder, "inbox", "--as", "zsm") == []
