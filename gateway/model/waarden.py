"""
Values that cannot be wrong: a value of one of these types that exists, is valid.

All are strings, because numbers lose leading zeros. What each checks is said in its docstring;
whether the person or organisation behind it exists is never checked.
"""

from datetime import datetime
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


def _elfproef(value: str) -> str:
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    total = sum(int(digit) * w for digit, w in zip(value, weights, strict=True))
    if total % 11 or value == "000000000":
        raise onjuist("Het BSN doorstaat de elfproef niet.", "bsn-ongeldig")
    return value


def _exists(value: str) -> str:
    """On the calendar and the clock; a part that is not there counts as the first."""
    try:
        datetime.fromisoformat(value if len(value) > 7 else f"{value}-01-01"[:10])
    except ValueError:
        raise onjuist("Deze datum of dit tijdstip bestaat niet.") from None
    return value


def _shortest(value: str) -> str:
    """Without zeros that end a fraction: one way to write one instant."""
    whole, _, fraction = value[:-1].partition(".")
    return f"{whole}.{fraction}".rstrip("0").rstrip(".") + "Z" if fraction else value


Bsn = Annotated[str, Field(pattern="^[0-9]{9}$"), AfterValidator(_elfproef)]
"""Burgerservicenummer (Wabb art. 1): passes the 11-proef; the leading zero is kept."""

Oin = Annotated[str, Field(pattern="^[0-9A-Z]{20}$")]
"""Organisatie-identificatienummer (Digikoppeling OIN-stelsel); prefix 00000099 is for tests."""

Vnummer = Annotated[str, Field(pattern="^([0-9]{10}|[0-9]{17})$")]
"""Vreemdelingennummer: ten digits, or seventeen in old StUF messages."""

Deeldatum = Annotated[
    str, Field(pattern="^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"), AfterValidator(_exists)
]
"""A date of which the day, or month and day, may be unknown: `1985`, `1985-04`, `1985-04-12`."""

_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"T[0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3})?)?)?(Z|[+-][0-9]{2}:[0-9]{2})"
_UTC = r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z"

Tijdstip = Annotated[
    str, Field(pattern=f"^([0-9]{{4}}(-[0-9]{{2}})?|{_DATE}({_TIME})?)$"), AfterValidator(_exists)
]
"""
An instant that keeps the precision it was given with: a year, a month, a day, an hour, … a
millisecond. Anything finer than a day carries its zone.
"""

Moment = Annotated[
    str,
    Field(pattern=f"^{_DATE}{_UTC}$", json_schema_extra={"format": "date-time"}),
    AfterValidator(_exists),
    AfterValidator(_shortest),
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
