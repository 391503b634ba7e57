"""The shape of an XML document as a tree of frozen elements, compiled from its XSD."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """
    One element declaration in its place.

    `required`: the schema wants it in every document; `wanted`: as soon as a sibling is there.
    `collapse`: white space around the text means nothing. Keys of `children` are prefixed names, of
    attributes prefixed names after an `@` (`@naam` when unqualified); `attributes` are all that are
    not fixed, also those with a default. `reason` is the attribute that says why it is nil.
    """

    name: str
    tag: str
    required: bool
    wanted: bool
    repeats: bool
    nillable: bool
    leaf: bool
    collapse: bool
    children: Mapping[str, Element]
    fixed: Mapping[str, str]
    defaults: Mapping[str, str]
    attributes: tuple[str, ...]
    reason: str | None
    namespaces: Mapping[str, str] = field(repr=False)
    by_tag: Mapping[str, Element] = field(repr=False)
    attribute_by_tag: Mapping[str, str] = field(repr=False)


def structure(path: str | Path, root: str, prefixes: Mapping[str, str]) -> Element:
    """
    The structure of root element `root` (prefixed) in the schema at `path`, compiled once.

    Not for recursive types (RecursionError), wildcards (skipped) and a name declared twice in one
    content model (ValueError): no message of ours has them. An unknown root is a KeyError.
    """
    return _compiled(str(path), root, tuple(prefixes.items()))


@lru_cache(maxsize=64)  # more than the message types of all dialects together
def _compiled(path: str, root: str, prefixes: tuple[tuple[str, str], ...]) -> Element:
    from xmlschema import XMLSchema10  # up to 0.9 s to import: only for who maps

    prefix, _, local = root.rpartition(":")
    declared = XMLSchema10(path, allow="local").maps.elements
    return _element(declared[f"{{{dict(prefixes)[prefix]}}}{local}"], True, True, False, prefixes)


def _element(
    xsd: Any, required: bool, wanted: bool, repeats: bool, prefixes: tuple[tuple[str, str], ...]
) -> Element:
    prefix_of = {namespace: prefix for prefix, namespace in prefixes}

    def name(tag: str) -> str:
        namespace, brace, local = tag.rpartition("}")
        return f"{prefix_of[namespace[1:]]}:{local}" if brace else tag

    leaf: bool = xsd.type.is_simple() or xsd.type.has_simple_content()
    text: Any = (xsd.type if xsd.type.is_simple() else xsd.type.content) if leaf else None
    parts = () if leaf else tuple(_parts(xsd.type.content, True, True, False))
    children = {name(part[0].name): _element(*part, prefixes) for part in parts}
    if len(children) < len(parts):
        raise ValueError(f"{name(xsd.name)} declares a name twice")
    declared = {} if xsd.type.is_simple() else {t: a for t, a in xsd.type.attributes.items() if t}
    keys = {tag: f"@{name(tag)}" for tag in declared}
    fixed = {keys[t]: a.fixed for t, a in declared.items() if a.fixed is not None}
    attributes = tuple(key for key in keys.values() if key not in fixed)
    spaces = {xsd.target_namespace, *(tag[1:].partition("}")[0] for tag in declared)}
    spaces.update(space for child in children.values() for space in child.namespaces.values())
    return Element(
        name=name(xsd.name),
        tag=xsd.name,
        required=required,
        wanted=wanted,
        repeats=repeats,
        nillable=xsd.nillable,
        leaf=leaf,
        collapse=leaf and text.white_space == "collapse",
        children=children,
        fixed=fixed,
        defaults={keys[t]: a.default for t, a in declared.items() if a.default is not None},
        attributes=attributes,
        reason=next((a for a in attributes if a.endswith("noValue")), None),  # StUF 3.01 §3.4
        namespaces={prefix: space for prefix, space in prefixes if space in spaces},
        by_tag={child.tag: child for child in children.values()},
        attribute_by_tag=keys,
    )


def _parts(
    group: Any, required: bool, wanted: bool, repeats: bool
) -> Iterator[tuple[Any, bool, bool, bool]]:
    """The elements of a content model, with `required`, `wanted` and `repeats`."""
    only_way = group.model != "choice" or len(group) == 1
    required = required and only_way and group.min_occurs > 0
    repeats = repeats or group.max_occurs != 1
    for part in group:
        must = part.min_occurs > 0
        must_be, must_follow = required and must, wanted and only_way and must
        if hasattr(part, "model"):
            yield from _parts(part, must_be, must_follow, repeats)
        elif part.name:
            yield part, must_be, must_follow, repeats or part.max_occurs != 1


def leaves(element: Element, path: str = "") -> Iterator[str]:
    """The path of every leaf and of every attribute that is not fixed, relative to `element`."""
    yield from (f"{path}{attribute}" for attribute in element.attributes)
    for name, child in element.children.items():
        if child.leaf:
            yield f"{path}{name}"
        yield from leaves(child, f"{path}{name}/")
