"""
The shape of a JSON document as a tree of frozen elements, compiled from its JSON Schema.

The same elements as those of an XSD (`gateway.formats.structure`), so that one engine of mappings
serves both. A schema of ours uses `type`, `properties`, `items`, `required`, `const`, `$ref` to its own
`$defs`, and two words of our own: `altijd` (the field is written, also when it has no value) and
`geenWaarde` (a field `x` without value may say why under `_x`; on the whole, or false on one field).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.errors import NotExpressible
from gateway.formats.structure import Element
from gateway.formats.tree import NIL, TEXT, Tree, as_group

Schema = Mapping[str, Any]


def resolved(schema: Any, definitions: Schema) -> Any:
    """
    The schema with every `$ref` replaced by what it names; what stands beside a `$ref` goes before.

    Not for recursive ones (RecursionError).
    """
    if isinstance(schema, list):
        return [resolved(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        named = definitions[reference.rpartition("/")[2]]
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return resolved({**named, **beside}, definitions)
    return {key: resolved(value, definitions) for key, value in schema.items() if key != "$defs"}


def structure(schema: Schema) -> Element:
    """The structure of a document that this resolved schema describes; `title` is its name."""
    reasons = schema.get("geenWaarde", False)
    return _element(schema["title"], schema, reasons=reasons, required=True)


def _element(name: str, schema: Schema, *, reasons: bool, required: bool) -> Element:
    repeats = schema.get("type") == "array"
    item = schema["items"] if repeats else schema
    must = item.get("required", ())
    children = {
        key: _element(key, one, reasons=reasons, required=key in must or one.get("altijd", False))
        for key, one in item.get("properties", {}).items()
        if "const" not in one and not one.get("readOnly")  # the schema says it, no mapping does
    }
    kind = item.get("type", "string")
    leaf = kind != "object"
    reasons = reasons and item.get("geenWaarde", True)
    null = isinstance(kind, list) and "null" in kind
    return Element(
        name,
        tag=str(next(k for k in kind if k != "null") if null else kind),
        required=required,
        wanted=required,
        repeats=repeats,
        nillable=reasons or null,
        leaf=leaf,
        children=children,
        reason="_" if reasons else None,
    )


def to_tree(value: Any, element: Element) -> Any:
    """The neutral tree of a validated JSON value. What the schema does not know is passed over."""
    if element.leaf:
        return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    tree: Tree = {}
    for name, child in element.children.items():
        found = value.get(name)
        if found is None:
            if f"_{name}" in value or (name in value and child.nillable):
                tree[name] = {NIL: value.get(f"_{name}", "")}
        elif child.repeats:
            tree[name] = [to_tree(one, child) for one in found]
        else:
            tree[name] = to_tree(found, child)
    return tree


def to_json(tree: Any, element: Element, path: str = "") -> Any:
    """
    The JSON value of a tree, in the order of the schema.

    Raises NotExpressible for a required value that is missing where nothing can say so.
    """
    if element.leaf:
        text = as_group(tree).get(TEXT, "")
        if element.tag == "boolean":
            return text == "true"
        return {"integer": int, "number": float}.get(element.tag, str)(text)
    out: dict[str, Any] = {}
    for name, child in element.children.items():
        found, here = tree.get(name), f"{path}.{name}".lstrip(".")
        if found is None and child.required:
            if child.leaf and not child.nillable:
                raise NotExpressible("Een verplicht veld heeft geen waarde.", path=here)
            found = {NIL: ""} if child.leaf else [] if child.repeats else {}
        if isinstance(found, dict) and NIL in found:
            if child.reason:
                out[f"_{name}"] = found[NIL]
            else:
                out[name] = None
        elif child.repeats and found is not None:
            out[name] = [to_json(one, child, f"{here}[{n}]") for n, one in enumerate(found)]
        elif found is not None:
            out[name] = to_json(found, child, here)
    return out
