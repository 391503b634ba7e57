"""Values as SOH spells them: instants by RFC 3339, a postcode with a space, dates without a time."""

import re
from datetime import datetime

from gateway.formats.eigen import render_tijdstip
from gateway.formats.stuf import AMSTERDAM
from gateway.formats.tree import Converter, Tree

_FRACTION = re.compile(r"(\.[0-9]{3})[0-9]+")


def parse_tijdstip(text: str, _: Tree) -> str:
    """To the millisecond: what is finer no message of ours can hold."""
    return _FRACTION.sub(r"\1", text.upper().replace(" ", "T"))


def render_dag(value: str) -> str:
    """The Dutch day of a tijdstip; of a month or year it stays what it is, which no schema takes."""
    if len(value) <= 10:
        return value
    return datetime.fromisoformat(value).astimezone(AMSTERDAM).date().isoformat()


CONVERTERS = {
    "soh-tijdstip": Converter(parse_tijdstip, render_tijdstip, lossy=True),
    "soh-postcode": Converter(
        lambda text, _: re.sub(r"\s", "", text), lambda value: f"{value[:4]} {value[4:]}"
    ),
    "soh-dag": Converter(lambda text, _: text, render_dag, lossy=True),
}
