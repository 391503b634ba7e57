"""`check` and `translate`: what the gateway would say of documents. Needs no working directory."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway import errors
from gateway.bootstrap import load_dialects
from gateway.cli.output import Exit, Json, stderr, table, write_json
from gateway.ports import MAX_DOCUMENT, Dialect, Rendered

Files = Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)]
To = Annotated[str, typer.Option("--to", metavar="DIALECT", help="For example landelijk/1.0.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder to write to.")]


SUFFIXES = (("xml", ".xml"), ("zip", ".zip"), ("json", ".json"))


def check(files: Files, json: Json = False) -> None:
    """Check documents against schema and meaning; exit 1 if any is refused."""
    dialects = load_dialects()
    _report([_judge(file, dialects)[0] for _, file in _progress(files)], as_json=json)


def translate(files: Files, to: To, out: Out = None, json: Json = False) -> None:
    """Translate documents to another dialect and account for what is lost on the way."""
    dialects, lines, taken = load_dialects(), [], set[Path]()
    if to.partition("#")[0] not in dialects:
        known = ", ".join(sorted(dialects))
        raise errors.BadRequest(f"{to} is no dialect of this gateway: it has {known}.")
    for folder, file in _progress(files):
        line, made = _judge(file, dialects, to)
        if made and out:
            line["out"] = str(_write(made, out / file.relative_to(folder), taken))
        elif made and json:
            line["document"] = _shown(made)
        elif made:
            typer.echo(made.document)
        lines.append(line)
    if json or out or any(line["code"] for line in lines):
        _report(lines, as_json=json)


def recognise(document: bytes, dialects: Mapping[str, Dialect]) -> tuple[Dialect, str]:
    """Dialect and root of a document. Raises UnknownDocument, or why it is unreadable."""
    for dialect in dialects.values():
        if root := dialect.recognises(document):
            return dialect, root
    raise errors.UnknownDocument


def read(file: Path) -> bytes:
    """A document from disk. Raises NotFound, Empty, TooLarge."""
    try:
        with file.open("rb") as stream:
            document = stream.read(MAX_DOCUMENT + 1)
    except OSError as error:
        raise errors.NotFound(f"{file} is niet te lezen: {error.strerror}.") from error
    if not document:
        raise errors.Empty
    if len(document) > MAX_DOCUMENT:
        raise errors.TooLarge
    return document


def _judge(
    file: Path, dialects: Mapping[str, Dialect], to: str = ""
) -> tuple[dict[str, Any], Rendered | None]:
    """All that the gateway finds about a file, and its translation if a dialect is given."""
    line: dict[str, Any] = dict.fromkeys(("file", "dialect", "root", "valid", "code", "path"))
    line |= {"file": str(file), "valid": False, "loss": []}
    made = None
    try:
        document = read(file)
        dialect, line["root"] = recognise(document, dialects)
        line["dialect"] = dialect.name
        dialect.validate(document)
        line["valid"] = True
        parsed = dialect.parse(document)
        name, _, root = to.partition("#")
        made = dialects[name].render(parsed.bericht, root) if to else None
        loss = parsed.loss + (made.loss if made else ())
        line["loss"] = [{"path": x.path, "category": x.category, "how": x.how} for x in loss]
    except errors.GatewayError as error:
        line["code"], line["path"], line["detail"] = error.code, error.path, error.detail
    return line, made


def _report(lines: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for line in lines:
            write_json(line)
    else:
        rows = (
            (
                *(n["file"], n["dialect"], n["root"], n["code"] or "ok", n["path"]),
                *(n.get("detail"), len(n["loss"])),
            )
            for n in lines
        )
        columns = ("file", "dialect", "root", "verdict", "path", "rule", "lost")
        table(f"{len(lines)} documents", columns, rows)
    if any(line["code"] for line in lines):
        raise typer.Exit(Exit.REFUSED)


def _shown(made: Rendered) -> str:
    """In JSON: as it is, or in base64 when it is no text."""
    is_text = "zip" not in made.content_type
    return made.document.decode() if is_text else b64encode(made.document).decode()


def _write(made: Rendered, target: Path, taken: set[Path]) -> Path:
    """Write, but never over another document of this run."""
    file = target.with_suffix(next(s for form, s in SUFFIXES if form in made.content_type))
    plain, number = file.stem, 1
    while file in taken:
        number += 1
        file = file.with_stem(f"{plain}-{number}")
    taken.add(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(made.document)
    return file


def _progress(given: Iterable[Path]) -> Iterable[tuple[Path, Path]]:
    """Every file with the folder it was found under; a bar on stderr when somebody watches."""
    from rich.progress import track

    found: list[tuple[Path, Path]] = []
    for path in given:
        if path.is_dir():
            found += [(path, file) for file in sorted(path.rglob("*")) if file.is_file()]
        else:
            found.append((path.parent, path))
    console = stderr()
    return track(found, "documents", console=console, disable=not console.is_terminal)
