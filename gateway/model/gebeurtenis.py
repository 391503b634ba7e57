"""
The events of Samen Onder Handbereik (CORV2): which there are, and their two spellings.

SOH writes `source` as `/oin/<oin>/systeem/<naam>` and `type` as `<samenwerkfunctie>.<gebeurtenis>`;
the NL GOV profile for CloudEvents wants a URN and reverse DNS. Both are read; which is written to a
partner stands in its agreement. Everything inside the gateway is in the spelling of SOH.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

MEDIA_TYPE = "application/cloudevents+json"

Spelling = Literal["soh", "nl-gov"]


@dataclass(frozen=True, slots=True)
class Functie:
    """One samenwerkfunctie: what announces its content, what tells that it was seen, its address."""

    soort: str  # canonical kind
    aangekondigd: str
    gezien: tuple[str, ...]
    pad: str  # of the content: `/soh/v1/<pad>/<id>`, and `<pad>/<id>` as subject


FUNCTIES = (
    Functie(
        "melding",
        "uitwisselen-melding.melding-geregistreerd",
        ("uitwisselen-melding.melding-ingezien", "uitwisselen-melding.melding-opgepakt"),
        "melding",
    ),
    Functie(
        "uitkomst-overleg",
        "uitwisselen-uitkomst-overleg.uitkomst-beschikbaar-gesteld",
        ("uitwisselen-uitkomst-overleg.uitkomst-ingezien",),
        "casusoverleg",
    ),
)

_PREFIX, _VERSION = "nl.soh.", ".v1"
_SOURCE = re.compile(r"urn:nld:oin:([^:/]+):systeem:([^:/]+)")
_PATH = re.compile(r"/oin/([^/]+)/systeem/([^/]+)")
_SYSTEMS = ("source", "ontvanger")


def normaal(event: Any) -> Any:
    """An event in the spelling of SOH, its id without `urn:uuid:`; anything else as it is."""
    if not isinstance(event, dict):
        return event
    found = dict(event)
    for name in ("id", "type", *_SYSTEMS):
        if isinstance(text := found.get(name), str):
            found[name] = _een_id(text) if name == "id" else _normaal(text, name)
    return found


def gespeld(event: dict[str, Any], spelling: Spelling) -> dict[str, Any]:
    """An event in the spelling of SOH, in the spelling a partner wants."""
    if spelling == "soh":
        return event
    systems = {
        name: _PATH.sub(r"urn:nld:oin:\1:systeem:\2", event[name])
        for name in _SYSTEMS
        if name in event
    }
    return {**event, **systems, "type": f"{_PREFIX}{event['type']}{_VERSION}"}


def _een_id(text: str) -> str:
    return text.removeprefix("urn:uuid:")


def _normaal(text: str, name: str) -> str:
    if name == "type":
        return text.removeprefix(_PREFIX).removesuffix(_VERSION)
    return _SOURCE.sub(r"/oin/\1/systeem/\2", text)
