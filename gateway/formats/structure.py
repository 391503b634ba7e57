"""The shape of an XML document as a tree of frozen elements, compiled from its XSD."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

NO_VALUE = "noValue"
"""Local name of the attribute that says why an element is nil (StUF 3.01, §3.4)."""


@dataclass(frozen=True, slots=True, eq=False)
class Element:
    """
    One element declaration in its place.

    `required`: the schema wants it in every document. `wanted`: the schema wants it as soon as one
    of its siblings is there (it stands in an optional sequence). `repeats`: it may occur more than
    once. `collapse`: surrounding and repeated white space means nothing. Keys of `children` are
    prefixed names, of attributes prefixed names after an `@` (`@naam` when unqualified);
    `attributes` are all that are not fixed, also those with a default.
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
    max_length: int | None
    min_length: int | None
    enumeration: tuple[str, ...]
    patterns: tuple[str, ...]
    namespaces: Mapping[str, str] = field(repr=False)
    by_tag: Mapping[str, Element] = field(repr=False)
    attribute_by_tag: Mapping[str, str] = field(repr=False)

    @property
    def reason(self) -> str | None:
        """The attribute that says why this element is nil; None when it has none."""
        return next((a for a in self.attributes if a.endswith(NO_VALUE)), None)


def structure(path: str | Path, root: str, prefixes: Mapping[str, str]) -> Element:
    """
    The structure of root element `root` (prefixed) in the schema at `path`, compiled once.

    Not for recursive types and not for a name declared twice in one content model: no message of
    ours has them. Raises ValueError for those, LookupError for a root or namespace that is unknown.
    """
    return _compiled(Path(path), root, tuple(prefixes.items()))


@lru_cache(maxsize=64)  # more than the message types of all dialects together
def _compiled(path: Path, root: str, prefixes: tuple[tuple[str, str], ...]) -> Element:
    from xmlschema import XMLSchema10  # 0.9 s to import: only for who maps

    prefix, _, local = root.rpartition(":")
    table = MappingProxyType(dict(prefixes))
    schema = XMLSchema10(str(path), allow="local")
    declared = schema.maps.elements[f"{{{table[prefix]}}}{local}"]
    return _Compiler(table).element(declared, required=True, wanted=True, repeats=False, within=())


class _Compiler:
    def __init__(self, namespaces: Mapping[str, str]) -> None:
        self.namespaces = namespaces
        self.prefix = {namespace: prefix for prefix, namespace in namespaces.items()}

    def name(self, tag: str) -> str:
        namespace, brace, local = tag.rpartition("}")
        return f"{self.prefix[namespace[1:]]}:{local}" if brace else tag

    def element(
        self, xsd: Any, *, required: bool, wanted: bool, repeats: bool, within: tuple[Any, ...]
    ) -> Element:
        if xsd.type in within:
            raise ValueError(f"{self.name(xsd.name)} has a recursive type")
        leaf = xsd.type.is_simple() or xsd.type.has_simple_content()
        simple = (xsd.type if xsd.type.is_simple() else xsd.type.content) if leaf else None
        children: dict[str, Element] = {}
        if not leaf:
            self.group(
                xsd.type.content,
                children,
                required=True,
                wanted=True,
                repeats=False,
                within=(*within, xsd.type),
            )
        attributes = {} if xsd.type.is_simple() else dict(xsd.type.attributes)
        keys = {tag: f"@{self.name(tag)}" for tag in attributes if tag}
        fixed = {keys[t]: a.fixed for t, a in attributes.items() if t and a.fixed is not None}
        return Element(
            name=self.name(xsd.name),
            tag=xsd.name,
            required=required,
            wanted=wanted,
            repeats=repeats,
            nillable=xsd.nillable,
            leaf=leaf,
            collapse=leaf and simple.white_space == "collapse",
            children=MappingProxyType(children),
            fixed=MappingProxyType(fixed),
            defaults=MappingProxyType(
                {keys[t]: a.default for t, a in attributes.items() if t and a.default is not None}
            ),
            attributes=tuple(key for key in keys.values() if key not in fixed),
            max_length=simple.max_length if leaf else None,
            min_length=simple.min_length if leaf else None,
            enumeration=tuple(simple.enumeration or ()) if leaf else (),
            patterns=tuple(simple.patterns.regexps) if leaf and simple.patterns else (),
            namespaces=self.namespaces,
            by_tag={child.tag: child for child in children.values()},
            attribute_by_tag=keys,
        )

    def group(
        self,
        group: Any,
        into: dict[str, Element],
        *,
        required: bool,
        wanted: bool,
        repeats: bool,
        within: tuple[Any, ...],
    ) -> None:
        one_way = group.model != "choice" or len(group) == 1
        wanted = wanted and one_way
        required = required and one_way and group.min_occurs > 0
        repeats = repeats or group.max_occurs != 1
        for part in group:
            if hasattr(part, "model"):
                inner = wanted and part.min_occurs > 0
                self.group(
                    part, into, required=required, wanted=inner, repeats=repeats, within=within
                )
            elif part.name:  # a wildcard has none
                must = part.min_occurs > 0
                child = self.element(
                    part,
                    required=required and must,
                    wanted=wanted and must,
                    repeats=repeats or part.max_occurs != 1,
                    within=within,
                )
                if child.name in into:
                    raise ValueError(f"{child.name} is declared twice in one content model")
                into[child.name] = child


def leaves(element: Element, path: str = "") -> Iterator[str]:
    """The path of every leaf and of every attribute that is not fixed, relative to `element`."""
    for attribute in element.attributes:
        yield f"{path}{attribute}"
    for name, child in element.children.items():
        if child.leaf:
            yield f"{path}{name}"
        yield from leaves(child, f"{path}{name}/")
