"""The shape of an XML document as a tree of frozen elements, compiled from its XSD."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

Occurs = tuple[bool, bool, bool]  # required, wanted, repeats: see Element
Derived = Mapping[str, list[Any]]  # by the name of a type


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """
    One element declaration in its place.

    `required`: the schema wants it in every document; `wanted`: as soon as a sibling is there.
    `collapse`: white space around the text means nothing. Keys of `children` are prefixed names, of
    attributes prefixed names after an `@` (`@naam` when unqualified); `attributes` are all that are
    not fixed, also those with a default. `reason` is the attribute that says why it is nil. `open`: the
    schema allows any other element in it. `added`: by tag, the keys of what only types derived from its
    own have, so that a document can hold it where it names such a type with `xsi:type`. `least`: where
    there is one of the choice it is in, the schema wants so many in all.
    """

    name: str
    tag: str
    required: bool
    wanted: bool
    repeats: bool
    nillable: bool
    leaf: bool
    children: Mapping[str, Element]
    reason: str | None = None
    collapse: bool = False
    by_tag: Mapping[str, Element] = field(default_factory=dict, repr=False)
    fixed: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    attribute_by_tag: Mapping[str, str] = field(default_factory=dict, repr=False)
    namespaces: Mapping[str, str] = field(default_factory=dict, repr=False)
    open: bool = False
    added: Mapping[str, str] = field(default_factory=dict, repr=False)
    least: int = 0


def structure(path: str | Path, root: str, prefixes: Mapping[str, str]) -> Element:
    """
    The structure of root element `root` (prefixed) in the schema at `path`.

    Not for recursive types (RecursionError), wildcards in a group (skipped) and a name declared twice in one
    content model (ValueError): no message of ours has them. An unknown root is a KeyError.
    """
    prefix, _, local = root.rpartition(":")
    elements, derived = _declared(str(path))
    declared = elements[f"{{{prefixes[prefix]}}}{local}"]
    return _element(declared, (True, True, False), 0, prefixes, derived)


@lru_cache(maxsize=64)  # more than the schemas of all dialects together
def _declared(path: str) -> tuple[Any, Derived]:
    """The elements a schema declares, by tag, and the named types derived from each named type."""
    from xmlschema import XMLSchema10  # up to 0.9 s to import: only for who maps

    maps = XMLSchema10(path, allow="local").maps
    derived = defaultdict(list)
    for found in maps.types.values():
        base = found.base_type
        while base is not None and base.name:
            derived[base.name].append(found)
            base = base.base_type
    return maps.elements, derived


def _element(
    xsd: Any, occurs: Occurs, least: int, prefixes: Mapping[str, str], derived: Derived
) -> Element:
    prefix_of = {f"{{{namespace}": prefix for prefix, namespace in prefixes.items()}

    def name(tag: str) -> str:
        namespace, brace, local = tag.rpartition("}")
        return f"{prefix_of[namespace]}:{local}" if brace else tag

    simple = xsd.type.is_simple()
    leaf: bool = simple or xsd.type.has_simple_content()
    text: Any = xsd.type if simple else xsd.type.content
    parts = () if leaf else _parts(text, (True, True, False))
    inner = [_element(part, how, least, prefixes, derived) for part, how, least in parts]
    children = {child.name: child for child in inner}
    if len(children) < len(inner):
        raise ValueError(f"{name(xsd.name)} declares a name twice")
    declared = _attributes(xsd.type)
    keys = {tag: f"@{name(tag)}" for tag in declared}
    fixed = {keys[tag]: a.fixed for tag, a in declared.items() if a.fixed is not None}
    attributes = tuple(key for key in keys.values() if key not in fixed)
    spaces = {xsd.target_namespace, *(tag[1:].partition("}")[0] for tag in declared)}
    spaces.update(space for child in children.values() for space in child.namespaces.values())
    by_tag = {child.tag: child for child in inner}
    added: dict[str, str] = {}
    for other in derived.get(xsd.type.name, ()):
        added |= {tag: f"@{name(tag)}" for tag in _attributes(other) if tag not in keys}
        more = () if leaf else _parts(other.content, occurs)
        added |= {part.name: name(part.name) for part, *_ in more if part.name not in by_tag}
    return Element(
        name(xsd.name),
        xsd.name,
        *occurs,
        xsd.nillable,
        leaf,
        collapse=leaf and text.white_space == "collapse",
        children=children,
        by_tag=by_tag,
        fixed=fixed,
        defaults={keys[tag]: a.default for tag, a in declared.items() if a.default is not None},
        attributes=attributes,
        reason=next((key for key in attributes if key.endswith("noValue")), None),  # StUF 3.01 §3.4
        attribute_by_tag=keys,
        namespaces={prefix: space for prefix, space in prefixes.items() if space in spaces},
        open=not leaf and any(not hasattr(part, "model") and not part.name for part in text),
        added=added,
        least=least,
    )


def _attributes(xsd: Any) -> dict[str, Any]:
    """What a type declares, by tag."""
    return {} if xsd.is_simple() else {tag: a for tag, a in xsd.attributes.items() if tag}


def _parts(group: Any, occurs: Occurs) -> Iterator[tuple[Any, Occurs, int]]:
    """The elements of a content model, how they occur, and how many there are of a choice at least."""
    required, wanted, repeats = occurs
    only_way = group.model != "choice" or len(group) == 1
    required = required and only_way and group.min_occurs > 0
    repeats = repeats or group.max_occurs != 1
    least = group.min_occurs if group.model == "choice" and group.min_occurs > 1 else 0
    for part in group:
        must = part.min_occurs > 0
        must_be, must_follow = required and must, wanted and only_way and must
        if hasattr(part, "model"):
            yield from _parts(part, (must_be, must_follow, repeats))
        elif part.name:
            yield part, (must_be, must_follow, repeats or part.max_occurs != 1), least


def leaves(element: Element, path: str = "") -> Iterator[str]:
    """The path of every leaf and of every attribute that is not fixed, relative to `element`."""
    yield from (f"{path}{attribute}" for attribute in element.attributes)
    for name, child in element.children.items():
        if child.leaf:
            yield f"{path}{name}"
        yield from leaves(child, f"{path}{name}/")
