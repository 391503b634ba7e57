"""StUF dates and times: what they mean, and that they come back as they were."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidValue
from gateway.formats import stuf
from gateway.formats.tree import Nil

from .berichten import deeldatums, momenten

IND = "@StUF:indOnvolledigeDatum"


@pytest.mark.parametrize(
    ("text", "known", "expected"),
    [
        ("19850412", "V", "1985-04-12"),
        (" 19850412 ", "V", "1985-04-12"),
        ("+19850412", "V", "1985-04-12"),
        ("19850400", "D", "1985-04"),
        ("19850412", "D", "1985-04"),
        ("198504", "D", "1985-04"),
        ("19850000", "M", "1985"),
        ("1985", "M", "1985"),
        ("19850412", "J", Nil("waardeOnbekend")),
    ],
)
def test_a_date_means_what_its_indicator_says(text: str, known: str, expected: Any) -> None:
    assert expected == stuf.parse_datum(text, {IND: known})


@pytest.mark.parametrize("text", ["20250231", "1985", "0", "-19850412", "198504121", "19851300"])
def test_a_date_that_cannot_exist_is_refused_without_its_value(text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        stuf.parse_datum(text, {})

    assert text not in caught.value.reason()


@given(deeldatums)
def test_a_partial_date_comes_back(value: str) -> None:
    node = stuf.render_datum(value)
    text, attributes = (node, {}) if isinstance(node, str) else (node[""], node)

    assert value == stuf.parse_datum(text, attributes)


@pytest.mark.parametrize(
    ("digits", "iso"),
    [
        ("20250301", "2025-03-01"),
        ("2025030110", "2025-03-01T10+01:00"),
        ("202507011015", "2025-07-01T10:15+02:00"),
        ("20250301101500", "2025-03-01T10:15:00+01:00"),
        ("202503011015001", "2025-03-01T10:15:00.1+01:00"),
        ("20250301101500123", "2025-03-01T10:15:00.123+01:00"),
        ("20251026023000", "2025-10-26T02:30:00+02:00"),  # occurs twice: the first is meant
        ("20250330023000", "2025-03-30T02:30:00+01:00"),  # does not occur: digits are kept
    ],
)
def test_a_tijdstip_keeps_its_precision_and_comes_back(digits: str, iso: str) -> None:
    assert iso == stuf.parse_tijdstip(digits, {})
    assert digits == stuf.render_tijdstip(iso)


@pytest.mark.parametrize(
    "digits",
    ["202503011", "20250230", "2025030125", "20250301101560", "00010101000000", "19391231"],
)
def test_a_tijdstip_that_cannot_exist_is_refused(digits: str) -> None:
    with pytest.raises(InvalidValue):
        stuf.parse_tijdstip(digits, {})


@given(momenten)
def test_a_moment_to_the_millisecond_comes_back_but_for_the_hour_that_occurs_twice(
    value: str,
) -> None:
    back = stuf.parse_moment(stuf.render_moment(value), {})
    whole = value[:-1].partition(".")[0]
    millis = value[:-1].partition(".")[2][:3].rstrip("0")
    expected = f"{whole}.{millis}Z" if millis else f"{whole}Z"
    twice = value[5:7] == "10" and value[11:13] == "01"

    assert back == expected or twice


@given(st.text(st.characters(codec="ascii"), max_size=17))
def test_no_text_gives_anything_but_a_value_or_a_refusal(text: str) -> None:
    for parse in (stuf.parse_datum, stuf.parse_tijdstip, stuf.parse_moment):
        try:
            parse(text, {})
        except InvalidValue:
            continue
