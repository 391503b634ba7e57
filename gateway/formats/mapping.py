"""
A mapping file: how one message of one dialect corresponds to one canonical kind, both ways.

The eight forms of a row (`mappings/README.md` shows each):

    "a/b" = "x.y | converter | guard"       a text and a value            (leaf)
    [rows."a/b"]                            a prefix for the rows below   (group)
    "a" = { naar = "x", … }                 an element and an object      (object)
    "a*" = { naar = "x", waar = {…}, … }    elements and items of a list  (list)
    "a" = { …, gebruik = "persoon" }        with the rows of a shared part (fragment)
    "a" = { kies = "x", soort = […], … }    one item of a list, by preference
    "a" = { vast = "Di01" }                 always this text
    "a" = { niet = "reason" }               no place on our side

`x[code=VT-004].y` is the item of list `x` whose `code` is `VT-004`. `[overal]` names attributes that
mean nothing wherever they stand, `[niet]` canonical fields without a place in this message, and
`[elders]` canonical fields that travel beside the document, in the sealed envelope.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterator
from collections.abc import Mapping as Table
from typing import Any

from gateway.errors import MappingInvalid
from gateway.formats.placement import (
    Account,
    Const,
    Drop,
    Entry,
    Items,
    Leaf,
    Object,
    Placement,
    Scope,
)
from gateway.formats.structure import Element
from gateway.formats.tree import TEKST, Converter, Path, Tree
from gateway.ports import Loss

_FORM_KEYS = frozenset({"naar", "waar", "gebruik", "rows", "niet", "wgs", "vast", "kies"})
_KEYED = re.compile(r"(?P<list>[^\[]+)\[(?P<key>\w+)=(?P<value>[^\]]+)\]\.(?P<rest>.+)")
_TOP_KEYS = frozenset({"dialect", "root", "soort", "overal", "rows", "niet", "elders"})


class Mapping:
    """
    One mapping file, compiled. `parse` and `render` are derived from the same rows.

    Raises MappingInvalid when made: unknown form, path that is not in the structure, conditions that
    are not disjoint.
    """

    def __init__(
        self,
        text: str,
        *,
        structure: Element,
        converters: Table[str, Converter],
        categories: dict[str, str],
        name: str,
        fragments: Table[str, Any] | None = None,
        dialect: Table[str, Any] | None = None,
    ) -> None:
        try:
            file = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise MappingInvalid(f"{name}: geen geldige TOML ({error}).") from error
        if unknown := set(file) - _TOP_KEYS:
            raise MappingInvalid(f"{name}: onbekende sleutel {sorted(unknown)}.")
        self.name = name
        self.soort: str = file["soort"]
        self.root: str = file["root"]
        common = dialect or {}
        self.overal: dict[str, str] = {**common.get("overal", {}), **file.get("overal", {})}
        self.elders: dict[str, str] = {**common.get("elders", {}), **file.get("elders", {})}
        self.niet: dict[str, str] = file.get("niet", {})
        self._categories = categories
        self.scope = _Compiler(name, fragments or {}, converters).scope(file["rows"], structure)

    def parse(self, tree: Tree) -> tuple[Tree, list[Loss]]:
        """The canonical tree of a partner's tree, and what was lost."""
        out: Tree = {}
        account = Account(self.overal, {})
        self.scope.parse(tree, out, "", account)
        return out, account.entries

    def render(self, event: Tree) -> tuple[Tree, list[Loss]]:
        """The partner's tree of a canonical tree, and what was lost."""
        out: Tree = {}
        account = Account(self.niet, self._categories)
        inside = {key: value for key, value in event.items() if key not in self.elders}
        self.scope.render(inside, out, "", account)
        return out, account.entries

    def place(self, canonical: str) -> str:
        """Where a canonical field stands in the partner's document, so that an error can say so."""
        keys, way = self.scope.keys, [self.root]
        for key in canonical.split("."):
            entry = keys.get(key)
            if entry is None:  # the number of an item
                continue
            rows: list[Object | Items | Leaf] = [*entry.objects, *entry.items, *entry.leaves]
            keys = entry.below
            for row in rows[:1]:
                way += row.partner
                keys = keys if isinstance(row, Leaf) else row.scope.keys
        return "/".join(way)

    def unmapped(self, partner: Iterator[str], canonical: Iterator[str]) -> list[str]:
        """
        The leaves of either side that no row, `[niet]`, `[elders]` or `[overal]` speaks of.

        A mapping is total when this is empty; a test demands it.
        """
        found = [
            f"partner: {leaf}"
            for leaf in partner
            if leaf.rpartition("/")[2] not in self.overal
            and not _knows_element(self.scope.elements, leaf.split("/"))
        ]
        spoken = {**self.niet, **self.elders}
        found += [
            f"canoniek: {leaf}"
            for leaf in canonical
            if not any(f"{leaf}.".startswith(f"{p}.") for p in spoken)
            and not _knows_key(self.scope.keys, leaf.split("."))
        ]
        return found


def erase(event: Tree, loss: list[Loss]) -> Tree:
    """
    The canonical tree without what was lost: the right-hand side of the law
    `parse(render(m)) == erase(m, loss)`.
    """
    left = copy.deepcopy(event)
    steps = [re.findall(r"[^.\[\]]+|\[[0-9]+\]", entry.path) for entry in loss]
    for path in sorted(steps, key=_deepest_last_index_first):
        here: Any = left
        *way, last = path
        for step in way:
            here = here[int(step[1:-1])] if step[0] == "[" else here[step]
        del here[int(last[1:-1]) if last[0] == "[" else last]
    return left


def _deepest_last_index_first(path: list[str]) -> list[Any]:
    return [-len(path), *(-int(s[1:-1]) if s[0] == "[" else 0 for s in path)]


class _Compiler:
    """Rows of TOML to placements."""

    def __init__(
        self, name: str, fragments: Table[str, Any], converters: Table[str, Converter]
    ) -> None:
        self.name = name
        self.fragments = fragments
        self.converters = converters

    def scope(self, rows: Table[str, Any], element: Element) -> Scope:
        placements: list[Placement] = []
        self._rows(rows, element, (), placements)
        rows_of = {placement.partner for placement in placements}
        for path in rows_of:
            if len(rows_of) < len(placements) or any(path[:n] in rows_of for n in range(len(path))):
                raise self._wrong(path, "staat onder of naast een andere rij voor dezelfde plaats")
        scope = Scope(placements, frozenset(_required_groups(element, ())))
        self._check_disjoint(scope.keys, "")
        return scope

    def _rows(
        self, rows: Table[str, Any], element: Element, prefix: Path, into: list[Placement]
    ) -> None:
        for key, row in rows.items():
            names = tuple(key.rstrip("*").split("/")) if key else ("",)
            target = self._find(element, names)
            path = (*prefix, *names)
            many = key.endswith("*")
            repeats = target is not None and target.repeats
            if many != repeats and not (isinstance(row, dict) and "niet" in row):
                raise self._wrong(path, "herhaalt" if repeats else "herhaalt niet")
            if isinstance(row, str):
                into.append(self._leaf(row, path, element if key == "" else target))
            elif not _FORM_KEYS & (set(row) - {"gebruik"}) and isinstance(
                row.get("gebruik", ""), str
            ):
                assert target is not None
                self._rows(self._with_fragments(row, path), target, path, into)
            else:
                into.append(self._form(row, path, target, many=many))

    def _leaf(self, row: str, path: Path, element: Element | None) -> Placement:
        where, converter, guard = self._split(row, path)
        keyed = _KEYED.fullmatch(where)
        leaf = Leaf(
            path,
            tuple((keyed["rest"] if keyed else where).split(".")),
            converter,
            guard,
            required=element is None or (path[-1] != "" and element.required),
            nillable=element is not None and element.nillable,
            explains=element is not None and element.reason is not None,
        )
        if not keyed:
            return leaf
        leaf.required = False
        leaf.partner = path[-1:]
        return Items(
            path,
            tuple(keyed["list"].split(".")),
            Scope([leaf], frozenset()),
            where={keyed["key"]: keyed["value"]},
            many=False,
            inline=True,
        )

    def _split(self, row: str, path: Path) -> tuple[str, Converter, tuple[str, Path] | None]:
        parts = [part.strip() for part in row.split("|")]
        converter, guard = TEKST, None
        for part in parts[1:]:
            word, _, rest = part.partition(" ")
            if word in ("met", "zonder"):
                guard = (word, tuple(rest.split(".")))
            elif part in self.converters:
                converter = self.converters[part]
            else:
                raise self._wrong(path, f"kent geen omzetting {part!r}")
        return parts[0], converter, guard

    def _form(
        self, row: Table[str, Any], path: Path, element: Element | None, *, many: bool
    ) -> Placement:
        if "niet" in row:
            return Drop(path, row["niet"], row.get("wgs", "geen"))
        if "vast" in row:
            return Const(path, row["vast"])
        assert element is not None
        rows: dict[str, Any] = {k: v for k, v in row.items() if k not in _FORM_KEYS}
        prefer = None
        if "kies" in row:
            (key,) = [k for k, v in rows.items() if isinstance(v, list)]
            prefer = (key, tuple(rows.pop(key)))
        rows.update(row.get("rows", {}))
        scope = self.scope(
            self._with_fragments({**rows, "gebruik": row.get("gebruik", {})}, path), element
        )
        canonical = tuple(str(row.get("kies") or row["naar"]).split("."))
        if many or prefer or "waar" in row:
            return Items(
                path, canonical, scope, where=row.get("waar", {}), many=many, prefer=prefer
            )
        return Object(
            path, canonical, scope, element.required, element.nillable, element.reason is not None
        )

    def _with_fragments(self, row: Table[str, Any], path: Path) -> dict[str, Any]:
        """The rows with those of the fragments they use; a row of its own goes before."""
        rows = {key: value for key, value in row.items() if key != "gebruik"}
        used = row.get("gebruik", {})
        for where, fragment in ({"": used} if isinstance(used, str) else used).items():
            if fragment not in self.fragments:
                raise self._wrong(path, f"kent geen fragment {fragment!r}")
            shared = self._with_fragments(self.fragments[fragment], path)
            if where:
                rows[where] = {**shared, **rows.get(where, {})}
            else:
                rows = {**shared, **rows}
        return rows

    def _find(self, element: Element, names: Path) -> Element | None:
        """The element at the path; None for an attribute or for text."""
        here = element
        for place, name in enumerate(names):
            if name == "" or name.startswith("@"):
                return None
            if name not in here.children:
                raise self._wrong(names[: place + 1], "staat niet in het schema")
            here = here.children[name]
            if here.repeats and place < len(names) - 1:
                raise self._wrong(names[: place + 1], "herhaalt: geef het een eigen rij met *")
        return here

    def _check_disjoint(self, keys: dict[str, Entry], path: str) -> None:
        for key, entry in keys.items():
            self._check_disjoint(entry.below, f"{path}{key}.")
            guards = {leaf.guard for leaf in entry.leaves}
            if len(guards) < len(entry.leaves) or (len(guards) > 1 and None in guards):
                raise MappingInvalid(f"{self.name}: meer dan een rij voor {path}{key}.")
            if len(guards) > 1 and (len(guards) > 2 or len({g[1] for g in guards if g}) > 1):
                raise MappingInvalid(f"{self.name}: voorwaarden bij {path}{key} overlappen.")
            if len(entry.objects) > 1:
                raise MappingInvalid(f"{self.name}: meer dan een object voor {path}{key}.")
            lists = [items.where for items in entry.items if not items.prefer]
            for i, one in enumerate(lists):
                for other in lists[i + 1 :]:
                    if all(one[k] == other[k] for k in one.keys() & other.keys()):
                        raise MappingInvalid(f"{self.name}: 'waar' bij {path}{key} overlapt.")

    def _wrong(self, path: Path, what: str) -> MappingInvalid:
        return MappingInvalid(f"{self.name}: {'/'.join(path)} {what}.")


def _required_groups(element: Element, prefix: Path) -> Iterator[Path]:
    for name, child in element.children.items():
        if not child.leaf and not child.repeats:
            if child.required:
                yield (*prefix, name)
            yield from _required_groups(child, (*prefix, name))


def _knows_element(rows: Tree, names: list[str]) -> bool:
    row: Any = rows
    for place, name in enumerate(names):
        if isinstance(row, dict):
            row = row.get(name)
        elif isinstance(row, Object | Items) and not getattr(row, "inline", False):
            return _knows_element(row.scope.elements, names[place:])
        elif isinstance(row, Leaf):
            return name in row.converter.attributes
        if row is None:
            return False
        if isinstance(row, Drop | Const):
            return True
    if isinstance(row, Object | Items) and not getattr(row, "inline", False):
        return "" in row.scope.elements
    return not isinstance(row, dict)


def _knows_key(keys: dict[str, Entry], names: list[str]) -> bool:
    entry = keys.get(names[0])
    if entry is None:
        return False
    if len(names) == 1:
        return bool(entry.leaves or entry.items or entry.objects)
    inner = [
        entry.below,
        *(x.scope.keys for x in entry.objects),
        *(x.scope.keys for x in entry.items),
    ]
    chosen = any(names[1:] in ([k] for k in (*i.where, *(i.prefer or ())[:1])) for i in entry.items)
    return chosen or any(_knows_key(below, names[1:]) for below in inner)
