"""The dialects of our own (bij/1.0, zsm/1.0): spellings the schema allows and our one spelling."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from gateway.errors import InvalidValue
from gateway.formats.tree import Converter, Tree

_MINUTES = re.compile(r"(T[0-9]{2})(:[0-9]{2})?(:[0-9]{2})?(?=[.Z+-])")


def parse_moment(text: str, _: Tree) -> str:
    """An xs:dateTime with zone to the same instant in UTC. Raises InvalidValue."""
    try:
        moment = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # the first and the last day of the calendar have no UTC
        raise InvalidValue("Dit moment bestaat niet.") from None
    return f"{moment.replace(tzinfo=None).isoformat()}Z"


def render_tijdstip(value: str) -> str:
    """A tijdstip as xs:date or xs:dateTime, which has no hours without minutes and seconds."""
    return _MINUTES.sub(lambda m: f"{m[1]}{m[2] or ':00'}{m[3] or ':00'}", value)


def parse_parketnummer(text: str, _: Tree) -> str:
    """`02.123456.24` to `02/123456-24`, as it is written everywhere else."""
    return text.replace(".", "/", 1).replace(".", "-", 1)


CONVERTERS = {
    "moment": Converter(parse_moment, lambda value: value),
    "tijdstip": Converter(lambda text, _: text, render_tijdstip, lossy=True),
    "parketnummer": Converter(parse_parketnummer, lambda value: value),
    "postcode": Converter(lambda text, _: text.replace(" ", ""), lambda value: value),
    "boolean": Converter(
        lambda text, _: text in ("true", "1"), lambda value: "true" if value else "false"
    ),
}
