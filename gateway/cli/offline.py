"""`check` and `translate`: what the gateway would say of documents. Needs no working directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.output import Exit, Json, say, stderr, table, write_json
from gateway.errors import BadRequest, Empty, GatewayError, NotFound, TooLarge, UnknownDocument
from gateway.ports import Adapter, Rendered

LIMIT = 8 * 2**20  # bytes: as large as a document that the gateway accepts
WORTH_A_BAR = 50  # files; fewer are done before anybody reads it

Files = Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)]


def check(files: Files, json: Json = False) -> None:
    """Check documents against schema and meaning; exit 1 if any is refused."""
    bench = _bench()
    _report([bench.judge(file)[0] for _, file in _progress(files)], as_json=json)


def translate(
    files: Files,
    to: Annotated[str, typer.Option("--to", metavar="DIALECT", help="For example landelijk/1.0.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write to.")] = None,
    json: Json = False,
) -> None:
    """Translate documents to another dialect and account for what is lost on the way."""
    bench = _bench()
    bench.speaking(to)  # an unknown dialect is one error, not one a file
    lines, taken = [], set[Path]()
    for folder, file in _progress(files):
        line, rendered = bench.judge(file, to=to)
        if rendered and out:
            line["out"] = str(_write(rendered, out / file.relative_to(folder), taken))
        elif rendered and json:
            line["document"] = rendered.document.decode()
        elif rendered:
            say(rendered.document.decode())
        lines.append(line)
    if json or out or any(line["code"] for line in lines):
        _report(lines, as_json=json)


@dataclass(frozen=True, slots=True)
class Bench:
    """The adapters, and what `check` and `translate` ask of them about one file."""

    adapters: Sequence[Adapter]

    def speaking(self, dialect: str) -> Adapter:
        """The adapter of a dialect. Raises BadRequest."""
        for adapter in self.adapters:
            if dialect in adapter.dialects:
                return adapter
        known = ", ".join(sorted(d for adapter in self.adapters for d in adapter.dialects))
        raise BadRequest(f"{dialect} is no dialect of this installation; known are {known}")

    def judge(self, file: Path, *, to: str = "") -> tuple[dict[str, Any], Rendered | None]:
        """Everything the gateway finds about a file, and its translation if one is asked for."""
        line: dict[str, Any] = dict.fromkeys(("file", "dialect", "root", "valid", "code", "path"))
        line |= {"file": str(file), "valid": False, "loss": []}
        rendered = None
        try:
            document = _read(file)
            adapter, dialect = self._recognise(document)
            line["dialect"] = dialect
            line["root"] = adapter.validate(document, dialect=dialect)
            line["valid"] = True
            parsed = adapter.parse(document, dialect=dialect)
            loss = parsed.loss
            if to:
                rendered = self.speaking(to).render(parsed.bericht, dialect=to)
                loss += rendered.loss
            line["loss"] = [{"path": x.path, "category": x.category, "how": x.how} for x in loss]
        except GatewayError as error:
            line["code"], line["path"] = error.code, error.path
        return line, rendered

    def _recognise(self, document: bytes) -> tuple[Adapter, str]:
        for adapter in self.adapters:
            if dialect := adapter.recognises(document):
                return adapter, dialect
        raise UnknownDocument


def _bench() -> Bench:
    from gateway.bootstrap import load_adapters

    return Bench(tuple(load_adapters()))


def _report(lines: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for line in lines:
            write_json(line)
    else:
        columns = ("file", "dialect", "root", "verdict", "path", "lost")
        rows = (
            (n["file"], n["dialect"], n["root"], n["code"] or "ok", n["path"], len(n["loss"]))
            for n in lines
        )
        table(f"{len(lines)} documents", columns, rows)
    if any(line["code"] for line in lines):
        raise typer.Exit(Exit.REFUSED)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            document = stream.read(LIMIT + 1)
    except OSError as error:
        raise NotFound(f"Het bestand is niet te lezen: {error.strerror}.") from error
    if not document:
        raise Empty
    if len(document) > LIMIT:
        raise TooLarge
    return document


def _write(rendered: Rendered, target: Path, taken: set[Path]) -> Path:
    """Write beside its likes, and never over another document of this run."""
    suffix = ".xml" if "xml" in rendered.content_type else ".json"
    file, number = target.with_suffix(suffix), 1
    while file in taken:
        number += 1
        file = target.with_name(f"{target.stem}-{number}{suffix}")
    taken.add(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(rendered.document)
    return file


def _progress(given: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Every file with the folder it was found under; a bar on stderr when somebody watches."""
    found = [(folder, file) for path in given for folder, file in _files(path)]
    console = stderr()
    if len(found) < WORTH_A_BAR or not console.is_terminal:
        return iter(found)
    from rich.progress import track

    return iter(track(found, description="documents", console=console))


def _files(path: Path) -> list[tuple[Path, Path]]:
    if not path.is_dir():
        return [(path.parent, path)]
    return [(path, file) for file in sorted(path.rglob("*")) if file.is_file()]
