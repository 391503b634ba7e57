"""Our schemas give the verdict of the published ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from gateway.errors import InvalidDocument, UnknownDocument
from gateway.formats.structure import Element, leaves, structure
from gateway.formats.xmldoc import XmlSchema, read

from .generate import generator, mutated
from .jz import OURS, PREFIXES, ROOTS

SHARED = Path(__file__).resolve().parents[2] / "shared"
PUBLISHED = SHARED / "standards" / "corv-1.0.9"
SAMPLES = SHARED / "samples" / "corv"
BATCHES = range(4)
BATCH = 40

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
        (element.required, element.wanted, element.repeats, element.nillable),
        (element.leaf, element.collapse),
        (dict(element.fixed), dict(element.defaults), set(element.attributes), element.reason),
    )
    for child in element.children.values():
        yield from flat(child, f"{path}/{element.name}")


@published
@pytest.mark.parametrize("root", ROOTS)
def test_our_structure_is_the_published_one(root: str) -> None:
    ours, theirs = ROOTS[root]
    expected = structure(PUBLISHED / theirs, f"JZ:{root}", PREFIXES)
    found = structure(OURS / ours, f"JZ:{root}", PREFIXES)
    assert list(flat(expected)) == list(flat(found))
    assert set(leaves(expected)) == set(leaves(found))


@published
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("root", ROOTS)
def test_our_verdict_is_the_published_one(root: str, batch: int) -> None:
    """On documents made from the published schema, and on three mutations of each."""
    ours, theirs = both(root)
    made = generator(PUBLISHED / ROOTS[root][1], root)
    refused = 0
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        document = made.valid(seed)
        assert verdict(ours, etree.tostring(document)), etree.tostring(document).decode()
        for change in range(3):
            text = etree.tostring(mutated(document, seed * 3 + change))
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
@given(root=st.sampled_from(sorted(ROOTS)), seed=st.integers(0, 2**32), change=st.integers())
def test_our_verdict_is_the_published_one_on_any_seed(root: str, seed: int, change: int) -> None:
    ours, theirs = both(root)
    made = generator(PUBLISHED / ROOTS[root][1], root)
    text = etree.tostring(mutated(made.valid(seed), change))
    assert verdict(theirs, text) == verdict(ours, text)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the samples are not in ../shared/samples")
@pytest.mark.parametrize("root", ROOTS)
def test_the_samples_are_valid(root: str) -> None:
    document = read((SAMPLES / f"{root}.xml").read_bytes())
    XmlSchema(OURS / ROOTS[root][0], PREFIXES).validate(document)


@pytest.mark.parametrize("root", ROOTS)
def test_a_schema_knows_only_its_own_root_elements(root: str) -> None:
    stray = f'<StUF:extraElementen xmlns:StUF="{PREFIXES["StUF"]}"/>'.encode()
    with pytest.raises(UnknownDocument):
        XmlSchema(OURS / ROOTS[root][0], PREFIXES).validate(read(stray))
