"""Documents made from an XSD: valid ones full of borders, and mutations of them."""

import random
import re._parser as patterns  # type: ignore[import-not-found]
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from lxml import etree

XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
STUF = "{http://www.egem.nl/StUF/StUF0301}"
BG = "{http://www.egem.nl/StUF/sector/bg/0310}"
# Prefixes that lxml makes up can clash when a node gets a parent with one of its own.
SPACES = {
    "xsi": XSI[1:-1],
    "xs": "http://www.w3.org/2001/XMLSchema",
    "StUF": STUF[1:-1],
    "BG": BG[1:-1],
    "ZKN": "http://www.egem.nl/StUF/sector/zkn/0310",
    "JZ": "http://www.stufstandaarden.nl/koppelvlak/jz0100",
    "xmime": "http://www.w3.org/2005/05/xmlmime",
}

LETTERS = "abcXYZ 019-.,'\"<&>éëÅß\u0133\u200b\u00a0\U0001d538\t\n\r"
LEXICAL = (
    *("0", "1", "true", "false", " true ", "-1", "+7", "007", "12345678", "123456789", "19850412"),
    *(" 19850412\n", "19850412.0", "1.5", "1985a", "999999999", "1000000000", "99999", "100000"),
)
DATES = (
    *("2026-02-14", "1985-04", "1985", "0001-01-01", "9999", "2024-02-29", "2000-12"),
    *("2026-03-29T02:30:00+01:00", "2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00-14:00"),
    *("2026-07-01T12:00:00.120Z", "0001-01-02T00:00:00Z", "9999-12-30T23:59:59.5+13:30"),
)
WRONG = (
    *("", " ", "x", "J ", " 01", "01", "JA", "j", "12345678901", "Di02", "x" * 41, "x" * 201),
    *("x" * 255, "0" * 9, "0" * 10, "0" * 17, "0" * 18, "9999 AB", "true", "TRUE", "V", "\n01\n"),
    *LEXICAL,
)
TYPES = ("xs:string", "xs:token", "BG:BSN-e", "StUF:Refnummer", "ZKN:OBJ-vvz", "BG:Nee")


class Generator:
    """Documents with root element `root` (a local name) by the schema at `path`."""

    def __init__(self, path: Path, root: str) -> None:
        from xmlschema import XMLSchema10

        self.schema = XMLSchema10(str(path), allow="local")
        self.root = self.schema.elements[root]
        self.judge = etree.XMLSchema(file=str(path))

    def valid(self, seed: int, *, typed: bool = False) -> etree._Element:
        """A valid document; the same for the same seed. With `typed`, elements name their type."""
        rng = random.Random(seed)
        while True:
            rng.fill, rng.typed = rng.random(), typed  # type: ignore[attr-defined]
            root = self._element(self.root, rng)
            if self.judge.validate(root):
                return root

    @cached_property
    def types(self) -> list[str]:
        """The name of every type, prefixed."""
        return [name for found in self.schema.maps.types.values() if (name := _prefixed(found))]

    @cached_property
    def derived(self) -> dict[str, list[Any]]:
        """By the name of a type, itself and the named types derived from it."""
        families: dict[str, list[Any]] = {}
        for found in self.schema.maps.types.values():
            base: Any = found
            while base is not None and base.name:
                families.setdefault(base.name, []).append(found)
                base = base.base_type
        return families

    def _element(self, xsd: Any, rng: Any) -> etree._Element:
        node = etree.Element(xsd.name, nsmap=SPACES)
        kind = xsd.type
        if rng.typed and kind.name and rng.random() < 0.3:
            kind = rng.choice(self.derived[kind.name])
            node.set(f"{XSI}type", _prefixed(kind))
        simple = kind.is_simple()
        for tag, attribute in () if simple else kind.attributes.items():
            if attribute.use == "required" or rng.random() < rng.fill / 4:
                node.set(tag, attribute.fixed or self._text(attribute.type, rng))
        if xsd.nillable and rng.random() < 0.15:
            node.set(f"{XSI}nil", rng.choice(("true", "1", " true ")))
        elif xsd.fixed is not None:
            node.text = rng.choice((xsd.fixed, None))
        elif simple or kind.has_simple_content():
            node.text = self._text(kind if simple else kind.content, rng)
        else:
            node.extend(self._group(kind.content, rng))
        return node

    def _group(self, group: Any, rng: Any) -> Iterator[etree._Element]:
        if group.max_occurs == 1:
            yield from self._once(group, rng)
        else:
            for _ in range(rng.randint(max(group.min_occurs, 1), min(group.max_occurs or 3, 3))):
                yield from self._once(group, rng)

    def _once(self, group: Any, rng: Any) -> Iterator[etree._Element]:
        parts = [rng.choice(list(group))] if group.model == "choice" else list(group)
        if group.min_occurs or rng.random() < rng.fill:
            for part in parts:
                if hasattr(part, "model"):
                    yield from self._group(part, rng)
                    continue
                if not part.name:  # a wildcard; the mutations put something there
                    continue
                most = min(part.max_occurs or rng.choice((1, 1, 2, 3)), 3)
                count = max(part.min_occurs, most if rng.random() < rng.fill else 0)
                for _ in range(count):
                    yield self._element(part, rng)

    def _text(self, simple: Any, rng: Any) -> str:
        if members := getattr(simple, "member_types", None):
            return self._text(rng.choice(members), rng)
        if simple.enumeration:
            return str(rng.choice(simple.enumeration))
        if simple.primitive_type.local_name in ("date", "dateTime", "gYear", "gYearMonth"):
            return str(rng.choice([text for text in DATES if simple.is_valid(text)]))
        if simple.patterns:
            ways = simple.patterns.regexps
            return _sample(rng.choice(ways) if len(ways) > 1 else ways[0], rng)
        if simple.primitive_type.local_name != "string":
            return str(rng.choice([text for text in LEXICAL if simple.is_valid(text)]))
        low, high = simple.min_length or 0, simple.max_length or 300
        size = rng.choice((low, low + 1, (low + high) // 2, high))
        return "".join(rng.choice(LETTERS) for _ in range(size))


@cache
def generator(path: Path, root: str) -> Generator:
    return Generator(path, root)


def _prefixed(kind: Any) -> str:
    """The name of a type with its prefix; empty when it has no prefix here."""
    name = etree.QName(kind.name)
    found = [f"{prefix}:{name.localname}" for prefix, s in SPACES.items() if s == name.namespace]
    return "".join(found)


def _sample(pattern: str, rng: Any) -> str:
    def walk(parts: Any) -> str:
        out = ""
        for op, what in parts:
            match str(op):
                case "LITERAL":
                    out += chr(what)
                case "IN":
                    kind, value = rng.choice(what)
                    low, high = value if str(kind) == "RANGE" else (value, value)
                    out += chr(rng.randint(low, high))
                case "MAX_REPEAT":
                    low, high, inner = what
                    high = min(high, low + 20)
                    out += "".join(walk(inner) for _ in range(rng.choice((low, high))))
                case "SUBPATTERN":
                    out += walk(what[3])
                case "BRANCH":
                    out += walk(rng.choice(what[1]))
                case _:
                    raise NotImplementedError(op)
        return out

    return walk(patterns.parse(pattern))


def mutated(root: etree._Element, seed: int, types: Sequence[str] = TYPES) -> etree._Element:
    """A copy with one to three changes; it may still be valid. Its elements may name `types`."""
    rng = random.Random(seed)
    rng.types = types  # type: ignore[attr-defined]
    root = deepcopy(root)
    for _ in range(rng.randint(1, 3)):
        rng.choice(CHANGES)(root, rng)
    return root


Change = Callable[[etree._Element, Any], None]


def _any(root: etree._Element, rng: Any) -> etree._Element:
    nodes = list(root.iter(etree.Element))
    chosen: etree._Element = rng.choice(nodes[1:] or nodes)
    return chosen


def _drop(root: etree._Element, rng: Any) -> None:
    node = _any(root, rng)
    if node is not root:
        node.getparent().remove(node)  # type: ignore[union-attr]


def _duplicate(root: etree._Element, rng: Any) -> None:
    node = _any(root, rng)
    if node is not root:
        node.addnext(deepcopy(node))


def _move(root: etree._Element, rng: Any) -> None:
    parent = _any(root, rng).getparent()
    if parent is not None and len(parent) > 1:
        parent.insert(rng.randrange(len(parent)), parent[rng.randrange(len(parent))])


def _transplant(root: etree._Element, rng: Any) -> None:
    _any(root, rng).append(deepcopy(_any(root, rng)))


def _text(root: etree._Element, rng: Any) -> None:
    leaves = [node for node in root.iter(etree.Element) if not len(node)]
    rng.choice(leaves).text = rng.choice(WRONG)


def _space(root: etree._Element, rng: Any) -> None:
    node = _any(root, rng)
    node.text = f"{rng.choice((' ', chr(10), chr(9)))}{node.text or ''}{rng.choice(('', ' '))}"


def _attribute(root: etree._Element, rng: Any) -> None:
    node = _any(root, rng)
    names: tuple[str, ...] = (
        "entiteittype",
        "noValue",
        "exact",
        "scope",
        "verwerkingssoort",
        "sleutelVerzendend",
    )
    names += ("sleutelSynchronisatie", "indOnvolledigeDatum", "aantalVoorkomens", "aardAantal")
    names += ("metagegeven", "bestandsnaam")
    tag = rng.choice((STUF, STUF, STUF, "")) + rng.choice(names)
    values = ("NPS", "OBJ", "alles", "geenWaarde", "false", "T", "M", "exact", "12", *WRONG)
    node.set(rng.choice((tag, "naam", *node.keys())), rng.choice(values))


def _no_attribute(root: etree._Element, rng: Any) -> None:
    nodes = [node for node in root.iter(etree.Element) if node.attrib]
    if nodes:
        node = rng.choice(nodes)
        del node.attrib[rng.choice(node.keys())]


def _nil(root: etree._Element, rng: Any) -> None:
    node = _any(root, rng)
    node.set(f"{XSI}nil", rng.choice(("true", "false", "1", "0", "yes", "")))
    if rng.random() < 0.6:
        node.text = None
        del node[:]


def _rename(root: etree._Element, rng: Any) -> None:
    node = _any(root, rng)
    local = etree.QName(node).localname
    node.tag = rng.choice((f"{BG}{local}", local, f"{STUF}{local}", _any(root, rng).tag))


def _stray(root: etree._Element, rng: Any) -> None:
    node = _any(root, rng)
    if rng.random() < 0.5:
        node.tail = (node.tail or "") + rng.choice(("x", " ", "\u00a0"))
    else:
        etree.SubElement(node, rng.choice((f"{STUF}extraElementen", "vreemd")))


def _type(root: etree._Element, rng: Any) -> None:
    named = [node.get(f"{XSI}type", "") for node in root.iter() if node.get(f"{XSI}type")]
    name = rng.choice((*TYPES, *named, *rng.sample(rng.types, 5)))
    _any(root, rng).set(f"{XSI}type", rng.choice((name, f" {name}\n", name.partition(":")[2])))


CHANGES: tuple[Change, ...] = (
    _drop,
    _drop,
    _duplicate,
    _move,
    _transplant,
    _text,
    _text,
    _text,
    _space,
    _attribute,
)
CHANGES += (_attribute, _attribute, _no_attribute, _nil, _nil, _rename, _stray, _type)
