"""A document taken apart into a tree and written again stays the same document."""

from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from gateway.errors import InvalidDocument, NotExpressible
from gateway.formats.xmldoc import XmlSchema, read, to_tree, to_xml

from .generate import generator
from .jz import (
    MARK,
    OBJECT,
    OURS,
    PREFIXES,
    ROOTS,
    SCHEMA,
    VCOB,
    attribute,
    changed,
    full_seed,
    normal,
    shape,
    vcob,
)

# In these some choices repeat, and a tree does not keep in what order their alternatives came.
UNORDERED = {"vtoDi01", "notificatieDi01", "zorgmeldingDi01"}


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("seed", range(20))
def test_what_is_read_is_written_the_same(root: str, seed: int) -> None:
    ours, spec = XmlSchema(OURS / ROOTS[root][0], PREFIXES), shape(root)
    document = generator(OURS / ROOTS[root][0], root).valid(seed)
    tree = to_tree(document, spec)
    written = read(to_xml(tree, spec))
    assert tree == to_tree(written, spec)
    if root not in UNORDERED:
        ours.validate(written)
        assert normal(document, spec) == normal(written, spec)


def full() -> dict[str, Any]:
    tree: dict[str, Any] = to_tree(vcob(full_seed()), VCOB)
    return tree


def person(tree: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = tree[OBJECT]["JZ:heeftBetrekkingOp"]["ZKN:gerelateerde"]
    return found["ZKN:natuurlijkPersoon"]  # type: ignore[no-any-return]


def test_absent_nil_and_no_value_are_told_apart() -> None:
    tree = full()
    person(tree).pop("BG:voornamen", None)
    person(tree)["BG:voorletters"] = {"!": ""}
    person(tree)["BG:inp.bsn"] = {"!": "geenWaarde"}
    person(tree)["BG:geslachtsnaam"] = {"": "Test", "@StUF:noValue": "waardeOnbekend"}
    written = to_xml(tree, VCOB)
    SCHEMA.validate(read(written))
    assert b'<BG:inp.bsn StUF:noValue="geenWaarde" xsi:nil="true"/>' in written
    assert b'<BG:voorletters xsi:nil="true"/>' in written
    assert b"voornamen" not in written
    assert tree == to_tree(read(written), VCOB)


def test_fixed_attributes_and_missing_groups_are_written() -> None:
    tree = full()
    tree[OBJECT]["JZ:heeftBetrekkingOp"] = {}
    del tree[OBJECT]["JZ:redenVerzoek"]
    written = to_xml(tree, VCOB)
    SCHEMA.validate(read(written))
    assert b'<ZKN:gerelateerde StUF:entiteittype="OBJ" xsi:nil="true"/>' in written
    assert b'<JZ:redenVerzoek><JZ:code xsi:nil="true"/></JZ:redenVerzoek>' in written


def without_nil(node: Any) -> Any:
    if isinstance(node, dict):
        kept = {key: without_nil(part) for key, part in node.items() if key != "!"}
        return kept | ({"": "x"} if "!" in node and not set(node) - {"!"} else {})
    return [without_nil(part) for part in node] if isinstance(node, list) else node


def test_namespaces_stand_on_the_root_and_xsi_only_when_it_is_used() -> None:
    written = to_xml(without_nil(full()), VCOB)
    assert b"xsi" not in written
    assert written.count(b"xmlns") == len(VCOB.namespaces)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda tree: tree[OBJECT].pop("JZ:identificatie"), "JZ:object/JZ:identificatie"),
        (lambda tree: tree.pop("JZ:stuurgegevens"), "JZ:stuurgegevens/StUF:berichtcode"),
        (
            lambda tree: tree[OBJECT].update({"JZ:identificatie": {"!": ""}}),
            "JZ:object/JZ:identificatie",
        ),
        (
            lambda tree: tree[OBJECT].update({"JZ:identificatie": f"{MARK}\x07"}),
            "JZ:object/JZ:identificatie",
        ),
        (
            lambda tree: tree[OBJECT].update({"@StUF:sleutelSynchronisatie": f"{MARK}\ud800"}),
            "JZ:object",
        ),
    ],
)
def test_what_xml_cannot_say_is_not_expressible(change: Any, path: str) -> None:
    tree = full()
    change(tree)
    with pytest.raises(NotExpressible) as refusal:
        to_xml(tree, VCOB)
    assert refusal.value.path == f"JZ:vcobDi01/{path}"
    assert MARK not in refusal.value.reason()


@pytest.mark.parametrize("key", ["JZ:onbekend", "@StUF:scope", "", "@StUF:entiteittype"])
def test_an_unknown_key_is_a_bug(key: str) -> None:
    with pytest.raises(ValueError, match="unknown keys"):
        to_xml(full() | {OBJECT: full()[OBJECT] | {key: MARK}}, VCOB)


@pytest.mark.parametrize("value", [[{}], [], "x"])
def test_one_for_many_and_many_for_one_are_bugs(value: Any) -> None:
    tree = full()
    extra = {"StUF:extraElementen": {"StUF:extraElement": "x"}}
    person(tree).update(extra if value == "x" else {"BG:voornamen": value})
    if value == []:
        SCHEMA.validate(read(to_xml(tree, VCOB)))  # an empty list is absent
    else:
        with pytest.raises(ValueError, match="one for many"):
            to_xml(tree, VCOB)


def test_awkward_text_survives() -> None:
    tree = full()
    awkward = " <&>\"'\r\n\té\u0133\u2028\U0001d538 ]]> "
    person(tree)["BG:geslachtsnaam"] = awkward
    tree[OBJECT]["@StUF:sleutelSynchronisatie"] = awkward
    assert tree == to_tree(read(to_xml(tree, VCOB)), VCOB)


def test_what_the_structure_does_not_know_is_refused_not_dropped() -> None:
    stray = changed(OBJECT, lambda node: etree.SubElement(node, MARK))
    odd = changed(OBJECT, attribute(MARK, MARK))
    twice = changed(OBJECT, lambda node: node.append(etree.fromstring(etree.tostring(node[0]))))
    for root in (stray, odd, twice):
        with pytest.raises(InvalidDocument) as refusal:
            to_tree(root, VCOB)
        assert MARK not in refusal.value.reason()


def every_leaf(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from every_leaf(part)


@pytest.mark.parametrize("root", ROOTS)
def test_the_tree_holds_every_text_of_the_document(root: str) -> None:
    document = generator(OURS / ROOTS[root][0], root).valid(11)
    for spec_text in map(str, document.itertext()):
        if spec_text.strip():
            assert any(
                spec_text.strip() in leaf for leaf in every_leaf(to_tree(document, shape(root)))
            )
