"""Code tables of mappings/codes: a partner's code and our word for it, both ways, never guessed."""

import functools
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Any

from gateway.errors import MappingInvalid, UnknownCode
from gateway.formats.mapping import read_toml
from gateway.formats.tree import Converter, Tree
from gateway.resources import folder


@functools.cache
def tables() -> Mapping[str, Converter]:
    """Every table of ours as a converter, under the name a mapping row uses: `code <table>`."""
    return compiled(written(folder("mappings")))


def compiled(files: Mapping[str, Tree]) -> dict[str, Converter]:
    """Tables as converters, each under `code <table>`. Raises MappingInvalid."""
    return {f"code {name}": table(name, file) for name, file in files.items()}


def written(mappings: Traversable) -> dict[str, Tree]:
    """The tables in the folder `codes` of mappings, as they are written; none without a folder."""
    codes = mappings / "codes"
    files = codes.iterdir() if codes.is_dir() else ()
    found = sorted((file for file in files if ".toml" in file.name), key=lambda file: file.name)
    return {file.name.removesuffix(".toml"): read_toml(file) for file in found}


def table(name: str, file: Tree) -> Converter:
    """
    One table: `bron`, and a `code` for every value with `partner`, `canoniek`, `betekenis`.

    With `velden` a code of the partner is an object of ours: `canoniek` holds the values of its
    fields with a `/` between them. Raises MappingInvalid when a value stands in it twice, because it must work both ways.
    """
    try:
        rows = {row["partner"]: row["canoniek"] for row in file["code"]}
        if not file["bron"] or not all(row["betekenis"] for row in file["code"]):
            raise KeyError("bron, betekenis")
    except (KeyError, TypeError) as error:
        raise MappingInvalid(f"codetabel {name}: {error} ontbreekt of is onjuist.") from error
    if not len(file["code"]) == len(rows) == len(set(rows.values())):
        raise MappingInvalid(f"codetabel {name}: een waarde staat er tweemaal in.")
    if velden := tuple(file.get("velden", ())):
        whole = words(name, rows)
        return Converter(
            lambda text, _: dict(zip(velden, whole.parse(text, {}).split("/"), strict=False)),
            lambda value: whole.render(
                "/".join(value[field] for field in velden if field in value)
            ),
            fields=velden,
        )
    return words(name, rows)


def words(name: str, inward: Mapping[str, Any]) -> Converter:
    """The partner's words and ours, both ways; what is not among them is an UnknownCode."""
    outward = {ours: theirs for theirs, ours in inward.items()}

    def look(word: Any, table: Mapping[Any, Any]) -> Any:
        if word not in table:
            raise UnknownCode(f"De waarde staat niet in tabel {name}.")
        return table[word]

    return Converter(lambda text, _: look(text, inward), lambda value: look(value, outward))
