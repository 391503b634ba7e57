"""How GCOS writes dates, times, yes and no, postcodes; each a pair with our spelling."""

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from gateway.errors import InvalidValue
from gateway.formats.codes import words
from gateway.formats.tree import Converter, Tree

AMSTERDAM = ZoneInfo("Europe/Amsterdam")  # GCOS writes local time
EARLIEST = 1946  # since then the Dutch offset is in whole hours; no casus is from before

_PARTS = re.compile(r"(\d\d)-(\d\d)-(\d{4})(?: (.*))?", re.ASCII)
_ZONED = re.compile(r"(.*?)(Z|[+-]\d\d:\d\d)?", re.ASCII)


def parse_datum(text: str, _: Tree) -> str:
    """`DD-MM-YYYY`; an unknown day, or day and month, is 00. Raises InvalidValue."""
    day, month, year, _time = _split(text)
    known = [part for part in (year, month, day) if part != "00"]
    try:
        if day != "00" and month == "00":
            raise ValueError
        date(*map(int, (*known, "1", "1")[:3]))
    except ValueError:
        raise InvalidValue("Deze datum bestaat niet.") from None
    return "-".join(known)


def render_datum(value: str) -> str:
    """The reverse of `parse_datum`."""
    year, month, day = (*value.split("-"), "00", "00")[:3]
    return f"{day}-{month}-{year}"


def parse_tijdstip(text: str, attributes: Tree) -> str:
    """
    A date, followed by as much of the time as is known, to ISO 8601 with the same precision.

    Without a zone it is local time: of an hour that occurs twice the first. Raises InvalidValue.
    """
    datum, time = parse_datum(text[:10], attributes), _split(text)[3]
    if not time:
        return datum
    clock, zone = _zoned(time)
    try:
        naive = datetime.fromisoformat(f"{datum}T{clock}")
        if len(datum) < 10 or (not zone and naive.year < EARLIEST):
            raise ValueError
    except ValueError:
        raise InvalidValue("Dit tijdstip bestaat niet.") from None
    return f"{datum}T{clock}" + (zone or naive.replace(tzinfo=AMSTERDAM).isoformat()[-6:])


def render_tijdstip(value: str) -> str:
    """The reverse; the zone is written only where local time would be read as another instant."""
    datum, _, time = value.partition("T")
    if not time:
        return render_datum(datum)
    clock, zone = _zoned(time)
    local = f"{render_datum(datum)} {clock}"
    return (
        local if int(datum[:4]) >= EARLIEST and parse_tijdstip(local, {}) == value else local + zone
    )


def parse_moment(text: str, attributes: Tree) -> str:
    """A tijdstip to the second or finer, as an instant in UTC. Raises InvalidValue."""
    try:
        moment = datetime.fromisoformat(parse_tijdstip(text, attributes)).astimezone(UTC)
    except (OverflowError, ValueError):  # the first and last day have no UTC; a zone of 99 hours
        raise InvalidValue("Dit moment bestaat niet.") from None
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def render_moment(value: str) -> str:
    """An instant in local time, or in UTC where local time would be read as another."""
    moment = datetime.fromisoformat(value)
    if moment.year > EARLIEST:
        local = moment.astimezone(AMSTERDAM).replace(tzinfo=None).isoformat()
        text = f"{render_datum(local[:10])} {local[11:19]}{local[19:].rstrip('0')}"
        if datetime.fromisoformat(parse_moment(text, {})) == moment:
            return text
    return render_tijdstip(value)


def _split(text: str) -> tuple[str, str, str, str]:
    if not (found := _PARTS.fullmatch(text)):
        raise InvalidValue("Een datum is DD-MM-JJJJ.")
    return found[1], found[2], found[3], found[4] or ""


def _zoned(time: str) -> tuple[str, str]:
    """The time and its zone, if it has one."""
    found = _ZONED.fullmatch(time)
    return (found[1], found[2] or "") if found else (time, "")


CONVERTERS = {
    "gcos-datum": Converter(parse_datum, render_datum),
    "gcos-tijdstip": Converter(parse_tijdstip, render_tijdstip),
    "gcos-moment": Converter(parse_moment, render_moment),
    "gcos-janee": words("gcos-janee", {"J": True, "N": False}),
    "gcos-postcode": Converter(
        lambda text, _: text.replace(" ", ""),
        lambda value: f"{value[:4]} {value[4:]}".strip(),
    ),
    "gcos-bsn": Converter(lambda text, _: text.zfill(9), lambda value: value),
}
