"""Each form of a row, both ways, on a small message and on meldingGeneriekDi01."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import MappingInvalid
from gateway.formats import codes, structure, xmldoc
from gateway.formats.mapping import Mapping, Shared, read_toml
from gateway.formats.stuf import CONVERTERS, PREFIXES
from gateway.resources import folder

from .berichten import erase

EXAMPLES = Path(__file__).parent / "examples"
PROEF = structure.structure(EXAMPLES / "proef" / "proef.xsd", "P:bericht", {"P": "urn:proef"})


def _proef(text: str | None = None) -> Mapping:
    file = tomllib.loads(text or (EXAMPLES / "proef" / "bericht.toml").read_text())
    fields = {"vragen.antwoord": "politie", "vragen.code": "geen"}
    return Mapping("bericht.toml", file, PROEF, fields, Shared({}))


def _both_ways(event: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Through the document and back; also the law."""
    mapping = _proef()
    tree, loss = mapping.render(event)
    document = xmldoc.to_xml(tree, PROEF)
    back, on_the_way_in = mapping.parse(xmldoc.to_tree(xmldoc.read(document), PROEF))

    assert [] == on_the_way_in
    assert _sorted(_unrounded(erase(event, [x for x in loss if x.how == "weg"]), loss)) == _sorted(
        _unrounded(back, loss)
    )
    return tree, [f"{x.how} {x.path}" for x in loss]


def _unrounded(event: dict[str, Any], loss: list[Any]) -> dict[str, Any]:
    """Without the one field this message can round: the kind of the address chosen."""
    if any(x.how == "afgerond" for x in loss):
        for adres in event.get("adressen", []):
            adres.pop("soort")
    return event


def _sorted(event: dict[str, Any]) -> dict[str, Any]:
    """Lists fed by several elements come back in the order of the document."""
    return {
        k: sorted(v, key=lambda x: sorted(x.items())) if isinstance(v, list) else v
        for k, v in event.items()
        if v
    }


def test_an_item_of_a_list_is_found_by_its_key() -> None:
    tree, loss = _both_ways({"vragen": [{"code": "VT-004", "antwoord": "ja"}]})

    assert {"P:aangifte": "ja"} == tree
    assert [] == loss


def test_an_item_of_a_list_may_stand_deep_in_the_document() -> None:
    file = {"root": "P:bericht", "soort": "proef"}
    rows = {"P:melder/P:naam": "vragen[code=VT-001].antwoord"}
    mapping = Mapping("diep.toml", {**file, "rows": rows}, PROEF, {}, Shared({}))
    event = {"vragen": [{"code": "VT-001", "antwoord": "ja"}]}

    assert ({"P:melder": {"P:naam": "ja"}}, []) == mapping.render(event)
    assert (event, []) == mapping.parse({"P:melder": {"P:naam": "ja"}})


def test_an_item_that_holds_nothing_to_write_is_lost_with_an_entry() -> None:
    tree, loss = _both_ways({"vragen": [{"code": "VT-004"}]})

    assert {} == tree
    assert ["weg vragen[0]"] == loss


def test_a_second_item_for_one_element_is_lost_with_an_entry() -> None:
    tree, loss = _both_ways(
        {"vragen": [{"code": "VT-004", "antwoord": "a"}, {"code": "VT-004", "antwoord": "b"}]}
    )

    assert {"P:aangifte": "a"} == tree
    assert ["weg vragen[1]"] == loss


def test_an_item_no_row_selects_is_lost_with_the_categories_it_held() -> None:
    _, loss = _proef().render({"vragen": [{"code": "VT-099", "antwoord": "geheim"}]})

    assert [("vragen[0]", "politie")] == [(x.path, x.category) for x in loss]
    assert "geheim" not in repr(loss)


def test_waar_selects_on_render_and_writes_on_parse() -> None:
    tree, loss = _both_ways(
        {
            "betrokkenen": [
                {"rol": "ouder", "naam": "A"},
                {"rol": "melder", "naam": "B"},
                {"rol": "ouder", "naam": "C"},
                {"rol": "buur", "naam": "D"},
            ]
        }
    )

    assert [{"P:naam": "A"}, {"P:naam": "C"}] == tree["P:ouder"]
    assert {"P:naam": "B"} == tree["P:melder"]
    assert ["weg betrokkenen[3]"] == loss


def test_guards_choose_the_element_by_what_else_is_there() -> None:
    assert {"P:op": "1"} == _both_ways({"incident": {"begin": "1"}})[0]
    assert {"P:van": "1", "P:tot": "2"} == _both_ways({"incident": {"begin": "1", "einde": "2"}})[0]


def test_kies_takes_the_preferred_item_and_accounts_for_the_others() -> None:
    tree, loss = _both_ways(
        {
            "adressen": [
                {"soort": "03", "plaats": "Breda"},
                {"soort": "02", "plaats": "Etten-Leur"},
                {"soort": "01", "plaats": "Zundert"},
            ]
        }
    )

    assert {"P:adres": {"P:plaats": "Etten-Leur"}} == tree
    assert ["weg adressen[0]", "weg adressen[2]"] == loss


def test_kies_of_the_second_choice_says_that_it_is_rounded() -> None:
    _, loss = _both_ways({"adressen": [{"soort": "03", "plaats": "Breda"}]})

    assert ["afgerond adressen[0].soort"] == loss


_texts = st.text("abc", min_size=1, max_size=3)
_lists = st.fixed_dictionaries(
    {},
    optional={
        "vragen": st.lists(
            st.fixed_dictionaries(
                {"code": st.sampled_from(["VT-002", "VT-004", "VT-9"])},
                optional={"antwoord": _texts},
            ),
            min_size=1,
            max_size=4,
        ),
        "adressen": st.lists(
            st.fixed_dictionaries({"soort": st.sampled_from(["01", "02", "03"]), "plaats": _texts}),
            min_size=1,
            max_size=4,
        ),
        "incident": st.fixed_dictionaries({"begin": _texts}, optional={"einde": _texts}),
        "betrokkenen": st.lists(
            st.fixed_dictionaries(
                {"rol": st.sampled_from(["melder", "ouder", "buur"]), "naam": _texts}
            ),
            min_size=1,
            max_size=5,
        ),
    },
)


@given(_lists)
def test_the_law_holds_for_every_form(event: dict[str, Any]) -> None:
    _both_ways(event)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('rol = "ouder"', 'rol = "melder"'), "overlappen"),
        (("met incident.einde", "met incident.ander"), "overlappen"),
        (('"P:tot" =', '"P:tot/P:x" = "y"\n"P:tot" ='), "niet in het schema"),
        (('"P:tot" =', '"P:adres/P:plaats" = "y"\n"P:tot" ='), "andere rij"),
        (('"incident.begin | met incident.einde"', '"incident.begin"'), "meer dan een rij"),
    ],
)
def test_conditions_that_overlap_are_refused(change: tuple[str, str], complaint: str) -> None:
    text = (EXAMPLES / "proef" / "bericht.toml").read_text()
    with pytest.raises(MappingInvalid, match=complaint):
        _proef(text.replace(*change))


def _of(rows: str, fields: dict[str, str] | None = None, **shared: Any) -> Mapping:
    file = {"root": "P:bericht", "soort": "proef", "rows": tomllib.loads(rows)}
    return Mapping("los.toml", file, PROEF, fields or {}, Shared({}, **shared))


def test_waar_with_several_values_writes_the_first_and_says_that_another_is_rounded() -> None:
    waar = '{ rol = ["ouder", "voogd"] }'
    mapping = _of(f'"P:ouder*" = {{ naar = "lijst", waar = {waar}, "P:naam" = "naam" }}')
    tree, loss = mapping.render(
        {"lijst": [{"rol": "voogd", "naam": "A"}, {"rol": "ouder", "naam": "B"}]}
    )

    assert {"P:ouder": [{"P:naam": "A"}, {"P:naam": "B"}]} == tree
    assert [("lijst[0].rol", "afgerond")] == [(x.path, x.how) for x in loss]
    assert ["ouder", "ouder"] == [one["rol"] for one in mapping.parse(tree)[0]["lijst"]]


def test_one_element_may_be_an_item_of_a_list() -> None:
    mapping = _of('"P:aangifte" = { naar = "lijst", waar = {}, rows = { "" = "naam" } }')
    tree, loss = mapping.render({"lijst": [{"naam": "A"}, {"naam": "B"}]})

    assert {"P:aangifte": {"": "A"}} == tree
    assert ["lijst[1]"] == [x.path for x in loss]
    assert {"lijst": [{"naam": "A"}]} == mapping.parse(tree)[0]


def test_met_asks_a_field_of_an_item_and_an_empty_element_is_none() -> None:
    mapping = _of(
        """
        "P:adres" = { naar = "lijst", waar = { s = "1" }, met = "in", "P:plaats" = "in.plaats" }
        "P:melder" = { naar = "lijst", waar = { s = "1" }, met = "uit", "P:naam" = "uit.land" }
        """
    )
    event = {"lijst": [{"s": "1", "uit": {"land": "B"}}, {"s": "1", "in": {"plaats": "A"}}]}
    tree, loss = mapping.render(event)

    assert ({"P:melder": {"P:naam": "B"}, "P:adres": {"P:plaats": "A"}}, []) == (tree, loss)
    assert _sorted(event) == _sorted(mapping.parse(tree)[0])
    assert {} == mapping.parse({"P:adres": {}})[0]


def test_several_fragments_are_used_at_once_and_a_row_of_its_own_goes_before() -> None:
    fragments = {"a": {"P:naam": "x"}, "b": {"P:naam": "y"}}
    both = '"P:melder" = { naar = "m", gebruik = ["a", "b"] }'
    own = '"P:melder" = { naar = "m", gebruik = ["a", "b"], "P:naam" = "z" }'

    for row, field in ((both, "x"), (own, "z")):
        mapping = _of(row, fragments=fragments)
        assert ({"P:melder": {"P:naam": "1"}}, []) == mapping.render({"m": {field: "1"}})


def test_a_code_may_be_an_object_of_ours() -> None:
    rows = [
        {"partner": "VT-01", "canoniek": "beoordeeld/overdracht", "betekenis": "x"},
        {"partner": "VT-02", "canoniek": "overdracht", "betekenis": "x"},
    ]
    table = codes.table("proef", {"bron": "x", "velden": ["status", "uitkomst"], "code": rows})

    for code, meant in (
        ("VT-01", {"status": "beoordeeld", "uitkomst": "overdracht"}),
        ("VT-02", {"status": "overdracht"}),
    ):
        assert meant == table.parse(code, {})
        assert code == table.render(meant)


def test_what_means_nothing_anywhere_is_lost_with_its_reason_and_category() -> None:
    niet = {"niet": "Kennen we niet.", "wgs": "vrije-tekst"}
    mapping = _of('"P:op" = "x"', overal={"P:vraag": niet})
    _, loss = mapping.parse({"P:op": "1", "P:vraag": [{"P:code": "geheim"}]})

    assert [("P:vraag", "vrije-tekst", "Kennen we niet.")] == [
        (x.path, x.category, x.reason) for x in loss
    ]


MELDING = EXAMPLES / "melding"


def _melding() -> tuple[Mapping, structure.Element]:
    schema = Path(str(folder("schemas"))) / "stuf-jz" / "1.0.9" / "jz-gm.xsd"
    shape = structure.structure(schema, "JZ:meldingGeneriekDi01", PREFIXES)
    stuf = Path(str(folder("mappings"))) / "stuf-jz"
    soort = codes.words(
        "soortmelding", {"NAZ": "niet-acute-zorg", "VT": "veilig-thuis", "ZVH": "zvh"}
    )
    file = read_toml(MELDING / "meldingGeneriekDi01.toml")
    shared = Shared(
        {**CONVERTERS, "code soortmelding": soort},
        {**read_toml(stuf / "fragmenten.toml"), **read_toml(MELDING / "fragmenten.toml")},
        **read_toml(stuf / "dialect.toml"),
    )
    return Mapping("meldingGeneriekDi01.toml", file, shape, {}, shared), shape


def test_a_melding_goes_through_and_comes_back_the_same() -> None:
    mapping, shape = _melding()
    tree = xmldoc.to_tree(xmldoc.read((MELDING / "meldingGeneriekDi01.xml").read_bytes()), shape)
    event, loss = mapping.parse(tree)
    back, lost = mapping.render(event)

    assert [] == loss
    assert [] == lost
    back["JZ:stuurgegevens"].pop("StUF:tijdstipBericht")
    tree["JZ:stuurgegevens"].pop("StUF:tijdstipBericht")  # written to the millisecond
    assert tree == back
    assert "zvh" == event["data"]["soort"]
    assert "2025-03-01T09:00+01:00" == event["data"]["incident"]["begin"]
    assert "onderwerp" == event["data"]["betrokkenen"][0]["positie"]
    assert "02" == event["data"]["betrokkenen"][0]["persoon"]["adressen"][0]["soort"]


def test_the_mapping_of_a_melding_speaks_of_every_leaf() -> None:
    mapping, _ = _melding()

    assert [] == mapping.unmapped()
