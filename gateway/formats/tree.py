"""The neutral tree a document is read into, and the converters between its texts and our values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Node = Any  # str, or dict of child name -> Node | list[Node]
Tree = dict[str, Any]
Path = tuple[str, ...]

NIL = "!"  # key of a nil element: its reason
TEXT = ""  # key of the text of an element that also has attributes
ANY = "*"  # key that says there were elements the schema does not name
REASONS = "geenWaarde"  # canonical key: absent field -> reason
EMPTY = "leeg"  # canonical reason for nil without a reason, where the element was optional


@dataclass(frozen=True, slots=True)
class Nil:
    """Returned by a converter for a text that says there is no value."""

    reason: str


@dataclass(frozen=True, slots=True)
class Converter:
    """
    An invertible pair. `parse` gets a node's text and the node's attributes; `render` the value.

    With `lossy`, a value that does not come back the same is entered in the account as `afgerond`.
    With `fields` the value is an object of these fields. `unknown` is a node that says by itself that
    the value is unknown, for where the element cannot be nil.
    """

    parse: Callable[[str, Tree], Any]
    render: Callable[[Any], Node]
    attributes: frozenset[str] = frozenset()
    lossy: bool = False
    fields: tuple[str, ...] = ()
    unknown: Node = field(default=None, compare=False)

    def read(self, group: Tree) -> Any:
        """The value of a node, as a group."""
        return self.parse(group.get(TEXT, ""), group)


TEKST = Converter(lambda text, _: text, lambda value: value)


def as_group(node: Node) -> Tree:
    """A node as a group: text alone stands under its own key."""
    return node if isinstance(node, dict) else {TEXT: node}


def get(tree: Tree, path: Path) -> Any:
    """What stands at the path, or None."""
    here: Any = tree
    for name in path:
        if not isinstance(here, dict) or name not in here:
            return None
        here = here[name]
    return here


def put(tree: Tree, path: Path, value: Any) -> bool:
    """Write at the path, making what is missing on the way; False when something stands there."""
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    if path[-1] in tree:
        return False
    tree[path[-1]] = value
    return True
