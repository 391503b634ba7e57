"""What the mappings say can be read: on the command line and in docs/mappings, and it is true."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway import errors
from gateway.bootstrap import load_dialects
from gateway.cli import app
from gateway.core.policy import Policy
from gateway.formats import explained, markdown
from gateway.formats.dialect import XmlDialect
from gateway.model import SOORTEN
from gateway.model.velden import velden
from gateway.resources import folder

ROOT = Path(__file__).resolve().parents[1]
OURS = (
    "bij/1.0",
    "fhir/4.0",
    "gcos-csv/1",
    "gcos/1.0",
    "landelijk/1.0",
    "soh/0.1",
    "stuf-jz/1.0.9",
    "zsm/1.0",
)
DIALECTS = [load_dialects()[name] for name in OURS]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["mapping", *arguments])


def broken(tmp_path: Path, *, table: str = "eigen", content: str = "") -> XmlDialect:
    """zsm/1.0 as a plug-in with data of its own, where one thing is wrong."""
    for name in ("schemas/zsm/1.0/zsm.xsd", "mappings/zsm/afdoeningsbeslissing.toml"):
        source = folder(name.partition("/")[0])
        for part in name.split("/")[1:]:
            source /= part
        text = source.read_text("utf-8")
        if content and name.endswith(".toml"):
            assert '"ZSM:kwalificatie" = "data.kwalificatie"' in text
            text = text.replace('"ZSM:kwalificatie" = "data.kwalificatie"', content)
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for name in ("dialect.toml", "fragmenten.toml"):
        text = (folder("mappings") / "zsm" / name).read_text("utf-8")
        (tmp_path / "mappings" / "zsm" / name).write_text(text)
    (tmp_path / "mappings" / "codes").mkdir()
    code = 'bron = "proef"\ncode = [{ partner = "A", canoniek = "a", betekenis = "A" }]\n'
    (tmp_path / "mappings" / "codes" / f"{table}.toml").write_text(code)
    zsm = load_dialects()["zsm/1.0"]
    assert isinstance(zsm, XmlDialect)
    return replace(zsm, data=tmp_path)


def test_the_pages_are_current() -> None:
    """`make docs` writes them from the mappings."""
    base = ROOT / "docs" / "mappings"
    stored = {p.relative_to(base).as_posix(): p.read_text("utf-8") for p in base.rglob("*.md")}

    assert markdown.pages(DIALECTS) == stored


def test_every_link_of_the_pages_leads_somewhere() -> None:
    base = ROOT / "docs" / "mappings"
    dead = []
    for page in base.rglob("*.md"):
        for target, anchor in re.findall(r"\]\(([^)#]+)#?([^)]*)\)", page.read_text("utf-8")):
            found = page.parent / target
            if found.is_file() and (not anchor or f"\n## {anchor}\n" in found.read_text("utf-8")):
                continue
            if (ROOT / "mappings").is_dir() or "mappings/README" not in target:
                dead.append((page.name, target, anchor))

    assert dead == []


def test_every_conversion_in_use_is_explained() -> None:
    told = explained.conversions(DIALECTS)
    used = {name for d in DIALECTS for x in explained.documents(d) for name in x.conversions}

    assert used <= told.keys()


def test_every_field_of_a_kind_is_told_in_each_of_its_documents() -> None:
    for dialect in DIALECTS:
        for document in explained.documents(dialect):
            lines = (re.sub(r"\[[^]]*\]", "", line.canonical) for line in document.lines)
            told = tuple(f"{name}." for name in lines if name)
            keys = [re.findall(r"(\S+)\[(\w+) =", line.canonical) for line in document.lines]
            chosen = {f"{list_}.{key}" for found in keys for list_, key in found}
            chosen |= {
                f"{re.sub(r'[][]', '', line.canonical)}.{key}"
                for line in document.lines
                for key in re.findall(r"(\w+) =", line.condition)
            }
            fields = velden(SOORTEN[document.kind])
            left = [f for f in fields if not f"{f}.".startswith(told) and f not in chosen]
            assert left == [], document.root


def test_check_finds_every_dialect_right() -> None:
    result = call("check", "--json")
    rows = json.loads(result.stdout)

    assert result.exit_code == 0
    assert [row for row in rows if row["problem"]] == []
    assert {"codes", "doelbinding", "zsm/1.0#afdoeningsbeslissing"} <= {row["what"] for row in rows}
    assert set(SOORTEN) <= {row["kind"] for row in rows}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", ""),
        ('"ZSM:kwalificatie" = { niet = "proef" }', "geen rij voor canoniek: data.kwalificatie"),
        ('"ZSM:kwalificatie" = "data.sepotcode"', "voorwaarden overlappen"),
        ('"ZSM:bestaatNiet" = "data.kwalificatie"', "staat niet in het schema"),
        ('"ZSM:kwalificatie" = "data.kwalificatie | code nergens"', "kent geen omzetting"),
    ],
)
def test_check_says_of_each_dialect_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, problem: str
) -> None:
    dialect = broken(tmp_path, content=content)
    monkeypatch.setattr("gateway.cli.mapping.load_dialects", lambda: {"zsm/1.0": dialect})

    result = call("check", "--json")
    told = [row["problem"] for row in json.loads(result.stdout) if row["problem"]]

    assert result.exit_code == (3 if problem else 0)
    assert [problem in text for text in told] == [True] * bool(problem)


def test_check_finds_a_field_that_the_kind_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = '"ZSM:kwalificatie" = "data.kwalificatie"\n'
    dialect = broken(tmp_path, content=row)
    file = tmp_path / "mappings" / "zsm" / "afdoeningsbeslissing.toml"
    file.write_text(file.read_text() + '"data.zomaar" = "proef"\n')
    monkeypatch.setattr("gateway.cli.mapping.load_dialects", lambda: {"zsm/1.0": dialect})

    result = call("check", "--json")

    assert result.exit_code == 3
    assert "kent geen data.zomaar" in result.stdout


def test_a_plug_in_may_not_give_a_table_of_the_gateway_other_content(tmp_path: Path) -> None:
    with pytest.raises(errors.MappingInvalid, match="codetabel sepot: de gateway heeft er al een"):
        broken(tmp_path, table="sepot").load()


def test_show_is_a_table_with_the_meaning_of_the_codes() -> None:
    shown = call("show", "stuf-jz/1.0.9#vcobDi01").stdout

    assert "JZ:object/JZ:soortVerzoeker" in shown
    assert "Medewerker VT" in shown
    assert "Een vraag heeft geen crossRefnummer." in shown


def test_show_as_json_tells_place_field_conversion_condition_and_category() -> None:
    result = call("show", "--json", "stuf-jz/1.0.9#vtMeldingDi01")
    (document,) = json.loads(result.stdout)
    rows = {(row["partner"].rpartition("/")[2], row["canonical"]): row for row in document["lines"]}

    answer = rows["JZ:aangifte", "data.vragen[code = VT-004].antwoord"]
    assert "vrije-tekst" == answer["wgs"]
    level = rows["JZ:SASHniveau", "data.sashNiveau"]
    assert ("code sashniveau", "politie") == (level["conversion"], level["wgs"])
    assert document["codes"]["sashniveau"]["bron"]


@pytest.mark.parametrize("what", ["soh/9", "stuf-jz/1.0.9#vcobDi02"])
def test_show_of_what_is_not_there_says_what_there_is(what: str) -> None:
    result = call("show", what)

    assert isinstance(result.exception, errors.BadRequest)
    assert "vcobDi01" in str(result.exception) or "stuf-jz/1.0.9" in str(result.exception)


RULE = """
[[regel]]
soort = ["melding"]
van = ["dji"]
naar = ["landelijk"]
convenant = "Eigen afspraak"
geldig-van = 2025-03-01
geldig-tot = 2030-02-28
grondslag = ["Wgs art. 1.5"]
categorieen = ["identificerend"]
bewaartermijn-dagen = 10
"""


def test_rules_of_the_installation_are_asked_first() -> None:
    ours = Policy.read((folder("mappings") / "doelbinding.toml").read_text("utf-8"))

    both = ours.extended(RULE)

    assert "Eigen afspraak" == both.regel[0].convenant
    assert date(2025, 3, 1) == both.regel[0].geldig_van
    assert both.regel[1:] == ours.regel
    assert both.soort == ours.soort


@pytest.mark.parametrize(
    "text",
    ["", "[soort.melding]\nvolgorde = false\n" + RULE, RULE.replace("dji", "wie"), "regel = 1"],
)
def test_rules_of_the_installation_that_are_not_right_stop_the_start(text: str) -> None:
    ours = Policy.read((folder("mappings") / "doelbinding.toml").read_text("utf-8"))

    with pytest.raises(errors.MappingInvalid, match="doelbinding"):
        ours.extended(text)


def test_the_readme_names_every_document_of_every_dialect() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    section = text.partition("## Who is understood\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\|[^|]*\| `([^`]+)` \| ([^|]+) \|$", section, re.MULTILINE))

    assert set(OURS) == load_dialects().keys() & set(OURS) == set(rows) | {"stuf-jz/1.0.9"}
    for dialect in DIALECTS:
        if isinstance(dialect, XmlDialect):
            roots = ", ".join(document.root for document in explained.documents(dialect))
            assert f"| `{dialect.name}` | {roots} |" in section
