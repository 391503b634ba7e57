"""
Values that cannot be wrong: a value of one of these types that exists, is valid.

All are strings, because numbers lose leading zeros. What each checks is said in its docstring;
whether the person or organisation behind it exists is never checked.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError


def onjuist(rule: str, code: str = "waarde-ongeldig") -> PydanticCustomError:
    """The error of a value; `gateway.model.lees` turns it into ours, with its place."""
    return PydanticCustomError(code, "{rule}", {"rule": rule})


class Wgs(StrEnum):
    """The closed list of categories of Wgs art. 2.30(1)(a); free text counts as every one."""

    IDENTIFICEREND = "identificerend"
    BSN = "bsn"
    WOONSITUATIE = "woonsituatie"
    FINANCIEEL = "financieel"
    INKOMEN = "inkomen"
    GEZONDHEID = "gezondheid"
    POLITIE = "politie"
    JUSTITIE = "justitie"
    RELATIES = "relaties"
    TOEZICHT = "toezicht"
    VOORZIENINGEN = "voorzieningen"
    HULPVERLENING = "hulpverlening"
    VRIJE_TEKST = "vrije-tekst"
    GEEN = "geen"  # about the message, not about a person


def wgs(category: Wgs, *, default: Any = ..., **flags: bool) -> Any:
    """Field metadata: the Wgs category, and flags such as `nationaliteit`, `skn`, `melder`."""
    return Field(default, json_schema_extra={"wgs": category.value, **flags})


def _bsn(value: str) -> str:
    """Nine ASCII digits that pass the 11-proef; the leading zero is kept."""
    if not re.fullmatch(r"[0-9]{9}", value, re.ASCII) or value == "000000000":
        raise onjuist("Een BSN heeft negen cijfers.", "bsn-ongeldig")
    digits = [int(c) for c in value]
    total = sum(d * w for d, w in zip(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1), strict=True))
    if total % 11:
        raise onjuist("Het BSN doorstaat de elfproef niet.", "bsn-ongeldig")
    return value


def _pattern(pattern: str, rule: str) -> Any:
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise onjuist(rule)
        return value

    return AfterValidator(check)


Bsn = Annotated[str, AfterValidator(_bsn), Field(json_schema_extra={"pattern": "^[0-9]{9}$"})]
"""Burgerservicenummer (Wabb art. 1)."""

Oin = Annotated[
    str,
    _pattern(r"[0-9A-Z]{20}", "Een OIN heeft twintig tekens."),
    Field(json_schema_extra={"pattern": "^[0-9A-Z]{20}$"}),
]
"""Organisatie-identificatienummer (Digikoppeling OIN-stelsel); prefix 00000099 is for tests."""

Vnummer = Annotated[
    str,
    _pattern(r"[0-9]{10}|[0-9]{17}", "Een V-nummer heeft 10 of 17 cijfers."),
    Field(json_schema_extra={"pattern": "^([0-9]{10}|[0-9]{17})$"}),
]
"""Vreemdelingennummer: ten digits, or seventeen in old StUF messages."""

_DEELDATUM = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?", re.ASCII)


def _deeldatum(value: str) -> str:
    found = _DEELDATUM.fullmatch(value)
    if not found:
        raise onjuist("Een datum is JJJJ, JJJJ-MM of JJJJ-MM-DD.")
    try:
        date(int(found[1]), int(found[2] or 1), int(found[3] or 1))
    except ValueError:
        raise onjuist("Deze datum bestaat niet.") from None
    return value


Deeldatum = Annotated[
    str,
    AfterValidator(_deeldatum),
    Field(json_schema_extra={"pattern": "^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"}),
]
"""A date of which the day, or month and day, may be unknown: `1985`, `1985-04`, `1985-04-12`."""

_TIJDSTIP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:T([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,3}))?)?)?([+-][0-9]{2}:[0-9]{2}|Z))?",
    re.ASCII,
)


def _tijdstip(value: str) -> str:
    found = _TIJDSTIP.fullmatch(value)
    if not found:
        raise onjuist("Een tijdstip is een datum, of datum en tijd met zone.")
    day, hour, minute, second, _, zone = found.groups()
    try:
        date.fromisoformat(day)
        if hour is not None:
            datetime.fromisoformat(f"{day}T{hour}:{minute or '00'}:{second or '00'}{zone}")
    except ValueError:
        raise onjuist("Dit tijdstip bestaat niet.") from None
    return value


Tijdstip = Annotated[
    str,
    AfterValidator(_tijdstip),
    Field(
        json_schema_extra={
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}(:[0-9]{2}(:[0-9]{2}"
            "(\\.[0-9]{1,3})?)?)?(Z|[+-][0-9]{2}:[0-9]{2}))?$"
        }
    ),
]
"""
An instant that keeps the precision it was given with: a day, an hour, … a millisecond.
Anything finer than a day carries its zone.
"""

_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z", re.ASCII
)


def _instant(value: str) -> str:
    if not _INSTANT.fullmatch(value):
        raise onjuist("Een moment is JJJJ-MM-DDTuu:mm:ssZ (UTC).")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise onjuist("Dit moment bestaat niet.") from None
    if not timedelta(0) == moment.utcoffset():
        raise onjuist("Een moment is in UTC.")
    whole, _, fraction = value[:-1].partition(".")
    fraction = fraction.rstrip("0")  # one way to write one instant
    return f"{whole}.{fraction}Z" if fraction else f"{whole}Z"


Moment = Annotated[
    str,
    AfterValidator(_instant),
    Field(
        json_schema_extra={
            "format": "date-time",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,6})?Z$",
        }
    ),
]
"""An instant in UTC (RFC 3339), as CloudEvents `time` wants it."""


class GeenWaarde(StrEnum):
    """Why a field that should be there has no value (StUF 03.01, attribute noValue)."""

    NIET_ONDERSTEUND = "nietOndersteund"
    NIET_GEAUTORISEERD = "nietGeautoriseerd"
    GEEN_WAARDE = "geenWaarde"
    WAARDE_ONBEKEND = "waardeOnbekend"
    VASTGESTELD_ONBEKEND = "vastgesteldOnbekend"
    LEEG = "leeg"  # nil without a reason, where the field could also have been left out
