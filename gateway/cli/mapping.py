"""`mapping`: what the installed dialects say, whether that holds, and as pages to read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.bootstrap import load_dialects
from gateway.cli.output import Exit, Json, records, table, write_json
from gateway.errors import BadRequest, Misconfigured
from gateway.resources import folder

if TYPE_CHECKING:
    from gateway.formats.explained import Line

What = Annotated[str, typer.Argument(metavar="DIALECT[#ROOT]", help="As stuf-jz/1.0.9#vcobDi01.")]
Out = Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write to.")]

mapping = typer.Typer(help="Mappings, code tables and doelbinding.", no_args_is_help=True)


@mapping.command("check")
def check(json: Json = False) -> None:
    """
    Load every installed dialect, the code tables and the doelbinding; exit 3 if one is wrong.

    Wrong is: a leaf of schema or kind that no row speaks of, rows that overlap, a path or field that
    does not exist, a code table that does not work both ways.
    """
    from gateway.core.policy import Policy
    from gateway.formats import codes, explained

    rows: list[dict[str, Any]] = []

    def judged(what: str, count: Any, kind: str = "") -> None:
        row = {"what": what, "kind": kind, "rows": 0, "problem": ""}
        try:
            row["rows"] = count()
        except Misconfigured as error:
            row["problem"] = error.reason()
        rows.append(row)

    judged("codes", lambda: len(codes.tables()))
    rules = folder("mappings") / "doelbinding.toml"
    judged("doelbinding", lambda: len(Policy.read(rules.read_text("utf-8")).regel))
    for name, dialect in sorted(load_dialects().items()):
        try:
            dialect.load()
            found = explained.documents(dialect)
        except Misconfigured as error:
            rows.append({"what": name, "kind": "", "rows": 0, "problem": error.reason()})
            continue
        for d in found:
            strange = d.strange and f"mapping-ongeldig: {d.kind} kent geen {', '.join(d.strange)}."
            what = f"{name}#{d.root}"
            row = {"what": what, "kind": d.kind, "rows": len(d.lines), "problem": strange or ""}
            rows.append(row)
    records("Mappings", rows, as_json=json, empty="")
    if any(row["problem"] for row in rows):
        raise typer.Exit(Exit.MISCONFIGURED)


@mapping.command("show")
def show(what: What, json: Json = False) -> None:
    """Which element of a partner's document is which field of ours, and what its codes mean."""
    from gateway.formats import explained

    dialects = load_dialects()
    name, _, root = what.partition("#")
    if name not in dialects:
        known = ", ".join(sorted(dialects))
        raise BadRequest(f"{name} is no dialect of this gateway: it has {known}.")
    found = explained.documents(dialects[name])
    if root and root not in {d.root for d in found}:
        raise BadRequest(f"{name} has no {root}: it has {', '.join(d.root for d in found)}.")
    tables = explained.tables([dialects[name]])
    shown = [d for d in found if root in ("", d.root)]
    if json:
        return write_json([asdict(d) | {"codes": {t: tables[t] for t in d.tables}} for d in shown])
    for d in shown:
        lines = [
            (x.partner, x.canonical, x.conversion, x.condition, x.wgs, _note(x)) for x in d.lines
        ]
        columns = ("partner", "canonical", "conversion", "condition", "wgs", "note")
        table(f"{d.dialect}#{d.root} is {d.kind}", columns, lines)
    for used in sorted({t for d in shown for t in d.tables}):
        rows = ((r["partner"], r["canoniek"], r["betekenis"]) for r in tables[used]["code"])
        table(f"code {used}: {tables[used]['bron']}", ("code", "canonical", "meaning"), rows)


def _note(line: Line) -> str:
    return f"always {line.fixed}" if line.fixed else f"{line.where} {line.reason}".strip()


@mapping.command("export")
def export(out: Out) -> None:
    """Write all of it as Markdown in Dutch: a page a document, and one with the code tables."""
    from gateway.formats import markdown

    pages = markdown.pages([dialect for _, dialect in sorted(load_dialects().items())])
    for path, text in pages.items():
        file = out / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    typer.echo(f"{len(pages)} pages in {out}")
