"""
The tables of one casus and the tree of `GCOS:casus`: the reader joins, the writer splits.

A table is an element that stands in a file of its own; its columns are the leaves below it, with `_`
between the names. A group that may be absent has a column of its own: J when it is there. What
repeats is a table too. Columns and order follow from the schema of gcos/1.0, so this says no more
than which element is which file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from adapters.gcos.archief import Rows
from gateway.errors import InvalidDocument
from gateway.formats.structure import Element
from gateway.formats.tree import TEXT, Path, Tree, as_group, get, put

FILES = {
    "bericht.csv": "bericht",
    "casussen.csv": "casusgegevens",
    "criteria.csv": "casusgegevens/criterium",
    "personen.csv": "betrokkene",
    "nationaliteiten.csv": "betrokkene/persoon/nationaliteit",
    "adressen.csv": "betrokkene/persoon/adres",
    "contactgegevens.csv": "betrokkene/persoon/contactgegeven",
    "deelnemers.csv": "deelnemer",
    "leefgebieden.csv": "leefgebied",
    "overleggen.csv": "overleg",
    "besluiten.csv": "besluit",
    "acties.csv": "actie",
    "plannen.csv": "plan",
    "doelen.csv": "plan/doel",
    "isd.csv": "isd",
    "documenten.csv": "document",
    "historie.csv": "historie",
}
"""Which element of a casus each file holds; a parent stands before what is below it."""

CASUS, OWN, PARENT = "casusNr", "nr", "persoonNr"
"""Key columns: of the casus, of a person in its file, of the person that a row belongs to."""

PERSON, PERSON_FILE = "betrokkene", "personen.csv"
_CASUS_FILE = "casussen.csv"
_NUMBER = re.compile(r"\[[0-9]+\]")


@dataclass(frozen=True)
class Table:
    """One file: its element, where that stands, and the place of each column below it."""

    file: str
    path: Path  # of the element, below the casus or below the person it belongs to
    repeats: bool
    columns: dict[str, Path]
    groups: frozenset[str]  # columns that say whether a group is there
    keys: tuple[str, ...]
    nested: bool  # below a person


class Tables:
    """All files of a casus, made from its structure. Raises KeyError for a file without element."""

    def __init__(self, casus: Element) -> None:
        self._own = {tuple(f"GCOS:{n}" for n in p.split("/")): f for f, p in FILES.items()}
        self.tables = {file: self._table(casus, place, file) for place, file in self._own.items()}

    def _table(self, casus: Element, place: Path, file: str) -> Table:
        element = casus
        for name in place:
            element = element.children[name]
        columns, groups = {}, set()
        for path, leaf in self._columns(element, place):
            name = _name(path)
            columns[name] = path
            if not leaf:
                groups.add(name)
        nested = len(place) > 1 and place[0] == f"GCOS:{PERSON}"
        keys: tuple[str, ...] = () if file == _CASUS_FILE else (CASUS,)
        keys += (PARENT,) if nested else (OWN,) if file == PERSON_FILE else ()
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
        """The tree of the casus in the files. Raises InvalidDocument, naming file and row."""
        tree: Tree = {}
        casus = [row[CASUS] for _, row in self._records(_CASUS_FILE, files) if CASUS in row]
        if len(casus) != 1:
            raise InvalidDocument("Een zip bevat precies een casus.", path=_CASUS_FILE)
        persons: dict[str, Tree] = {}
        for table in self.tables.values():
            for number, row in self._records(table.file, files):
                where = f"{table.file}: rij {number}"
                if row.get(CASUS) != casus[0]:
                    raise InvalidDocument("De rij hoort bij een andere casus.", path=where)
                home = persons.get(row.get(PARENT, "")) if table.nested else tree
                if home is None:
                    raise InvalidDocument("De persoon van deze rij ontbreekt.", path=where)
                node = self._node(table, row, where)
                if (
                    table.file == PERSON_FILE
                    and persons.setdefault(row.get(OWN, ""), node) is not node
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
        """The files of a casus; one without rows is its header only."""
        casus = _text(get(tree, ("GCOS:casusgegevens", f"GCOS:{CASUS}")))
        persons = tree.get(f"GCOS:{PERSON}", [])
        files: dict[str, Rows] = {}
        for table in self.tables.values():
            keys = [key for key in table.keys if key not in table.columns]
            files[table.file] = [[*keys, *table.columns]]
            homes = (
                [(str(n), p) for n, p in enumerate(persons, 1)] if table.nested else [("", tree)]
            )
            for parent, home in homes:
                found = get(home, table.path)
                nodes = found if isinstance(found, list) else [] if found is None else [found]
                for number, node in enumerate(nodes, 1):
                    known = {CASUS: casus, OWN: str(number), PARENT: parent}
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
        steps = path.removeprefix("GCOS:casus/").split("/")
        plain = tuple(_NUMBER.sub("", step) for step in steps)
        for length in range(len(plain), 0, -1):
            if file := self._own.get(plain[:length]):
                number = _NUMBER.search(steps[0])  # of the file itself only when that is not nested
                row = f": rij {number[0][1:-1]}" if number and length == 1 else ""
                column = _name(plain[length:])
                return f"{file}{row}" + (f", kolom {column}" if column else "")
        return _CASUS_FILE


def _name(path: Path) -> str:
    return "_".join(step.partition(":")[2] for step in path)


def _text(value: Any) -> str:
    return str(as_group(value).get(TEXT, "")) if value is not None else ""
