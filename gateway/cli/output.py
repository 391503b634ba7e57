"""How every command speaks: tables or JSON on stdout, errors as one line on stderr, exit codes."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gateway.errors import GatewayError, Misconfigured, Unavailable
from gateway.settings import DIR_VARIABLE


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    REFUSED = 1  # refused, invalid or not found
    USAGE = 2
    MISCONFIGURED = 3
    UNAVAILABLE = 4


Dir = Annotated[
    Path, typer.Option("--dir", "-d", envvar=DIR_VARIABLE, help="Working directory of `init`.")
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable: JSON on stdout.")]
HERE = Path(".")
WIDTH = 220  # of a table when nobody watches


def stderr() -> Console:
    """For progress and errors: stdout stays clean."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def write_json(value: Any) -> None:
    """One JSON value on one line."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """A table for a person, as wide as it needs to be when nobody watches."""
    shown = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in rows:
        shown.add_row(*(escape(str("" if cell is None else cell)) for cell in row))
    width = None if sys.stdout.isatty() else WIDTH
    Console(soft_wrap=True, width=width).print(shown)


def records(title: str, rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Rows with equal keys: a table, one JSON array, or the sentence that there are none."""
    if as_json:
        write_json(rows)
    elif rows:
        table(title, rows[0].keys(), (row.values() for row in rows))
    else:
        typer.echo(empty)


def fail(error: GatewayError) -> Exit:
    """Print an error as one line, code, sentence, place, advice; return its exit code."""
    advice = error.operator if isinstance(error, Misconfigured | Unavailable) else error.advies
    stderr().print(f"[red]{escape(error.reason())}[/red] [dim]{escape(advice)}[/dim]")
    if isinstance(error, Misconfigured):
        return Exit.MISCONFIGURED
    return Exit.UNAVAILABLE if isinstance(error, Unavailable) else Exit.REFUSED
