"""
A JSON dialect made of files: schemas, mappings and nothing else.

Its documents are CloudEvents with their content in `data`. Three keywords in our schemas tell what a
JSON Schema cannot:

    x-gemaakt     the writer makes it: `uuid` or `urn` (both follow from the id of the event and the
                  place in the document), or the name of a field of the object around it
    x-een         a list of which our side has room for one
    x-verplicht   an empty text does not say that there is none

A required text without any other rule may be empty, and then says that there is none. A `pattern`
with named groups is a text of several parts, each percent-encoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping as Table
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, unquote
from uuid import NAMESPACE_URL, uuid5

import orjson

from gateway import errors
from gateway.formats import codes, jsondoc
from gateway.formats.dialect import compiled, demand_total, parsed
from gateway.formats.jsontree import resolved
from gateway.formats.mapping import Mapping
from gateway.formats.structure import Element
from gateway.formats.tree import Converter, Tree
from gateway.model import schrijf
from gateway.model.envelop import Bericht
from gateway.model.gebeurtenis import MEDIA_TYPE
from gateway.ports import Parsed, Rendered
from gateway.resources import folder

UNKNOWN = "?"  # in a tree: there were fields that the schema does not know
_RULES = frozenset({"pattern", "enum", "minLength", "format", "x-verplicht"})
_GROUP = re.compile(r"\(\?<(\w+)>[^()]*\)")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,15}", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """A place in a JSON document: its schema, and the element the mapping engine knows it as."""

    element: Element
    schema: Table[str, Any]  # of an item, when it is a list
    children: Table[str, Shape]
    required: bool
    listed: bool  # a list in JSON; when `element` does not repeat, of one
    parts: re.Pattern[str] | None


def shape(name: str, schema: Table[str, Any], *, required: bool = True) -> Shape:
    """The shape of a resolved schema."""
    listed = schema["type"] == "array"
    one = schema["items"] if listed else schema
    pattern = one.get("pattern", "")
    parts = re.compile(pattern.replace("(?<", "(?P<")) if _GROUP.search(pattern) else None
    inside = one.get("properties") or dict.fromkeys(parts.groupindex if parts else (), _TEXT)
    children = {
        key: shape(key, value, required=key in one.get("required", ()))
        for key, value in inside.items()
    }
    element = Element(
        *(name, name, False, False, listed and not schema.get("x-een"), False),
        leaf=not children,
        children={key: child.element for key, child in children.items()},
    )
    return Shape(element, one, children, required, listed, parts)


_TEXT: dict[str, Any] = {"type": "string"}


def to_tree(value: Any, spec: Shape, path: str = "$") -> Any:
    """
    The neutral tree of a validated value; None for null, and for an object that says nothing.

    Raises InvalidDocument for a second item where our side has room for one.
    """
    if spec.listed:
        items = [item for one in value if (item := _one(one, spec, path)) is not None]
        if spec.element.repeats:
            return items or None
        if len(items) > 1:
            raise errors.InvalidDocument("De gateway heeft hier plaats voor een.", path=path)
        return next(iter(items), None)
    return _one(value, spec, path)


def _one(value: Any, spec: Shape, path: str) -> Any:
    if value is None:
        return None
    if spec.parts and (found := spec.parts.fullmatch(value)):
        return {name: unquote(part) for name, part in found.groupdict().items()}
    if not spec.children:
        return _text(value)
    tree: Tree = {}
    says = False
    for name, one in value.items():
        if child := spec.children.get(name):
            inner = to_tree(one, child, f"{path}.{name}")
            if inner is not None:
                tree[name] = inner
                says = says or (inner != "" and "x-gemaakt" not in child.schema)
        else:
            tree[UNKNOWN], says = "", True
    return tree if says or spec.listed else None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(int(value))  # JSON Schema: 12.0 is an integer


def to_json(tree: Tree, spec: Shape, seed: str) -> Any:
    """
    The value of a tree. What the writer makes follows from `seed` and the place, so that the same
    tree is the same document. Raises NotExpressible for a required value that is missing.
    """
    return _written(tree, spec, "", {}, seed)


def _written(node: Any, spec: Shape, path: str, above: Tree, seed: str) -> Any:
    if spec.parts:
        names = _GROUP.findall(spec.schema["pattern"])
        if lacking := [name for name in names if not node.get(name)]:
            raise errors.NotExpressible(
                "Een deel van dit adres ontbreekt.", path=f"{path}/{lacking[0]}"
            )
        return _GROUP.sub(lambda m: quote(node[m[1]], safe=""), spec.schema["pattern"].strip("^$"))
    if not spec.children:
        return _scalar(node, spec.schema["type"], path)
    out: Tree = {}
    for name, child in spec.children.items():
        place, inner = f"{path}/{name}", node.get(name)
        if inner is None and not child.required:
            continue
        if inner is None:
            out[name] = _missing(child, place, above, out, seed)
        elif child.element.repeats:
            out[name] = [
                _written(one, child, f"{place}[{number}]", out, seed)
                for number, one in enumerate(inner, 1)
            ]
        else:
            one = _written(inner, child, place, out, seed)
            out[name] = [one] if child.listed else one
    return out


def _scalar(text: str, kind: str | list[str], path: str) -> Any:
    if kind == "boolean":
        return text == "true"
    if kind == "integer":
        if not _INTEGER.fullmatch(text):
            raise errors.NotExpressible("Dit veld is een getal zonder meer.", path=path)
        return int(text)
    return text


def _missing(spec: Shape, path: str, above: Tree, out: Tree, seed: str) -> Any:
    made = spec.schema.get("x-gemaakt")
    if made in ("uuid", "urn"):
        unique = uuid5(NAMESPACE_URL, f"{seed}#{path}")
        return unique.urn if made == "urn" else str(unique)
    if made:
        return above[made]
    if spec.listed:
        return []
    if spec.children and not spec.parts:
        return _written({}, spec, path, out, seed)
    if spec.schema["type"] == "string" and _RULES.isdisjoint(spec.schema):
        return ""
    raise errors.NotExpressible("Een verplicht veld heeft geen waarde.", path=path)


@dataclass(frozen=True)
class Content:
    """
    One kind of event with its content: `root` names schema and mapping, `event` is its type.

    `opened` rearranges a document before the engine sees it, `closed` one that it made, and `widened`
    the resolved schema in the same way; each may change what it is given.
    """

    root: str
    event: str
    opened: Callable[[Any], Any] = lambda event: event
    closed: Callable[[Any], Any] = lambda event: event
    widened: Callable[[Any], Any] = lambda schema: schema


@dataclass(frozen=True)
class JsonDialect:
    """
    A ports.Dialect of JSON. All it knows stands in `schemas/<name>/`: `cloudevent.json` and a
    `<root>.json` each, and in `mappings/<name without version>/`.

    `normal` brings an event to the one spelling that the schemas know.
    """

    name: str
    contents: tuple[Content, ...]
    converters: Table[str, Converter]
    normal: Callable[[dict[str, Any]], dict[str, Any]]

    def load(self) -> None:
        """Raises SchemaMissing, and MappingInvalid, also for a leaf no mapping speaks of."""
        _ = self._schemas
        demand_total(self.mappings.values())

    def recognises(self, document: bytes) -> str | None:
        """Raises what `jsondoc.read` raises for JSON that is unsafe or not well-formed."""
        if document.lstrip(b" \t\r\n")[:1] != b"{":
            return None
        found = self._content(self.normal(jsondoc.read(document)))
        return found.root if found else None

    def validate(self, document: bytes) -> None:
        self._valid(document)

    def parse(self, document: bytes) -> Parsed:
        event, found = self._valid(document)
        tree = to_tree(found.opened(event), self.shapes[found.root])
        return parsed(self.name, found.root, self.mappings[found.root], tree)

    def render(self, bericht: Bericht, root: str = "") -> Rendered:
        say_it = (c for c in self.contents if self.mappings[c.root].soort == bericht.soort)
        found = next((c for c in say_it if root in ("", c.root)), None)
        if found is None:
            raise errors.NotExpressible(f"{self.name} kent geen {root or bericht.soort}.")
        tree, loss = self.mappings[found.root].render(schrijf(bericht))
        event = found.closed(to_json(tree, self.shapes[found.root], bericht.id))
        try:
            self._schemas[found.root].validate(event)
        except errors.InvalidDocument as error:
            raise errors.NotExpressible(error.detail, path=error.path) from error
        return Rendered(self.name, found.root, MEDIA_TYPE, orjson.dumps(event), tuple(loss))

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """By root."""
        return {
            c.root: shape(c.root, c.widened(resolved(schema, schema["$defs"])))
            for c in self.contents
            for schema in (self._schema(c.root),)
        }

    @cached_property
    def mappings(self) -> dict[str, Mapping]:
        """By root."""
        shapes = {root: shape.element for root, shape in self.shapes.items()}
        base = folder("mappings") / self.name.partition("/")[0]
        return compiled(base, shapes, self.known)

    @cached_property
    def known(self) -> dict[str, Converter]:
        """Every conversion its rows can name."""
        return {**codes.tables(), **self.converters}

    def _valid(self, document: bytes) -> tuple[dict[str, Any], Content]:
        event = self.normal(jsondoc.read(document))
        found = self._content(event)
        if found is None:
            raise errors.UnknownDocument("Het veld `type` noemt geen gebeurtenis met inhoud.")
        self._schemas[found.root].validate(event)
        return event, found

    def _content(self, event: Any) -> Content | None:
        said = event.get("type") if isinstance(event, dict) else None
        return next((c for c in self.contents if c.event == said), None)

    @cached_property
    def _schemas(self) -> dict[str, jsondoc.JsonSchema]:
        return {c.root: jsondoc.JsonSchema(self._schema(c.root)) for c in self.contents}

    def _schema(self, root: str) -> dict[str, Any]:
        """The schema of an event with this content."""
        base = folder("schemas").joinpath(*self.name.split("/"))
        try:
            event, content = (
                orjson.loads((base / f"{name}.json").read_bytes()) for name in ("cloudevent", root)
            )
        except (OSError, orjson.JSONDecodeError) as error:
            raise errors.SchemaMissing(f"{self.name}: schema {root} is niet te lezen.") from error
        properties = {**event["properties"], "data": {"$ref": f"#/$defs/{root}"}}
        return {**event, "properties": properties, "$defs": content["$defs"]}
