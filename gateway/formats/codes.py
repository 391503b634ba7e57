"""Code tables from mappings/codes: a partner's code and our word for it, both ways, never guessed."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping

from gateway.errors import MappingInvalid, UnknownCode
from gateway.formats.tree import Converter, Tree
from gateway.resources import folder


@functools.cache
def tables() -> Mapping[str, Converter]:
    """Every table as a converter, under the name a mapping row uses: `code <table>`."""
    found = {}
    for file in (folder("mappings") / "codes").iterdir():
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            found[f"code {name}"] = table(name, file.read_text(encoding="utf-8"))
    return found


def table(name: str, text: str) -> Converter:
    """
    One table: `bron`, and a `[[code]]` for every value with `partner`, `canoniek`, `betekenis`.

    Raises MappingInvalid when a value stands in it twice, because it must work both ways.
    """
    try:
        file = tomllib.loads(text)
        rows = [(row["partner"], row["canoniek"]) for row in file["code"]]
        if not file["bron"] or not all(row["betekenis"] for row in file["code"]):
            raise KeyError("bron, betekenis")
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise MappingInvalid(f"codetabel {name}: {error} ontbreekt of is onjuist.") from error
    inward, outward = dict(rows), {ours: theirs for theirs, ours in rows}
    if not len(rows) == len(inward) == len(outward):
        raise MappingInvalid(f"codetabel {name}: een waarde staat er tweemaal in.")

    def parse(text: str, _: Tree) -> str:
        if text not in inward:
            raise UnknownCode(f"De code staat niet in tabel {name}.")
        return str(inward[text])

    def render(value: str) -> str:
        if value not in outward:
            raise UnknownCode(f"De waarde staat niet in tabel {name}.")
        return str(outward[value])

    return Converter(parse, render)
