"""StUF 03.01 as the chain speaks it: its dates, times and yes and no."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import NoReturn
from zoneinfo import ZoneInfo

from gateway.errors import InvalidValue
from gateway.formats.tree import Converter, Nil, Node, Tree

AMSTERDAM = ZoneInfo("Europe/Amsterdam")  # a StUF tijdstip has no zone; the chain uses local time

EARLIEST = 1946  # since then the Dutch offset is in whole hours; no message is about a time before

PREFIXES = {
    "JZ": "http://www.stufstandaarden.nl/koppelvlak/jz0100",
    "BG": "http://www.egem.nl/StUF/sector/bg/0310",
    "ZKN": "http://www.egem.nl/StUF/sector/zkn/0310",
    "StUF": "http://www.egem.nl/StUF/StUF0301",
    "xmime": "http://www.w3.org/2005/05/xmlmime",
}

_INCOMPLETE = "@StUF:indOnvolledigeDatum"
_DECIMAL = re.compile(
    r"\+?0*([0-9]{1,8})(?:\.0*)?", re.ASCII
)  # what an XSD decimal of a date can be
_DIGITS = re.compile(r"[0-9]{8,17}", re.ASCII)
_LENGTHS = {8: "", 10: "T{}", 12: "T{}:{}", 14: "T{}:{}:{}"}
_TIME = re.compile(r"T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?([+-]\d\d:\d\d|Z)$")


def parse_datum(text: str, attributes: Tree) -> str | Nil:
    """
    `YYYYMMDD` (an XSD decimal) with indOnvolledigeDatum: V complete, D day unknown, M month and day
    unknown, J all unknown. Digits of an unknown part say nothing and are not kept.
    """
    known = attributes.get(_INCOMPLETE, "V")
    if known == "J":
        return Nil("waardeOnbekend")
    written = _DECIMAL.fullmatch(text.strip())
    if not written:
        _no_date()
    number = int(written[1])
    digits = str(number)
    if known == "M" and 1 <= number <= 9999:
        digits = f"{number:04}0000"
    elif known == "D" and len(digits) <= 6:
        digits = f"{number:06}00"
    digits = digits.zfill(8)
    if len(digits) != 8 or digits.startswith("0000"):
        _no_date()
    year, month, day = digits[:4], digits[4:6], digits[6:]
    if known == "M":
        return year
    try:
        date(int(year), int(month), int(day) if known == "V" else 1)
    except ValueError:
        _no_date()
    return f"{year}-{month}" + (f"-{day}" if known == "V" else "")


def render_datum(value: str) -> Node:
    """The reverse of `parse_datum`; unknown parts become zeros."""
    digits = value.replace("-", "")
    if len(digits) == 8:
        return digits
    return {"": digits.ljust(8, "0"), _INCOMPLETE: "D" if len(digits) == 6 else "M"}


def parse_tijdstip(text: str, _: Tree) -> str:
    """
    8 to 17 digits to ISO 8601 with the same precision. In the hour that occurs twice the first is
    meant; an instant in the hour that does not occur keeps its digits, with winter time.
    """
    return _local(text)[0]


def render_tijdstip(value: str) -> str:
    """The reverse: as many digits as the value has precision, in Dutch local time."""
    found = _TIME.search(value)
    if not found:
        return value.replace("-", "")
    hour, minute, second, fraction, _ = found.groups()
    digits = value[:10].replace("-", "") + "".join(filter(None, (hour, minute, second, fraction)))
    if _local(digits)[0] == value:
        return digits
    full = f"{value[:10]}T{hour}:{minute or '00'}:{second or '00'}{found[5]}"
    moment = datetime.fromisoformat(full).astimezone(AMSTERDAM)
    local = f"{moment:%Y%m%d%H%M%S}"
    if fraction:
        return local + fraction
    return local[: 14 if second else 12 if minute or moment.minute else 10]


def parse_moment(text: str, _: Tree) -> str:
    """A tijdstip of any precision to an instant in UTC; what is missing is taken as zero."""
    moment = _local(text)[1].astimezone(UTC)
    fraction = f".{moment.microsecond // 1000:03}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"  # four digits: never before EARLIEST


def render_moment(value: str) -> str:
    """An instant to seventeen digits of local time."""
    moment = datetime.fromisoformat(value).astimezone(AMSTERDAM)
    return f"{moment:%Y%m%d%H%M%S}{moment.microsecond // 1000:03}"


def _local(text: str) -> tuple[str, datetime]:
    """A tijdstip as ISO text of its own precision, and as aware datetime."""
    if not _DIGITS.fullmatch(text) or len(text) in (9, 11, 13):
        raise InvalidValue("Een tijdstip heeft hele onderdelen: 8, 10, 12, 14 of meer cijfers.")
    filled = text[:14].ljust(14, "0")
    fraction = text[14:]
    try:
        naive = datetime.strptime(filled, "%Y%m%d%H%M%S")
    except ValueError:
        raise InvalidValue("Dit tijdstip bestaat niet.") from None
    if naive.year < EARLIEST:
        raise InvalidValue(f"Een tijdstip ligt niet voor {EARLIEST}.")
    moment = naive.replace(tzinfo=AMSTERDAM)
    if moment.astimezone(UTC).astimezone(AMSTERDAM).replace(tzinfo=None) != naive:
        moment = naive.replace(tzinfo=AMSTERDAM, fold=1)  # the hour that is skipped in spring
    moment += timedelta(milliseconds=int(fraction.ljust(3, "0"))) if fraction else timedelta(0)
    day = f"{filled[:4]}-{filled[4:6]}-{filled[6:8]}"
    if len(text) == 8:
        return day, moment
    parts = [filled[8:10], filled[10:12], filled[12:14]]
    iso = day + _LENGTHS[min(len(text), 14)].format(*parts)
    offset = f"{moment:%z}"
    return f"{iso}{'.' if fraction else ''}{fraction}{offset[:3]}:{offset[3:]}", moment


def _no_date() -> NoReturn:
    raise InvalidValue("Deze datum bestaat niet.")


def _two_words(yes: str, no: str) -> Converter:
    words = {yes: True, no: False}
    texts = {True: yes, False: no}
    return Converter(lambda text, _: words[text], lambda value: texts[value])


CONVERTERS = {
    "stuf-datum": Converter(parse_datum, render_datum, frozenset({_INCOMPLETE})),
    "stuf-tijdstip": Converter(parse_tijdstip, render_tijdstip, lossy=True),
    "stuf-moment": Converter(parse_moment, render_moment, lossy=True),
    "stuf-indicatie": _two_words("J", "N"),
    "stuf-indic": _two_words("Ja", "Nee"),
}
