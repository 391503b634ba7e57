"""Routing lists: dated, sourced, never guessed, and refused when they contradict themselves."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.gebieden import Gebieden
from gateway.errors import MappingInvalid, NoReceiver, UnknownCode
from gateway.resources import folder

ROUTING = folder("mappings") / "routing"
GEBIEDEN = Gebieden.read(ROUTING)
TODAY = date(2026, 11, 24)
FIRST, MERGER, DAY = date(2023, 1, 1), date(2027, 1, 1), timedelta(days=1)
BARONIE = "0744 0758 0777 0779 0826 0879 1709 1719 1723 1959".split()  # noqa: SIM905
OIN = "00000099000000009000"

# Three gemeenten: A ended and became B, which changed its name; C was divided.
SMALL = {
    "gemeenten": [
        '{ gemeente = "0001", naam = "A", opvolger = "0002", '
        + "geldig-van = 2000-01-01, geldig-tot = 2009-12-31 }",
        '{ gemeente = "0002", naam = "B", geldig-van = 2005-01-01, geldig-tot = 2014-12-31 }',
        '{ gemeente = "0002", naam = "B (nieuw)", geldig-van = 2015-01-01 }',
        '{ gemeente = "0003", naam = "C", geldig-van = 2000-01-01, geldig-tot = 2009-12-31 }',
    ],
    "huizen": ['{ gemeente = "0002", huis = "x", geldig-van = 2010-01-01 }'],
    "veilig-thuis": [],
    "mandaten": [],
    "instanties": [],
}


def write(target: Path, **changed: list[str]) -> Path:
    """The small lists as files, with some of them replaced."""
    lists = SMALL | {name.replace("_", "-"): rows for name, rows in changed.items()}
    for name, rows in lists.items():
        text = "\n".join(['bron = "verzonnen"', "rij = [", *(f"  {row}," for row in rows), "]"])
        (target / f"{name}.toml").write_text(text, encoding="utf-8")
    return target


def read(**changed: list[str]) -> Gebieden:
    with TemporaryDirectory() as target:
        return Gebieden.read(write(Path(target), **changed))


def published(name: str) -> list[dict[str, Any]]:
    tree = tomllib.loads((ROUTING / f"{name}.toml").read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = tree["rij"]
    return rows


# --- the lists that are shipped ------------------------------------------------------------------


def test_every_gemeente_of_2023_is_there_once() -> None:
    codes = [row["gemeente"] for row in published("gemeenten")]

    assert len(codes) == len(set(codes)) == 342
    assert codes == sorted(codes)
    assert all(GEBIEDEN.bestaat(code, FIRST) for code in codes)
    assert not any(GEBIEDEN.bestaat(code, FIRST - DAY) for code in codes)


def test_a_merged_gemeente_ends_the_day_before_and_has_a_successor() -> None:
    assert GEBIEDEN.bestaat("1696", MERGER - DAY)
    assert GEBIEDEN.opvolger_van("1696", MERGER - DAY) == "1696"
    assert not GEBIEDEN.bestaat("1696", MERGER)
    assert GEBIEDEN.opvolger_van("1696", MERGER) == "0402"


@pytest.mark.parametrize("list_", ["huizen", "veilig-thuis", "mandaten"])
def test_only_the_gemeenten_the_sources_name_are_filled_in(list_: str) -> None:
    assert {row["gemeente"] for row in published(list_)} == set(BARONIE)


@pytest.mark.parametrize("gemeente", BARONIE)
def test_a_gemeente_of_de_baronie_has_house_veilig_thuis_and_mandate(gemeente: str) -> None:
    assert GEBIEDEN.huis_van(gemeente, TODAY) == "baronie"
    assert GEBIEDEN.mandaat_van(gemeente, TODAY) == "baronie"
    assert GEBIEDEN.veilig_thuis_van(gemeente, TODAY).startswith("00000099")


LOOKUPS = [GEBIEDEN.huis_van, GEBIEDEN.veilig_thuis_van, GEBIEDEN.mandaat_van]


@pytest.mark.parametrize("lookup", LOOKUPS, ids=lambda lookup: lookup.__name__)
def test_what_no_row_says_is_refused(lookup: Callable[[str, date], str]) -> None:
    with pytest.raises(NoReceiver):
        lookup("0363", TODAY)  # Amsterdam: a gemeente, but no row
    for gemeente, day in [("9999", TODAY), ("758", TODAY), ("GM0758", TODAY), ("", TODAY)]:
        with pytest.raises(UnknownCode):
            lookup(gemeente, day)
    with pytest.raises(UnknownCode):
        lookup("0758", FIRST - DAY)
    with pytest.raises(UnknownCode):
        lookup("1696", MERGER)


def test_no_refusal_repeats_a_value_of_the_message() -> None:
    with pytest.raises(UnknownCode) as unknown:
        GEBIEDEN.huis_van("7777", TODAY)
    with pytest.raises(UnknownCode) as organisation:
        GEBIEDEN.oin_van("XX7777", TODAY)
    with pytest.raises(NoReceiver) as nobody:
        GEBIEDEN.huis_van("0363", TODAY)

    told = [error.value.reason() for error in (unknown, organisation, nobody)]
    assert not any("7777" in text or "0363" in text for text in told)


# --- organisations -------------------------------------------------------------------------------


def test_an_instantiecode_is_an_oin_while_it_is_valid() -> None:
    assert GEBIEDEN.oin_van("AR0049", TODAY) == "00000004000000145000"
    assert GEBIEDEN.oin_van("RC0104", TODAY).startswith("00000099")
    assert GEBIEDEN.oin_van("AR0002", date(2012, 12, 31))
    with pytest.raises(UnknownCode):
        GEBIEDEN.oin_van("AR0002", date(2013, 1, 1))
    with pytest.raises(UnknownCode):
        GEBIEDEN.oin_van("AR0049", date(2012, 12, 31))


@pytest.mark.parametrize("name", [OIN, f"{OIN}_OTA"])
def test_an_oin_is_itself_without_the_mark_of_test_systems(name: str) -> None:
    assert GEBIEDEN.oin_van(name, TODAY) == OIN


@pytest.mark.parametrize(
    "name", ["", "_OTA", "AR9999", "ar0049", "AR0049_OTA", f"{OIN}_T", OIN[1:], f"{OIN}\n", "ZSM"]
)
def test_what_is_no_oin_and_no_known_instantie_is_refused(name: str) -> None:
    with pytest.raises(UnknownCode):
        GEBIEDEN.oin_van(name, TODAY)


# --- days ----------------------------------------------------------------------------------------


Period = tuple[date, date | None]


@st.composite
def periods(draw: st.DrawFn) -> list[Period]:
    """Periods in order that share no day; the last may be open, some touch."""
    days = sorted(draw(st.sets(st.dates(date(1900, 1, 2), date(2200, 1, 1)), min_size=2)))
    found: list[Period] = [*zip(days[::2], days[1::2], strict=False)]
    if draw(st.booleans()):  # each begins on the day after the one before
        found = [(days[0], days[1]), *((a + DAY, b) for a, b in pairwise(days[1:]))]
    return [*found[:-1], (found[-1][0], None)] if draw(st.booleans()) else found


def instanties(found: list[Period]) -> list[str]:
    return [
        f'{{ instantie = "AR0001", naam = "n", oin = "{number:020}", geldig-van = {van}'
        + (f", geldig-tot = {tot} }}" if tot else " }")
        for number, (van, tot) in enumerate(found)
    ]


@given(periods(), st.randoms())
def test_a_row_holds_from_its_first_day_to_its_last(found: list[Period], chance: Any) -> None:
    rows = instanties(found)
    chance.shuffle(rows)  # their order in the file means nothing
    gebieden = read(instanties=rows)

    edges = {day for van, tot in found for day in (van, tot or date.max)}
    near = {day + step for day in edges - {date.max} for step in (-DAY, 0 * DAY, DAY)} | edges
    for day in near:
        holding = [n for n, (van, tot) in enumerate(found) if van <= day <= (tot or date.max)]
        if holding:
            assert gebieden.oin_van("AR0001", day) == f"{holding[0]:020}"
        else:
            with pytest.raises(UnknownCode):
                gebieden.oin_van("AR0001", day)


@given(periods(), st.data())
def test_two_rows_of_one_key_never_share_a_day(found: list[Period], data: st.DataObject) -> None:
    van, tot = data.draw(st.sampled_from(found))
    shared = data.draw(st.dates(van, tot or date(2300, 1, 1)))
    begin = data.draw(st.dates(date(1890, 1, 1), shared))

    with pytest.raises(MappingInvalid, match=r"routing/instanties\.toml rij \d+: shares a day"):
        read(instanties=instanties([*found, (begin, shared)]))


@given(st.dates(date(1990, 1, 1), date(2030, 1, 1)))
def test_a_successor_exists_on_the_day_it_is_given_for(day: date) -> None:
    gebieden = read()
    for gemeente in ("0001", "0002", "0003"):
        try:
            assert gebieden.bestaat(gebieden.opvolger_van(gemeente, day), day)
        except UnknownCode:  # before it began, or divided
            assert not gebieden.bestaat(gemeente, day)
            assert gemeente == "0003" or day < date(2005, 1, 1)


def test_successors_are_followed_to_the_one_that_exists() -> None:
    chain = [
        f'{{ gemeente = "000{n}", naam = "n", geldig-van = {2000 + n}-01-01, '
        f'geldig-tot = {2001 + n}-12-31, opvolger = "000{n + 1}" }}'
        for n in (1, 2)
    ]
    gebieden = read(
        gemeenten=[*chain, '{ gemeente = "0003", naam = "n", geldig-van = 2003-01-01 }'], huizen=[]
    )

    found = [gebieden.opvolger_van("0001", date(year, 12, 31)) for year in (2001, 2002, 2003, 2004)]
    assert found == ["0001", "0001", "0002", "0003"]


def test_a_change_of_name_does_not_end_what_belongs_to_a_gemeente() -> None:
    gebieden = read()

    assert {gebieden.huis_van("0002", date(year, 1, 1)) for year in (2010, 2015, 2030)} == {"x"}


# --- what is refused when it is read -------------------------------------------------------------

GEMEENTE = '{ gemeente = "0002", naam = "B", geldig-van = 2005-01-01 }'
HUIS = '{ gemeente = "0002", huis = "x", geldig-van = 2010-01-01 }'


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (HUIS.replace("0002", "9999"), "no gemeente 9999"),
        (HUIS.replace("2010", "2004"), "no gemeente 0002"),  # before it began
        (HUIS.replace("0002", "0001").replace("2010", "2005"), "no gemeente 0001"),  # outlasts it
        (HUIS.replace("0002", "002"), "gemeente"),
        (HUIS.replace('"0002"', "2"), "gemeente"),
        (HUIS.replace("0002", "٠٠٠٢"), "gemeente"),
        (HUIS.replace('"x"', '""'), "huis"),
        (HUIS.replace('"x"', '" x"'), "huis"),
        (HUIS.replace("huis", "house"), "house"),
        (HUIS.replace("geldig-van", "geldig_van"), "geldig"),
        (HUIS.replace(", geldig-van = 2010-01-01", ""), "geldig-van"),
        (HUIS.replace("2010-01-01", '"2010-01-01"'), "days"),
        (HUIS.replace("2010-01-01", "2010-01-01T00:00:00"), "days"),
        (HUIS.replace("2010-01-01", "2010-01-02, geldig-tot = 2010-01-01"), "in this order"),
        (HUIS.replace("}", ', opvolger = "0001" }'), "opvolger"),
        ('"0002"', "not a table"),
    ],
)
def test_a_wrong_row_is_refused_with_its_file_and_number(row: str, why: str) -> None:
    good = HUIS.replace("0002", "0003").replace("2010-01-01", "2000-01-01, geldig-tot = 2000-01-31")

    with pytest.raises(MappingInvalid, match=rf"routing/huizen\.toml rij 2: .*{why}"):
        read(huizen=[good, row])


@pytest.mark.parametrize(
    "row",
    [
        GEMEENTE.replace("}", ', opvolger = "0001" }'),  # follows nothing: this one never ends
        GEMEENTE.replace("}", ', geldig-tot = 2006-12-31, opvolger = "0009" }'),
        GEMEENTE.replace("}", ', geldig-tot = 2006-12-31, opvolger = "0002" }'),
    ],
)
def test_a_successor_that_does_not_exist_is_refused(row: str) -> None:
    with pytest.raises(MappingInvalid, match=r"routing/gemeenten\.toml rij 1: no gemeente"):
        read(gemeenten=[row], huizen=[])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rij = []",
        'bron = "x"',
        'bron = " "\nrij = []',
        "bron = 5\nrij = []",
        'bron = "x"\nrij = 5',
        'bron = "x"\nrij = []\nmeer = 1',
        'bron = "x"\nrij = [',
        "\xff",
    ],
)
def test_a_file_without_source_or_rows_is_refused(text: str, tmp_path: Path) -> None:
    (write(tmp_path) / "mandaten.toml").write_bytes(text.encode("latin-1"))

    with pytest.raises(MappingInvalid, match=r"routing/mandaten\.toml"):
        Gebieden.read(tmp_path)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_every_list_must_be_there(name: str, tmp_path: Path) -> None:
    (write(tmp_path) / f"{name}.toml").unlink()

    with pytest.raises(MappingInvalid, match=rf"routing/{name}\.toml"):
        Gebieden.read(tmp_path)
