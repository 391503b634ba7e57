"""
The tables of one document and its tree: the reader joins, the writer splits.

A table is an element that stands in a file of its own; its columns are the leaves below it, with `_`
between the names. A group that may be absent has a column of its own: J when it is there. What
repeats is a table too. Columns and order follow from the schema of the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.errors import InvalidDocument
from gateway.formats.csvzip import Rows
from gateway.formats.structure import Element
from gateway.formats.tree import TEXT, Path, Tree, as_group, get, put

_NUMBER = re.compile(r"\[[0-9]+\]")


@dataclass(frozen=True)
class Layout:
    """
    Which element is which file, and which columns hold them together.

    `files` maps a file to its element (names without `prefix`); a parent stands before what is below
    it. `whole` is the file with the one row of the document, and `key` its column, that every file
    has. What belongs to a row of `owner` names it in `parent` by its `number`.
    """

    prefix: str
    files: dict[str, str]
    whole: str
    key: str
    owner: str
    number: str
    parent: str


@dataclass(frozen=True)
class Table:
    """One file: its element, where that stands, and the place of each column below it."""

    file: str
    path: Path  # of the element, below the document or below the owner it belongs to
    repeats: bool
    columns: dict[str, Path]
    groups: frozenset[str]  # columns that say whether a group is there
    keys: tuple[str, ...]
    nested: bool  # below an owner


class Tables:
    """All files of a document, by its structure. Raises KeyError for a file without element."""

    def __init__(self, document: Element, layout: Layout) -> None:
        self._root, self._layout = document.name, layout
        named = {
            file: (layout.prefix + n for n in at.split("/")) for file, at in layout.files.items()
        }
        self._own: dict[Path, str] = {tuple(names): file for file, names in named.items()}
        self._owner = f"{layout.prefix}{layout.files[layout.owner]}"
        self.tables = {f: self._table(document, place, f) for place, f in self._own.items()}

    def _table(self, document: Element, place: Path, file: str) -> Table:
        element, layout = document, self._layout
        for name in place:
            element = element.children[name]
        columns, groups = {}, set()
        for path, leaf in self._columns(element, place):
            name = _name(path)
            columns[name] = path
            if not leaf:
                groups.add(name)
        nested = len(place) > 1 and place[0] == self._owner
        keys: tuple[str, ...] = () if file == layout.whole else (layout.key,)
        keys += (layout.parent,) if nested else (layout.number,) if file == layout.owner else ()
        path = place[1:] if nested else place
        return Table(file, path, element.repeats, columns, frozenset(groups), keys, nested)

    def _columns(
        self, element: Element, place: Path, below: Path = ()
    ) -> Iterator[tuple[Path, bool]]:
        for name, child in element.children.items():
            path = (*below, name)
            if (*place, *path) in self._own:
                continue
            if child.leaf:
                yield path, True
            else:
                if not child.required:
                    yield path, False
                yield from self._columns(child, place, path)

    # -- read

    def join(self, files: dict[str, Rows]) -> Tree:
        """The tree of the document in the files. Raises InvalidDocument, naming file and row."""
        tree: Tree = {}
        layout = self._layout
        whole = self._records(layout.whole, files)
        keys = [row[layout.key] for _, row in whole if layout.key in row]
        if len(keys) != 1:
            what = f"Dit bestand heeft precies een rij met een {layout.key}."
            raise InvalidDocument(what, path=layout.whole)
        owners: dict[str, Tree] = {}
        for table in self.tables.values():
            for number, row in self._records(table.file, files):
                where = f"{table.file}: rij {number}"
                if row.get(layout.key) != keys[0]:
                    raise InvalidDocument(f"De rij heeft een ander {layout.key}.", path=where)
                home = owners.get(row.get(layout.parent, "")) if table.nested else tree
                if home is None:
                    what = f"Deze {layout.parent} staat niet in {layout.owner}."
                    raise InvalidDocument(what, path=where)
                node = self._node(table, row, where)
                if (
                    table.file == layout.owner
                    and owners.setdefault(row.get(layout.number, ""), node) is not node
                ):
                    raise InvalidDocument("Dit nummer staat er tweemaal.", path=where)
                if table.repeats:
                    put(home, table.path, [])
                    get(home, table.path).append(node)
                elif not put(home, table.path, node):
                    raise InvalidDocument("Dit bestand heeft hoogstens een rij.", path=where)
        return tree

    def _records(self, file: str, files: dict[str, Rows]) -> Iterator[tuple[int, dict[str, str]]]:
        """The rows of a file, counted without its header; empty cells are left out."""
        header, *rows = files.get(file) or [[]]
        table = self.tables[file]
        if len(set(header)) < len(header) or not set(header) <= {*table.keys, *table.columns}:
            raise InvalidDocument("De kop heeft een kolom tweemaal of te veel.", path=file)
        for number, row in enumerate(rows, 1):
            if len(row) != len(header):
                what = "De rij heeft meer of minder velden dan de kop."
                raise InvalidDocument(what, path=f"{file}: rij {number}")
            yield number, {name: text for name, text in zip(header, row, strict=True) if text}

    def _node(self, table: Table, row: dict[str, str], where: str) -> Tree:
        node: Tree = {}
        for name, path in table.columns.items():
            text = row.get(name)
            if text is None:
                continue
            if name not in table.groups:
                put(node, path, text)
            elif text != "J":
                raise InvalidDocument("De kolom is leeg of J.", path=f"{where}, kolom {name}")
            elif get(node, path) is None:
                put(node, path, {})
        return node

    # -- write

    def split(self, tree: Tree) -> dict[str, Rows]:
        """The files of a document; one without rows is its header only."""
        layout = self._layout
        whole = get(tree, self.tables[layout.whole].path)
        key = _text(get(whole, self.tables[layout.whole].columns[layout.key]))
        owners = tree.get(self._owner, [])
        files: dict[str, Rows] = {}
        for table in self.tables.values():
            keys = [key for key in table.keys if key not in table.columns]
            files[table.file] = [[*keys, *table.columns]]
            homes = [(str(n), p) for n, p in enumerate(owners, 1)] if table.nested else [("", tree)]
            for parent, home in homes:
                found = get(home, table.path)
                nodes = found if isinstance(found, list) else [] if found is None else [found]
                for number, node in enumerate(nodes, 1):
                    known = {layout.key: key, layout.number: str(number), layout.parent: parent}
                    files[table.file].append(
                        [known[key] for key in keys] + list(self._cells(table, as_group(node)))
                    )
        return files

    def _cells(self, table: Table, node: Tree) -> Iterator[str]:
        for name, path in table.columns.items():
            value = get(node, path)
            yield ("" if value is None else "J") if name in table.groups else _text(value)

    def place(self, path: str) -> str:
        """File, row and column of a path of the XML, so that an error can say so."""
        steps = path.removeprefix(f"{self._root}/").split("/")
        plain = tuple(_NUMBER.sub("", step) for step in steps)
        for length in range(len(plain), 0, -1):
            if file := self._own.get(plain[:length]):
                number = _NUMBER.search(steps[0])  # of the file itself only when that is not nested
                row = f": rij {number[0][1:-1]}" if number and length == 1 else ""
                column = _name(plain[length:])
                return f"{file}{row}" + (f", kolom {column}" if column else "")
        return self._layout.whole


def _name(path: Path) -> str:
    return "_".join(step.partition(":")[2] for step in path)


def _text(value: Any) -> str:
    return str(as_group(value).get(TEXT, "")) if value is not None else ""
