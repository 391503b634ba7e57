"""
What one mapping row does, in both directions.

A row says that a place in the partner's tree and a place in the canonical tree hold the same thing.
`Scope` holds the rows of one pair of objects and walks *the data*, not the rows, both ways: what it
meets and finds no row for is written in the loss account, and time follows the size of the message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.errors import GatewayError, InvalidDocument
from gateway.formats import tree
from gateway.formats.account import Account
from gateway.formats.tree import NIL, TEXT, Converter, Nil, Node, Path, Tree, as_group, get, put

_NOTHING = {NIL: ""}
_NIL_ITEM = "Een voorkomen zonder inhoud is er bij ons niet."
_NIL_GROUP = "Een groep zonder inhoud is bij ons hetzelfde als geen groep."


@dataclass(slots=True)
class Row:
    """One element and one thing of ours; either may be known to have no value."""

    partner: Path
    canonical: Path
    required: bool
    nillable: bool
    explains: bool  # a nil element can say why

    def parse(self, node: Node, out: Tree, path: str, account: Account) -> None:
        if not isinstance(node, dict) or NIL not in node:
            self.parse_value(node, out, path, account)
            return
        for name in node:
            if name != NIL:
                account.partner(f"{path}/{name}")
        self.parse_nil(node[NIL], out)

    def parse_value(self, node: Node, out: Tree, path: str, account: Account) -> None:
        raise AssertionError("every kind of row reads its own values")

    def parse_nil(self, reason: str, out: Tree) -> None:
        if reason or not self.required:
            *above, name = self.canonical
            put(out, (*above, tree.REASONS, name), reason or tree.EMPTY)

    def render_nil(self, reason: str, out: Tree) -> bool:
        """Write that there is no value; False where the document cannot say so."""
        empty = reason == tree.EMPTY
        if not self.nillable or (self.required if empty else not self.explains):
            return False
        # the text of an item that has attributes beside it is nil when the item is
        element = self.partner[:-1] if self.partner[-1] == TEXT else self.partner
        free = get(out, self.partner) is None
        return free and put(out, (*element, NIL), "" if empty else reason)


@dataclass(slots=True)
class Leaf(Row):
    """Text on the partner's side, a value on ours; `guard` decides whether it is written."""

    converter: Converter
    guard: tuple[str, Path] | None

    def parse_value(self, node: Node, out: Tree, path: str, account: Account) -> None:
        group = as_group(node)
        for name in group:
            if name != TEXT and name not in self.converter.attributes:
                account.partner(f"{path}/{name}")
        if not group.get(TEXT) and not self.required:
            return  # an empty optional element says nothing
        value = self.converter.read(group)
        if isinstance(value, Nil):
            self.parse_nil(value.reason, out)
        else:
            put(out, self.canonical, value)

    def render(self, value: Any, out: Tree, path: str, account: Account) -> None:
        if self.converter.fields:
            for key in value.get(tree.REASONS, ()):  # the code says only what has a value
                account.canonical(f"{path}.{tree.REASONS}.{key}")
        node = self.converter.render(value)
        if (node == "" and not self.required) or not put(out, self.partner, node):
            account.canonical(path)  # an empty optional element would be dropped again
        elif self.converter.lossy and self.converter.read(as_group(node)) != value:
            account.canonical(path, how="afgerond")

    def render_nil(self, reason: str, out: Tree) -> bool:
        unknown = self.converter.unknown
        if unknown is None or self.nillable or self.converter.read(unknown) != Nil(reason):
            return Row.render_nil(self, reason, out)
        return put(out, self.partner, dict(unknown))

    def allowed(self, message: Tree) -> bool:
        if self.guard is None:
            return True
        word, field = self.guard
        return (get(message, field) is not None) == (word == "met")

    def excludes(self, other: Leaf) -> bool:
        """Whether never both are allowed: the one `met` what the other is `zonder`."""
        mine, theirs = self.guard, other.guard
        return bool(mine and theirs and mine[0] != theirs[0] and mine[1] == theirs[1])


class First(Leaf):
    """A leaf the schema lets repeat, though there is one value: the first counts, others are lost."""

    __slots__ = ()

    def parse(self, node: Node, out: Tree, path: str, account: Account) -> None:
        for number in range(2, len(node) + 1):
            account.partner(f"{path}[{number}]", "Dit gegeven is er maar een: het eerste geldt.")
        super().parse(node[0], out, path, account)

    def render(self, value: Any, out: Tree, path: str, account: Account) -> None:
        one: Tree = {}
        super().render(value, one, path, account)
        self._write(one, out)

    def render_nil(self, reason: str, out: Tree) -> bool:
        one: Tree = {}
        return super().render_nil(reason, one) and self._write(one, out)

    def _write(self, one: Tree, out: Tree) -> bool:
        node = get(one, self.partner)
        return node is not None and put(out, self.partner, [node])


@dataclass(slots=True)
class Object(Row):
    """An element that is an object of ours."""

    scope: Scope

    def parse_value(self, node: Node, out: Tree, path: str, account: Account) -> None:
        inner: Tree = {}
        put(out, self.canonical, inner)
        self.scope.parse(node, inner, path, account)

    def render(self, value: Tree, out: Tree, path: str, account: Account) -> None:
        inner: Tree = {}
        self.scope.render(value, inner, path, account)
        put(out, self.partner, inner)

    def excludes(self, other: Object) -> bool:
        return False


@dataclass(slots=True)
class Items:
    """
    Elements that are items of a list of ours.

    `where` selects on render, by any of its values; the first is written on parse. `having` is a
    field an item must have. Not `many`: one element, so a second item that matches is lost.
    `prefer` (kies): of the items whose `prefer[0]` is in `prefer[1]`, the first in order is taken.
    `inline`: the item has no element of its own (`vragen[code=X].antwoord`).
    `required`: the schema wants the element, so that nil without a reason says no more than absent.
    """

    partner: Path
    canonical: Path
    scope: Scope
    where: dict[str, tuple[Any, ...]]
    many: bool = False
    prefer: tuple[str, tuple[str, ...]] | None = None
    inline: Leaf | None = None
    having: str = ""
    required: bool = False

    def parse(self, node: Node, out: Tree, path: str, account: Account) -> None:
        nodes = node if isinstance(node, list) else [node]
        for number, one in enumerate(nodes, 1):
            place = f"{path}[{number}]" if len(nodes) > 1 else path
            if self._says_nothing(one):
                if one != _NOTHING or not self.required:
                    account.partner(place, _NIL_ITEM)
                continue
            item: Tree = {key: values[0] for key, values in self.where.items()}
            (self.inline or self.scope).parse(one, item, place, account)
            empty = self.inline and item.keys() <= self.where.keys()
            if empty or (self.having and self.having not in item):
                continue  # an empty element is no such item
            put(out, self.canonical, [])
            get(out, self.canonical).append(item)

    def _says_nothing(self, node: Node) -> bool:
        """Nil, and no field of the item could say so."""
        if self.inline or not isinstance(node, dict) or NIL not in node:
            return False
        return (TEXT,) not in self.scope.elements or (self.required and node == _NOTHING)

    def matches(self, item: Tree) -> bool:
        fits = all(item.get(key) in values for key, values in self.where.items())
        return fits and not self.prefer and (not self.having or self.having in item)

    def best(self, items: list[Tree]) -> tuple[int, int] | None:
        """Rank and number of the item that is preferred."""
        if self.prefer is None:
            return None
        key, order = self.prefer
        fit = ((x, n) for n, x in enumerate(items) if not self.having or self.having in x)
        return min(((order.index(x[key]), n) for x, n in fit if x.get(key) in order), default=None)

    def render(self, item: Tree, out: Tree, path: str, account: Account) -> bool:
        """Write the item; False where it has no place, or another has it already."""
        if not self.many and get(out, self.partner) is not None:
            return False
        inner: Tree = {}
        visible = {key: value for key, value in item.items() if key not in self.where}
        for key, values in self.where.items():
            if item[key] != values[0]:
                account.canonical(f"{path}.{key}", how="afgerond")
        self.scope.render(visible, out if self.inline else inner, path, account)
        if self.inline:
            return get(out, self.partner) is not None
        if self._says_nothing(inner):
            return False
        if not self.many:
            return put(out, self.partner, inner)
        put(out, self.partner, [])
        get(out, self.partner).append(inner)
        return True

    def excludes(self, other: Items) -> bool:
        """Whether no item matches both."""
        shared = self.where.keys() & other.where.keys()
        chosen = self.prefer or other.prefer or self.having != other.having
        apart = (set(self.where[key]).isdisjoint(other.where[key]) for key in shared)
        return bool(chosen) or any(apart)


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
    """A place that always holds the same text in this message; nil is no other text.

    A document with another text is refused; an attribute is entered in the account. The text is
    written where the group `beside` is there; when that is empty, always.
    """

    partner: Path
    value: str
    beside: Path = ()

    def parse(self, node: Node, out: Tree, path: str, account: Account) -> None:
        group = as_group(node)
        for name in group.keys() - {TEXT, NIL}:
            account.partner(f"{path}/{name}")
        if NIL in group:
            if group[NIL]:
                account.partner(f"{path}/@xsi:nil")
        elif self.partner[-1].startswith("@"):
            if node != self.value:
                account.partner(path)
        elif group.get(TEXT) not in ("", self.value):  # left empty, the schema has it fixed
            raise InvalidDocument("De waarde is niet de vaste waarde van dit bericht.")


Mapped = Leaf | Object | Items
Placement = Mapped | Drop | Const


class Scope:
    """The rows of one pair of objects, indexed from both sides."""

    __slots__ = ("elements", "fields", "groups", "placements", "required_groups")

    def __init__(self, placements: list[Placement], required_groups: frozenset[Path]) -> None:
        self.placements = placements
        self.required_groups = required_groups
        self.elements = {row.partner: row for row in placements}
        self.groups = {row.partner[:n] for row in placements for n in range(1, len(row.partner))}
        self.fields: dict[Path, list[Mapped]] = {}  # of a prefix of fields: nothing
        for row in placements:
            if not isinstance(row, Drop | Const):
                for n in range(1, len(row.canonical)):
                    self.fields.setdefault(row.canonical[:n], [])
                self.fields.setdefault(row.canonical, []).append(row)

    def parse(self, node: Node, out: Tree, path: str, account: Account, group: Path = ()) -> None:
        """Read the partner's `node`, whose tree decides what is visited, into the object `out`."""
        for name, child in as_group(node).items():
            place, here = (*group, name), f"{path}/{name}" if path else name
            if row := self.elements.get(place):
                try:
                    row.parse(child, out, here, account)
                except GatewayError as error:
                    error.path = error.path or here
                    raise
            elif place in self.groups:
                self.parse(child, out, here, account, place)
            elif name != NIL:
                account.partner(here)
            elif isinstance(text := self.elements.get((*group, TEXT)), Leaf):
                text.parse_nil(child, out)
            elif child or group not in self.required_groups:
                account.partner(f"{path}/@xsi:nil", _NIL_GROUP)
            # nil without a reason on a required group says no more than an empty group

    def render(self, value: Tree, out: Tree, path: str, account: Account) -> None:
        """Write the canonical object `value` into the partner's node `out`."""
        self._render((), value, value, out, path, account)
        fixed = (row for row in self.placements if isinstance(row, Const))
        for row in sorted(fixed, key=lambda row: len(row.beside)):
            if get(out, row.beside) is not None:
                put(out, row.partner, row.value)

    def _render(
        self, group: Path, value: Tree, whole: Tree, out: Tree, path: str, account: Account
    ) -> None:
        for key, child in value.items():
            place, here = (*group, key), f"{path}.{key}" if path else key
            rows = self.fields.get(place)
            if key == tree.REASONS:
                self._render_reasons(group, child, whole, out, here, account)
            elif rows is None:
                account.canonical(here)
            elif isinstance(child, list):
                items = [row for row in rows if isinstance(row, Items)]
                _render_items(items, child, out, here, account)
            elif row := next((row for row in rows if _takes(row, child, whole)), None):
                try:
                    row.render(child, out, here, account)
                except GatewayError as error:
                    error.path = error.path or here
                    raise
            elif isinstance(child, dict) and child:
                self._render(place, child, whole, out, here, account)
            else:
                account.canonical(here)

    def _render_reasons(
        self, group: Path, reasons: Tree, whole: Tree, out: Tree, path: str, account: Account
    ) -> None:
        for key, reason in reasons.items():
            found = self.fields.get((*group, key), [])
            rows = [row for row in found if not isinstance(row, Leaf) or row.allowed(whole)]
            if not any(isinstance(row, Row) and row.render_nil(reason, out) for row in rows):
                account.canonical(f"{path}.{key}")


def _takes(row: Mapped, child: Any, whole: Tree) -> bool:
    if isinstance(child, dict):
        return isinstance(row, Object) or (isinstance(row, Leaf) and bool(row.converter.fields))
    return isinstance(row, Leaf) and row.allowed(whole)


def _render_items(
    rows: list[Items], items: list[Tree], out: Tree, path: str, account: Account
) -> None:
    chosen: dict[int, Items] = {}
    for row in rows:
        if best := row.best(items):
            chosen[best[1]] = row
    for number, item in enumerate(items):
        here = f"{path}[{number}]"
        fitting = chosen.get(number) or next((row for row in rows if row.matches(item)), None)
        if fitting is None or not fitting.render(item, out, here, account):
            account.canonical(
                here, otherwise="Dit bericht heeft hier plaats voor minder, of anders."
            )
