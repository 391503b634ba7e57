"""
What one mapping row does, in both directions.

A row says that a place in the partner's tree and a place in the canonical tree hold the same thing.
`Scope` holds the rows of one pair of objects and walks *the data*, not the rows, in either direction:
what it meets and finds no row for is lost, and is written in the loss account. So nothing can
disappear without an entry, and the time taken follows the size of the message.

The partner tree is described in `gateway.formats.structure`; the canonical tree is plain JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import GatewayError, InvalidDocument
from gateway.formats.tree import (
    EMPTY,
    NIL,
    REASONS,
    TEXT,
    Converter,
    Nil,
    Node,
    Path,
    Tree,
    as_group,
    get,
    put,
    put_list,
)
from gateway.ports import Loss

_INDEX = re.compile(r"\[[0-9]+\]")


class Account:
    """Collects what was lost in one translation; knows the reasons a mapping gives beforehand."""

    __slots__ = ("_categories", "_reasons", "entries")

    def __init__(self, reasons: dict[str, str], categories: dict[str, str]) -> None:
        self.entries: list[Loss] = []
        self._reasons = reasons
        self._categories = categories

    def partner(self, path: str, reason: str = "", category: str = "geen") -> None:
        """Something of the partner's document without a place in ours."""
        known = reason or self._reasons.get(path.rpartition("/")[2], "")
        self.entries.append(Loss(path.lstrip("/"), category, "weg", known))

    def canonical(self, path: str, *, how: str = "weg") -> None:
        """Something of ours without a place in the partner's document."""
        plain = _INDEX.sub("", path)
        category = self._categories.get(plain, "geen")
        below = {c for p, c in self._categories.items() if p.startswith(plain + ".")} - {"geen"}
        if below:
            category = ",".join(sorted(below))
        reason = next((r for p, r in self._reasons.items() if f"{plain}.".startswith(f"{p}.")), "")
        self.entries.append(Loss(path, category, how, reason))


@dataclass(slots=True)
class Leaf:
    """Text on the partner's side, a value on ours; `guard` decides whether it is written."""

    partner: Path
    canonical: Path
    converter: Converter
    guard: tuple[str, Path] | None
    required: bool
    nillable: bool
    explains: bool  # a nil element can say why

    def parse(self, node: Node, out: Tree, path: str, account: Account) -> None:
        if isinstance(node, str):
            text, attributes = node, {}
        else:
            attributes = node
            read = () if NIL in node else self.converter.attributes
            for name in node:
                if name[:1] == "@" and name not in read:
                    account.partner(f"{path}/{name}")
            if NIL in node:
                self.parse_nil(node[NIL], out)
                return
            text = node.get(TEXT, "")
        if not text and not self.required:
            return  # an empty optional element says nothing
        try:
            value = self.converter.parse(text, attributes)
        except GatewayError as error:
            error.path = error.path or path.lstrip("/")
            raise
        if isinstance(value, Nil):
            self.parse_nil(value.reason, out)
        else:
            put(out, self.canonical, value)

    def parse_nil(self, reason: str, out: Tree) -> None:
        if reason or not self.required:
            put(out, (*self.canonical[:-1], REASONS, self.canonical[-1]), reason or EMPTY)

    def render(self, value: Any, out: Tree, path: str, account: Account) -> None:
        try:
            node = self.converter.render(value)
        except GatewayError as error:
            error.path = error.path or path
            raise
        if (node == "" and not self.required) or not put(out, self.partner, node):
            account.canonical(path)  # an empty optional element would be dropped again
        elif self.converter.lossy and self._back(node) != value:
            account.canonical(path, how="afgerond")

    def _back(self, node: Node) -> Any:
        if isinstance(node, str):
            return self.converter.parse(node, {})
        return self.converter.parse(node.get(TEXT, ""), node)


@dataclass(slots=True)
class Object:
    """An element that is an object of ours."""

    partner: Path
    canonical: Path
    scope: Scope
    required: bool
    nillable: bool
    explains: bool  # a nil element can say why

    def parse(self, node: Node, out: Tree, path: str, account: Account) -> None:
        if isinstance(node, dict) and NIL in node:
            for name in node:
                if name != NIL:
                    account.partner(f"{path}/{name}")
            if node[NIL] or not self.required:
                put(out, (*self.canonical[:-1], REASONS, self.canonical[-1]), node[NIL] or EMPTY)
            return
        inner: Tree = {}
        put(out, self.canonical, inner)
        self.scope.parse(as_group(node), inner, path, account)

    def render(self, value: Tree, out: Tree, path: str, account: Account) -> None:
        inner: Tree = {}
        self.scope.render(value, inner, path, account)
        put(out, self.partner, inner)


@dataclass(slots=True)
class Items:
    """
    Elements that are items of a list of ours.

    `where` is written on parse and selects on render. Not `many`: one element, so a second item that
    matches is lost. `prefer` (kies): of the items whose `prefer[0]` is in `prefer[1]`, the first in
    that order is taken. `inline`: the item has no element of its own (`vragen[code=X].antwoord`).
    """

    partner: Path
    canonical: Path
    scope: Scope
    where: dict[str, Any] = field(default_factory=dict)
    many: bool = True
    prefer: tuple[str, tuple[str, ...]] | None = None
    inline: bool = False

    def parse(self, node: Node, out: Tree, path: str, account: Account) -> None:
        items = put_list(out, self.canonical)
        nodes = node if isinstance(node, list) else [node]
        for number, one in enumerate(nodes, 1):
            item: Tree = dict(self.where)
            if self.prefer:
                item[self.prefer[0]] = self.prefer[1][0]
            items.append(item)
            if self.inline:
                parent = path.rpartition("/")[0]
                self.scope.parse({self.partner[-1]: one}, item, parent, account)
            else:
                place = f"{path}[{number}]" if len(nodes) > 1 else path
                self.scope.parse(as_group(one), item, place, account)

    def matches(self, item: Tree) -> bool:
        if self.prefer:
            return item.get(self.prefer[0]) in self.prefer[1]
        return all(item.get(key) == value for key, value in self.where.items())

    def render(self, item: Tree, out: Tree, path: str, account: Account) -> bool:
        hidden = {*self.where, *(self.prefer[:1] if self.prefer else ())}
        visible = {k: v for k, v in item.items() if k not in hidden} if hidden else item
        if self.inline:
            if get(out, self.partner) is not None:
                return False
            self.scope.render(visible, out, path, account)
            return True
        inner: Tree = {}
        self.scope.render(visible, inner, path, account)
        if self.many:
            put_list(out, self.partner).append(inner)
            return True
        return put(out, self.partner, inner)


@dataclass(frozen=True, slots=True)
class Drop:
    """A place that has no meaning for us, with the reason."""

    partner: Path
    reason: str
    category: str

    def parse(self, node: Node, out: Tree, path: str, account: Account) -> None:
        account.partner(path, self.reason, self.category)


@dataclass(frozen=True, slots=True)
class Const:
    """A place that always holds the same text in this message."""

    partner: Path
    value: str

    def parse(self, node: Node, out: Tree, path: str, account: Account) -> None:
        if (node if isinstance(node, str) else node.get(TEXT)) != self.value:
            raise InvalidDocument(
                "De waarde is niet de vaste waarde van dit bericht.", path=path.lstrip("/")
            )


Placement = Leaf | Object | Items | Drop | Const


class Entry:
    """The rows of one canonical key."""

    __slots__ = ("below", "items", "leaves", "objects")

    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self.objects: list[Object] = []
        self.items: list[Items] = []
        self.below: dict[str, Entry] = {}


class Scope:
    """The rows of one pair of objects, indexed from both sides."""

    __slots__ = ("constants", "elements", "keys", "required_groups")

    def __init__(self, placements: list[Placement], required_groups: frozenset[Path]) -> None:
        self.elements: Tree = {}  # trie by partner name
        self.keys: dict[str, Entry] = {}  # trie by canonical key
        self.constants = [p for p in placements if isinstance(p, Const)]
        self.required_groups = required_groups
        for placement in placements:
            put(self.elements, placement.partner, placement)
            if isinstance(placement, Drop | Const):
                continue
            keys = self.keys
            for key in placement.canonical:
                entry = keys.setdefault(key, Entry())
                keys = entry.below
            if isinstance(placement, Leaf):
                entry.leaves.append(placement)
            elif isinstance(placement, Object):
                entry.objects.append(placement)
            else:
                entry.items.append(placement)

    # -- parse: the partner's tree decides what is visited

    def parse(self, node: Tree, out: Tree, path: str, account: Account) -> None:
        """Read the partner's `node` into the canonical object `out`."""
        self._parse(self.elements, (), node, out, path, account)

    def _parse(
        self, rows: Tree, group: Path, node: Tree, out: Tree, path: str, account: Account
    ) -> None:
        for name, child in node.items():
            row = rows.get(name)
            if row is None:
                if name != NIL:
                    account.partner(f"{path}/{name}")
                elif TEXT in rows:
                    rows[TEXT].parse_nil(child, out)
                elif child or group not in self.required_groups:
                    account.partner(f"{path}/@xsi:nil")
                # nil without a reason on a required group says no more than an empty group
            elif type(row) is dict:
                inner = as_group(child)
                self._parse(row, (*group, name), inner, out, f"{path}/{name}", account)
            else:
                row.parse(child, out, f"{path}/{name}", account)

    # -- render: the canonical tree decides what is visited

    def render(self, value: Tree, out: Tree, path: str, account: Account) -> None:
        """Write the canonical object `value` into the partner's node `out`."""
        for constant in self.constants:
            put(out, constant.partner, constant.value)
        self._render(self.keys, value, value, out, path, account)

    def _render(
        self,
        keys: dict[str, Entry],
        value: Tree,
        scope: Tree,
        out: Tree,
        path: str,
        account: Account,
    ) -> None:
        for key, child in value.items():
            here = f"{path}.{key}" if path else key
            if key == REASONS:
                _render_reasons(keys, child, out, here, account)
                continue
            entry = keys.get(key)
            if entry is None:
                account.canonical(here)
            elif isinstance(child, list):
                _render_items(entry, child, out, here, account)
            elif isinstance(child, dict):
                if entry.objects:
                    entry.objects[0].render(child, out, here, account)
                elif entry.below and child:
                    self._render(entry.below, child, scope, out, here, account)
                else:
                    account.canonical(here)
            else:
                leaf = next((x for x in entry.leaves if _allowed(x.guard, scope)), None)
                if leaf is None:
                    account.canonical(here)
                else:
                    leaf.render(child, out, here, account)


def _render_items(
    entry: Entry, children: list[Any], out: Tree, path: str, account: Account
) -> None:
    chosen: dict[int, Items] = {}
    for rows in entry.items:
        if rows.prefer:
            key, order = rows.prefer
            fitting = [i for i, child in enumerate(children) if rows.matches(child)]
            if fitting:
                best = min(fitting, key=lambda i: order.index(children[i][key]))
                chosen[best] = rows
                if children[best][key] != order[0]:
                    account.canonical(f"{path}[{best}].{key}", how="afgerond")
    for number, child in enumerate(children):
        here = f"{path}[{number}]"
        rows_of = chosen.get(number) or next(
            (x for x in entry.items if not x.prefer and x.matches(child)), None
        )
        if rows_of is None or not rows_of.render(child, out, here, account):
            account.canonical(here)


def _render_reasons(
    keys: dict[str, Entry], reasons: Tree, out: Tree, path: str, account: Account
) -> None:
    for key, reason in reasons.items():
        entry = keys.get(key)
        rows: list[Leaf | Object] = [*entry.leaves, *entry.objects] if entry else []
        if not any(_put_nil(row, reason, out) for row in rows):
            account.canonical(f"{path}.{key}")


def _put_nil(row: Leaf | Object, reason: str, out: Tree) -> bool:
    if not row.nillable or (row.required if reason == EMPTY else not row.explains):
        return False
    node = {NIL: "" if reason == EMPTY else reason}
    if row.partner[-1] == TEXT:  # the text of an item that has attributes beside it
        return put(out, (*row.partner[:-1], NIL), node[NIL])
    return put(out, row.partner, node)


def _allowed(guard: tuple[str, Path] | None, scope: Tree) -> bool:
    if guard is None:
        return True
    return (get(scope, guard[1]) is not None) == (guard[0] == "met")
