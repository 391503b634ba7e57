"""StUF 03.01 as the chain speaks it: its dates, times and yes and no."""

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from gateway.errors import InvalidValue
from gateway.formats.codes import words
from gateway.formats.tree import TEXT, Converter, Nil, Node, Tree

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
_NO_DATE = {TEXT: "00000000", _INCOMPLETE: "J"}
_KNOWN_PARTS = {"M": 1, "D": 2, "V": 3}
_DECIMAL = re.compile(r"\+?0*([0-9]{1,8})(?:\.0*)?", re.ASCII)  # how XSD may write a date
_DIGITS = re.compile(r"(?:[0-9]{2}){4,6}|[0-9]{14,17}", re.ASCII)
_PRECISION = {10: "hours", 12: "minutes"}
_ZONE = re.compile(r"([+-]\d\d:\d\d|Z)$")


def parse_datum(text: str, attributes: Tree) -> str | Nil:
    """
    `YYYYMMDD` (an XSD decimal) with indOnvolledigeDatum: V complete, D day unknown, M month and day
    unknown, J all unknown. Digits of an unknown part say nothing and are not kept.
    """
    known = attributes.get(_INCOMPLETE, "V")
    if known == "J":
        return Nil("waardeOnbekend")
    count = _KNOWN_PARTS[known]
    written = _DECIMAL.fullmatch(text.strip())
    # a decimal has no leading zeros, and an unknown part may be zeros or not there
    digits = (written[1] if written else "").lstrip("0").zfill(2 + 2 * count)
    digits = digits.ljust(8, "0") if len(digits) == 2 + 2 * count else digits.zfill(8)
    parts = (digits[:4], digits[4:6], digits[6:])[:count]
    try:
        date(*map(int, (*parts, "1", "1")[:3]))
    except ValueError:
        raise InvalidValue("Deze datum bestaat niet.") from None
    return "-".join(parts)


def render_datum(value: str) -> Node:
    """The reverse of `parse_datum`; unknown parts become zeros."""
    digits = value.replace("-", "")
    if len(digits) == 8:
        return digits
    return {TEXT: f"{digits:0<8}", _INCOMPLETE: "D" if len(digits) == 6 else "M"}


def parse_tijdstip(text: str, _: Tree) -> str:
    """
    8 to 17 digits to ISO 8601 with the same precision. In the hour that occurs twice the first is
    meant; an instant in the hour that does not occur keeps its digits, with winter time.
    """
    return _local(text)[0]


def render_tijdstip(value: str) -> str:
    """The reverse: as many digits as the value has precision, in Dutch local time."""
    digits = re.sub("[^0-9]", "", _ZONE.sub("", value))
    if _local(digits)[0] == value:
        return digits
    moment = datetime.fromisoformat(value).astimezone(AMSTERDAM)
    local = f"{moment:%Y%m%d%H%M%S}"
    return local[: max(len(digits), 12 if moment.minute else 10)] + digits[14:]


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
    if not _DIGITS.fullmatch(text):
        raise InvalidValue("Een tijdstip heeft hele onderdelen: 8, 10, 12, 14 of meer cijfers.")
    day, time, fraction = text[:8], text[8:14], text[14:]
    try:
        naive = datetime.fromisoformat(f"{day}T{time:0<6}.{fraction:0<3}")
    except ValueError:
        raise InvalidValue("Dit tijdstip bestaat niet.") from None
    if naive.year < EARLIEST:
        raise InvalidValue(f"Een tijdstip ligt niet voor {EARLIEST}.")
    moment = naive.replace(tzinfo=AMSTERDAM)  # fold=0: of two the first, in a gap winter time
    if not time:
        return f"{naive:%Y-%m-%d}", moment
    iso = moment.isoformat(timespec=_PRECISION.get(len(text), "seconds"))
    return f"{iso[:19]}.{fraction}{iso[19:]}" if fraction else iso, moment


CONVERTERS = {
    "stuf-datum": Converter(parse_datum, render_datum, frozenset({_INCOMPLETE}), unknown=_NO_DATE),
    "stuf-dag": Converter(
        parse_datum,
        lambda value: render_datum(value[:10]),
        frozenset({_INCOMPLETE}),
        lossy=True,
        unknown=_NO_DATE,
    ),
    "stuf-tijdstip": Converter(parse_tijdstip, render_tijdstip, lossy=True),
    "stuf-moment": Converter(parse_moment, render_moment, lossy=True),
    "onzegbaar": Converter(lambda text, _: text, lambda _: ""),  # no value is valid, only nil
    "gemeentecode": Converter(lambda text, _: text.strip().zfill(4), lambda value: value),
    "base64": Converter(lambda text, _: re.sub(r"\s", "", text), lambda value: value),
    # What has another length than this message has room for, is lost, and said to be.
    "vnummer-17": Converter(lambda text, _: text, lambda value: value if len(value) == 17 else ""),
    "zorgmelding-actie": words(
        "zorgmelding-actie", {"Vervolgactie nodig": True, "Geen actie nodig": False}
    ),
    "stuf-indicatie": words("stuf-indicatie", {"J": True, "N": False}),
    "stuf-indic": words("stuf-indic", {"Ja": True, "Nee": False}),
}
