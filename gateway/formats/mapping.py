"""
A mapping file: how one message of one dialect corresponds to one canonical kind, both ways.

The eight forms of a row (`mappings/README.md` shows each):

    "a/b" = "x.y | converter | guard"       a text and a value            (leaf)
    "a*" = "x.y"                            the first of some texts: there is one value
    [rows."a/b"]                            a prefix for the rows below   (group)
    "a" = { naar = "x", … }                 an element and an object      (object)
    "a*" = { naar = "x", waar = {…}, … }    elements and items of a list  (list)
    "a" = { …, gebruik = "persoon" }        with the rows of a shared part (fragment)
    "a" = { kies = "x", soort = […], … }    one item of a list, by preference
    "a" = { vast = "Di01" }                 always this text
    "a" = { niet = "reason" }               no place on our side

`x[code=VT-004].y` is the item of list `x` whose `code` is `VT-004`. `[overal]` names attributes that
mean nothing wherever they stand, `[alleen]` the one value of a field that the document itself says (it
selects on render, is written on parse), `[niet]` canonical fields without a place in this message, and
`[elders]` canonical fields that travel beside the document, in the sealed envelope.
"""

import itertools
import re
import tomllib
from collections.abc import Iterator
from collections.abc import Mapping as Table
from dataclasses import dataclass, field, replace
from importlib.resources.abc import Traversable
from typing import Any

from gateway.errors import InvalidDocument, MappingInvalid, NotExpressible
from gateway.formats import structure
from gateway.formats.account import Account
from gateway.formats.placement import (
    Const,
    Drop,
    First,
    Items,
    Leaf,
    Object,
    Placement,
    Scope,
)
from gateway.formats.structure import Element
from gateway.formats.tree import TEKST, Converter, Path, Tree, get, put
from gateway.ports import Loss

_FORM_KEYS = frozenset({"naar", "waar", "met", "rows", "kies"})
_KEYED = re.compile(r"(?P<list>[^\[]+)\[(?P<key>\w+)=(?P<value>[^\]]+)\]\.(?P<rest>.+)")
_TOP_KEYS = frozenset({"dialect", "root", "soort", "alleen", "overal", "rows", "niet", "elders"})


def read_toml(file: Traversable) -> dict[str, Any]:
    """One of the files of mappings/. Raises MappingInvalid."""
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise MappingInvalid(f"{file.name}: geen geldige TOML ({error}).") from error


@dataclass(frozen=True)
class Shared:
    """What the mappings of one dialect have in common: `dialect.toml`, `fragmenten.toml`, …"""

    converters: Table[str, Converter]
    fragments: Table[str, Any] = field(default_factory=dict)
    overal: Table[str, Any] = field(default_factory=dict)
    elders: Table[str, str] = field(default_factory=dict)


class Mapping:
    """
    One mapping file, compiled. `parse` and `render` are derived from the same rows.

    `fields` are those of the canonical kind with their categories (`gateway.model.velden`). Raises
    MappingInvalid when made: unknown form, path that is not in the structure, conditions that are
    not disjoint.
    """

    def __init__(
        self, name: str, file: Tree, shape: Element, fields: dict[str, str], shared: Shared
    ) -> None:
        if unknown := set(file) - _TOP_KEYS:
            raise MappingInvalid(f"{name}: onbekende sleutel {sorted(unknown)}.")
        self.name = name
        self.soort: str = file["soort"]
        self.root: str = file["root"]
        self.overal: dict[str, Any] = {**shared.overal, **file.get("overal", {})}
        self.elders: dict[str, str] = {**shared.elders, **file.get("elders", {})}
        self.niet: dict[str, str] = file.get("niet", {})
        self.alleen: dict[str, str] = file.get("alleen", {})
        self._shape, self._fields = shape, fields
        compiler = _Compiler(name, shared)
        self.scope = compiler.scope(compiler.with_fragments(file["rows"], ()), shape)

    def parse(self, tree: Tree) -> tuple[Tree, list[Loss]]:
        """The canonical tree of a partner's tree, and what was lost."""
        out: Tree = {}
        account = Account(self.overal, {})
        self.scope.parse(tree, out, "", account)
        for at, value in self.alleen.items():
            put(out, tuple(at.split(".")), value)
        return out, account.entries

    def fits(self, event: Tree) -> bool:
        """Whether the message has the values that this document is for."""
        return all(get(event, tuple(at.split("."))) == value for at, value in self.alleen.items())

    def render(self, event: Tree) -> tuple[Tree, list[Loss]]:
        """
        The partner's tree of a canonical tree, and what was lost.

        Raises NotExpressible for what must be said and cannot: a word that a code table lacks too.
        """
        out: Tree = {}
        account = Account(self.niet, self._fields)
        inside = {key: value for key, value in event.items() if key not in self.elders}
        try:
            self.scope.render(inside, out, "", account)
        except InvalidDocument as error:  # nobody wrote it: the dialect falls short
            raise NotExpressible(error.detail, path=error.path) from error
        return out, [entry for entry in account.entries if entry.path not in self.alleen]

    def place(self, canonical: str) -> str:
        """Where a canonical field stands in the partner's document, so that an error can say so."""
        places = {ours: theirs for theirs, ours in _spoken(self.scope)}
        keys = [key for key in canonical.split(".") if not key.isdigit()]  # the number of an item
        while keys and ".".join(keys) not in places:
            keys.pop()
        return f"{self.root}/{places.get('.'.join(keys), '')}".rstrip("/")

    def unmapped(self) -> list[str]:
        """
        The leaves of either side that no row, `[niet]`, `[elders]` or `[overal]` speaks of.

        A mapping is total when this is empty; a test demands it.
        """
        rows = list(_spoken(self.scope))
        theirs = {partner for partner, _ in rows}
        dropped = tuple(partner for partner, canonical in rows if not canonical)
        ours = {canonical for _, canonical in rows} | self.alleen.keys()
        elsewhere = tuple(f"{name}." for name in (*self.niet, *self.elders))
        return [
            f"partner: {leaf}"
            for leaf in structure.leaves(self._shape)
            if self.overal.keys().isdisjoint(leaf.split("/"))
            and leaf not in theirs
            and not f"{leaf}/".startswith(dropped)
        ] + [
            f"canoniek: {leaf}"
            for leaf in self._fields
            if leaf not in ours and not f"{leaf}.".startswith(elsewhere)
        ]


def _spoken(scope: Scope, partner: str = "", canonical: str = "") -> Iterator[tuple[str, str]]:
    """
    What each row speaks of: a place of the partner's and one of ours.

    A place that ends in `/` is an element with others in it; without one of ours, it is dropped
    with all of them.
    """
    for row in scope.placements:
        theirs = partner + "/".join(row.partner)
        if isinstance(row, Drop | Const):
            yield f"{theirs}/", ""
            continue
        ours = canonical + ".".join(row.canonical)
        if isinstance(row, Leaf):
            yield from ((f"{theirs}/{name}", ours) for name in row.converter.attributes)
            yield theirs.rstrip("/"), ours
            yield from ((theirs, f"{ours}.{field}") for field in row.converter.fields)
            continue
        yield f"{theirs}/", ours
        if isinstance(row, Items):
            yield from ((f"{theirs}/", f"{ours}.{key}") for key in row.where)
        inline = isinstance(row, Items) and row.inline
        yield from _spoken(row.scope, partner if inline else f"{theirs}/", f"{ours}.")


class _Compiler:
    """Rows of TOML to placements."""

    def __init__(self, name: str, shared: Shared) -> None:
        self.name = name
        self.shared = shared

    def scope(self, rows: Tree, element: Element) -> Scope:
        placements = list(self._rows(rows, element, ()))
        fixed = {row.partner for row in placements if isinstance(row, Const)}
        placements = [
            replace(row, beside=_beside(row.partner, element, fixed))
            if isinstance(row, Const)
            else row
            for row in placements
        ]
        scope = Scope(placements, frozenset(_required_groups(element, ())))
        for path in scope.elements:
            if path in scope.groups or len(scope.elements) < len(placements):
                raise self._wrong(path, "staat onder of naast een andere rij voor dezelfde plaats")
        for names, alike in scope.fields.items():
            for one, other in itertools.combinations(alike, 2):
                if type(one) is type(other) and not one.excludes(other):  # type: ignore[arg-type]
                    what = "heeft meer dan een rij, en hun voorwaarden overlappen"
                    raise self._wrong((".".join(names),), what)
        return scope

    def _rows(self, rows: Tree, element: Element, prefix: Path) -> Iterator[Placement]:
        for key, row in rows.items():
            names, many = tuple(key.rstrip("*").split("/")), key.endswith("*")
            path, target = (*prefix, *names), self._find(element, names)
            repeats = target is not None and target.repeats
            if many != repeats and not (isinstance(row, dict) and "niet" in row):
                raise self._wrong(path, "herhaalt" if repeats else "herhaalt niet")
            if isinstance(row, str):
                yield self._leaf(row, path, target if key else element, many=many)
            elif "niet" in row:
                yield Drop(path, row["niet"], row.get("wgs", "geen"))
            elif "vast" in row:
                yield Const(path, row["vast"])
            elif target is None:
                raise self._wrong(path, "is tekst: er staan geen rijen onder")
            elif "naar" in row or "kies" in row:
                yield self._object(row, path, target, many=many)
            else:
                yield from self._rows(self.with_fragments(row, path), target, path)

    def _leaf(self, row: str, path: Path, element: Element | None, *, many: bool) -> Leaf | Items:
        where, *rest = (part.strip() for part in row.split("|"))
        converter, guard = TEKST, None
        for part in rest:
            word, _, condition = part.partition(" ")
            if word in ("met", "zonder"):
                guard = (word, tuple(condition.split(".")))
            elif part in self.shared.converters:
                converter = self.shared.converters[part]
            else:
                raise self._wrong(path, f"kent geen omzetting {part!r}")
        keyed = _KEYED.fullmatch(where)
        canonical = tuple((keyed["rest"] if keyed else where).split("."))
        required, nillable, explains = _facts(element)
        required = required and not keyed and path[-1] != ""
        kind = First if many else Leaf
        leaf = kind(path, canonical, required, nillable, explains, converter, guard)
        if not keyed:
            return leaf
        list_, scope = tuple(keyed["list"].split(".")), Scope([leaf], frozenset())
        return Items(path, list_, scope, {keyed["key"]: (keyed["value"],)}, inline=leaf)

    def _object(self, row: Tree, path: Path, element: Element, *, many: bool) -> Object | Items:
        rows = {key: value for key, value in row.items() if key not in _FORM_KEYS}
        rows |= row.get("rows", {})
        where = {
            k: tuple(v) if isinstance(v, list) else (v,) for k, v in row.get("waar", {}).items()
        }
        prefer = None
        if "kies" in row:
            (key,) = (key for key, value in rows.items() if isinstance(value, list))
            prefer = (key, tuple(rows.pop(key)))
            where = {key: prefer[1]}
        scope = self.scope(self.with_fragments(rows, path), element)
        canonical = tuple(str(row.get("kies") or row["naar"]).split("."))
        if many or prefer or "waar" in row:
            required = element.required or element.wanted or element.least > 0
            having = row.get("met", "")
            return Items(path, canonical, scope, where, many, prefer, None, having, required)
        return Object(path, canonical, *_facts(element), scope)

    def with_fragments(self, row: Tree, path: Path) -> Tree:
        """The rows with those of the fragments they use; a row of its own goes before."""
        rows = {key: value for key, value in row.items() if key != "gebruik"}
        used = row.get("gebruik", {})
        if not isinstance(used, dict):
            for fragment in [used] if isinstance(used, str) else used:
                rows = {**self._fragment(fragment, path), **rows}
            return rows
        for where, fragment in used.items():
            rows[where] = {**self._fragment(fragment, path), **rows.get(where, {})}
        return rows

    def _fragment(self, name: str, path: Path) -> Tree:
        if name not in self.shared.fragments:
            raise self._wrong(path, f"kent geen fragment {name!r}")
        return self.with_fragments(self.shared.fragments[name], path)

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

    def _wrong(self, path: Path, what: str) -> MappingInvalid:
        return MappingInvalid(f"{self.name}: {'/'.join(path)} {what}.")


def _facts(element: Element | None) -> tuple[bool, bool, bool]:
    """Whether it is required, can be nil, and can say why; an attribute is there or not."""
    if element is None:
        return True, False, False
    return element.required or element.wanted, element.nillable, element.reason is not None


def _beside(partner: Path, element: Element, fixed: set[Path]) -> Path:
    """
    The innermost group on the way to a constant that is not made of constants alone: the schema
    asks for a value in it. Empty when there is none.
    """
    found: Path = ()
    for depth, name in enumerate(partner[:-1], 1):
        element, here = element.children[name], partner[:depth]
        others = (c for key, c in element.children.items() if (*here, key) not in fixed)
        asks = (c for c in others if c.wanted and c.name != partner[depth] and not _may_be_empty(c))
        if any(asks):
            found = here
    return found


def _may_be_empty(element: Element) -> bool:
    """Whether the schema takes it without a value in it."""
    asks = (c for c in element.children.values() if c.wanted and not _may_be_empty(c))
    return element.nillable or not (element.leaf or any(asks))


def _required_groups(element: Element, prefix: Path) -> Iterator[Path]:
    for name, child in element.children.items():
        if not child.leaf and not child.repeats:
            if child.required or child.wanted:
                yield (*prefix, name)
            yield from _required_groups(child, (*prefix, name))
