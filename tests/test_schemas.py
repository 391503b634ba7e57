"""Our schemas give the verdict of the published ones."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.errors import InvalidDocument, UnknownDocument
from gateway.formats.structure import Element, leaves, structure
from gateway.formats.xmldoc import XmlSchema, read

from .generate import Generator, generator, mutated
from .jz import OURS, PREFIXES, ROOTS, at, qualified, shape

SHARED = Path(__file__).resolve().parents[2] / "shared"
PUBLISHED = SHARED / "standards" / "corv-1.0.9"
EXAMPLES = Path(__file__).parent / "examples" / "stuf-jz" / "valid"
CHILD = f".//{{{PREFIXES['ZKN']}}}heeftBetrekkingOp//{{{PREFIXES['ZKN']}}}natuurlijkPersoon"
BATCH = 12

published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="the published schemas are not in ../shared/standards"
)


def verdict(schema: XmlSchema, document: bytes) -> bool:
    try:
        schema.validate(read(document))
    except InvalidDocument:
        return False
    return True


def both(root: str) -> tuple[XmlSchema, XmlSchema]:
    ours, theirs = ROOTS[root]
    return XmlSchema(OURS / ours, PREFIXES), XmlSchema(PUBLISHED / theirs, PREFIXES)


def flat(element: Element, path: str = "") -> Iterator[tuple[object, ...]]:
    yield (
        f"{path}/{element.name}",
        (element.required, element.wanted, element.repeats, element.least, element.nillable),
        (element.leaf, element.collapse),
        (dict(element.fixed), dict(element.defaults), set(element.attributes), element.reason),
    )
    for child in element.children.values():
        yield from flat(child, f"{path}/{element.name}")


@published
@pytest.mark.parametrize("root", ROOTS)
def test_our_structure_is_the_published_one(root: str) -> None:
    expected = structure(PUBLISHED / ROOTS[root][1], qualified(root), PREFIXES)
    found = shape(root)
    assert list(flat(expected)) == list(flat(found))
    assert set(leaves(expected)) == set(leaves(found))


@published
@pytest.mark.parametrize("root", ROOTS)
def test_our_verdict_is_the_published_one(root: str) -> None:
    """On documents made from the published schema, and on three mutations of each."""
    ours, theirs = both(root)
    made = generator(PUBLISHED / ROOTS[root][1], root)
    refused = 0
    for seed in range(BATCH):
        document = made.valid(seed, typed=seed % 2 > 0)
        assert verdict(ours, etree.tostring(document)), etree.tostring(document).decode()
        for change in range(3):
            text = etree.tostring(mutated(document, seed * 3 + change, made.types))
            expected = verdict(theirs, text)
            refused += not expected
            assert expected == verdict(ours, text), text.decode()
    assert BATCH < refused < 3 * BATCH, "the mutations must be both valid and invalid"


@published
@pytest.mark.parametrize("root", ROOTS)
def test_what_we_generate_the_published_schema_accepts(root: str) -> None:
    theirs = both(root)[1]
    made = generator(OURS / ROOTS[root][0], root)
    for seed in range(BATCH):
        text = etree.tostring(made.valid(seed))
        assert verdict(theirs, text), text.decode()


@published
@settings(max_examples=80, deadline=None)
@given(
    root=st.sampled_from(sorted(ROOTS)),
    seed=st.integers(0, 2**32),
    change=st.integers(),
    typed=st.booleans(),
)
def test_our_verdict_is_the_published_one_on_any_seed(
    root: str, seed: int, change: int, typed: bool
) -> None:
    ours, theirs = both(root)
    made = generator(PUBLISHED / ROOTS[root][1], root)
    text = etree.tostring(mutated(made.valid(seed, typed=typed), change, made.types))
    assert verdict(theirs, text) == verdict(ours, text)


def types_by_place(made: Generator) -> dict[str, dict[str, dict[str, object]]]:
    """Of every element, also of those in a derived type: each type it may name, with its attributes."""
    found: dict[str, dict[str, dict[str, object]]] = {}
    done = set()

    def visit(kind: Any, place: str) -> None:
        family = sorted(made.derived.get(kind.name, [kind]), key=lambda one: str(one.name))
        found[place] = {
            str(one.name): {} if one.is_simple() else {t: a.use for t, a in one.attributes.items()}
            for one in family
        }
        for one in family:
            if one.is_complex() and not one.has_simple_content() and one not in done:
                done.add(one)
                for child in one.content.iter_elements():
                    if child.name:  # not a wildcard
                        visit(child.type, f"{place}/{child.name}")

    visit(made.root.type, made.root.name)
    return found


@published
@pytest.mark.parametrize("root", ROOTS)
def test_an_element_may_name_the_types_that_are_published(root: str) -> None:
    """Its own, and each derived from it (xsi:type)."""
    ours, theirs = ROOTS[root]
    expected = types_by_place(generator(PUBLISHED / theirs, root))
    assert expected == types_by_place(generator(OURS / ours, root))


@pytest.mark.parametrize("sample", sorted(EXAMPLES.glob("*.xml")), ids=lambda path: path.stem)
def test_the_examples_are_valid(sample: Path) -> None:
    document = sample.read_bytes()
    assert verdict(XmlSchema(OURS / ROOTS[sample.stem][0], PREFIXES), document)
    if PUBLISHED.is_dir():
        assert verdict(both(sample.stem)[1], document)


@published
@pytest.mark.parametrize(("persons", "valid"), [(31, True), (32, False)])
def test_a_request_is_about_at_most_31_children(persons: int, valid: bool) -> None:
    """A border the generator does not reach."""
    made = generator(OURS / "jz-vt.xsd", "vtoDi01")
    document = next(found for n in range(1000) if (found := made.valid(n)).find(CHILD) is not None)
    child = at(document, CHILD)
    at(document, f"{CHILD}/..")[:] = [deepcopy(child) for _ in range(persons)]
    assert [valid, valid] == [
        verdict(schema, etree.tostring(document)) for schema in both("vtoDi01")
    ]


@pytest.mark.parametrize("root", ROOTS)
def test_a_schema_knows_only_its_own_root_elements(root: str) -> None:
    stray = f'<StUF:extraElementen xmlns:StUF="{PREFIXES["StUF"]}"/>'.encode()
    with pytest.raises(UnknownDocument):
        XmlSchema(OURS / ROOTS[root][0], PREFIXES).validate(read(stray))
