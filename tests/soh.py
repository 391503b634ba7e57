"""What tests of soh/0.1 share: messages that SOH can say, documents, and what is the same in them."""

from __future__ import annotations

import copy
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from gateway.formats.jsondialect import Shape
from gateway.model import lees, schrijf

from .berichten import bsns, momenten, tekst
from .kinds import kinds, tijdstippen

EXAMPLES = Path(__file__).parent / "examples" / "soh"
instants = tijdstippen.filter(lambda text: "T" in text)
days = st.dates(datetime(1900, 1, 1).date()).map(str)
_names = st.from_regex("[A-Z0-9]{3}(%20x)?", fullmatch=True)
systems = st.builds("/oin/{}/systeem/{}".format, _names, _names)

_person = st.fixed_dictionaries(
    {
        "bsn": bsns,
        "voornamen": tekst(200),
        "voorvoegsel": tekst(10),
        "geslachtsnaam": tekst(200),
        "geslacht": st.sampled_from(["man", "vrouw", "onbekend"]),
    }
)
_address = st.fixed_dictionaries(
    {
        "soort": st.sampled_from(["woon-verblijf", "gba", "verlofadres"]),
        "binnenland": st.fixed_dictionaries(
            {
                "straat": tekst(24),
                "huisnummer": st.integers(0, 99999).map(str),
                "postcode": st.from_regex("[1-9][0-9]{3}[A-Z]{2}", fullmatch=True),
            },
            optional={"woonplaats": tekst(80), "huisletter": st.just("b")},
        ),
    }
)


def _forced(given: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """The object with these values, whatever it said of them."""
    out = {**given, **wanted}
    reasons = {k: v for k, v in given.get("geenWaarde", {}).items() if k not in wanted}
    out.pop("geenWaarde", None)
    return {**out, "geenWaarde": reasons} if reasons else out


@st.composite
def meldingen(draw: st.DrawFn) -> dict[str, Any]:
    """Meldingen that SOH has room for, with whatever else a melding can hold."""
    event = draw(kinds("melding"))
    wanted = {
        "identificatie": draw(tekst(40)),
        "bestemming": draw(st.sampled_from(["naz", "veilig-thuis", "zvh"])),
        "gemeldOp": draw(instants),
        "terugkoppelingGewenst": draw(st.booleans()),
        "betrokkenen": [_involved(draw, one) for one in event["data"].get("betrokkenen", [])],
    }
    if incident := event["data"].get("incident"):
        wanted["incident"] = _forced(incident, {"begin": draw(instants), "einde": draw(instants)})
    return schrijf(lees({**event, "data": _forced(event["data"], wanted)}))


def _involved(draw: st.DrawFn, one: dict[str, Any]) -> dict[str, Any]:
    person = one.get("persoon", {})
    others = [_forced(one, {"soort": "post"}) for one in person.get("adressen", [])]
    addresses = [draw(_address), *others]
    wanted = {**draw(_person), "adressen": draw(st.permutations(addresses))}
    return _forced(one, {"persoon": _forced(person, wanted)})


@st.composite
def uitkomsten(draw: st.DrawFn) -> dict[str, Any]:
    """Uitkomsten that SOH has room for: dates, and every lid in an action."""
    event = draw(kinds("uitkomst-overleg"))
    data = event["data"]
    leden = [
        {**_involved(draw, one), "sleutel": str(number)}
        for number, one in enumerate(data.get("leden", []), 1)
    ]
    acties = [
        _forced(draw(st.sampled_from(data["acties"])), {"betrokkene": lid["sleutel"]})
        for lid in leden
        if data.get("acties")
    ]
    leden = leden[: len(acties)]
    wanted = {
        "startdatum": draw(days),
        "overleg": _forced(data["overleg"], {"begin": draw(st.one_of(days, instants))}),
        "leden": leden,
        "acties": acties,
    }
    return schrijf(lees({**event, "data": _forced(data, wanted)}))


def values(shape: Shape, name: str = "") -> st.SearchStrategy[Any]:
    """Valid values for a place in a document."""
    schema = shape.schema
    one: st.SearchStrategy[Any]
    if name == "burgerservicenummer":
        one = bsns
    elif shape.parts:
        one = systems
    elif name == "type" or name == "specversion":
        one = st.just("1.0")
    elif name == "time":
        one = momenten
    elif shape.children:
        one = st.fixed_dictionaries(
            {k: values(c, k) for k, c in shape.children.items() if c.required},
            optional={k: values(c, k) for k, c in shape.children.items() if not c.required},
        )
    elif "enum" in schema:
        one = st.sampled_from([code for code in schema["enum"] if code != "9"])
    elif name == "postcode":
        one = st.from_regex(r"[1-9][0-9]{3}[ \t][A-Z]{2}", fullmatch=True)
    elif schema["type"] == "boolean":
        one = st.booleans()
    elif schema["type"] == "integer":
        one = st.integers(-(2**31), 2**31 - 1)
    elif kind := schema.get("format"):
        one = {"date": days, "date-time": instants.map(_full), "uri": st.just("urn:x:1")}[kind]
    else:
        least = 1 if name in ("id", "vraag", "sleutel") else schema.get("minLength", 0)
        one = tekst(10, shortest=least)
    if not shape.listed:
        return one
    return st.lists(one, max_size=2 if shape.element.repeats else 1)


def _full(text: str) -> str:
    """RFC 3339 has no hours without minutes and seconds."""
    return re.sub(r"T(\d\d)(:\d\d)?(:\d\d)?", lambda m: f"T{m[1]}{m[2] or ':00'}{m[3] or ':00'}", text)  # fmt: skip


def settled(value: Any, shape: Shape) -> Any:
    """A document as what it says: without what the writer makes, empty texts and nulls."""
    if shape.listed:
        return [settled(one, _item(shape)) for one in value if one is not None]
    if not shape.children or shape.parts:
        return re.sub(r"^(....)\s(..)$", r"\1 \2", value) if isinstance(value, str) else value
    out = {}
    for name, one in value.items():
        child = shape.children.get(name)
        if child is None or "x-gemaakt" in child.schema or one in (None, "", []):
            continue
        if (inner := settled(one, child)) != {}:
            out[name] = inner
    return out


def _item(shape: Shape) -> Shape:
    return Shape(shape.element, shape.schema, shape.children, True, False, shape.parts)


ROUNDED = "~"


def masked(sent: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """The message with a mark where a value is rounded."""
    out = copy.deepcopy(sent)
    for path in paths:
        *way, last = re.findall(r"[^.\[\]]+|\[[0-9]+\]", path)
        here: Any = out
        for step in way:
            here = here[int(step[1:-1])] if step[0] == "[" else here[step]
        here[last] = ROUNDED
    return out


def agree(expected: Any, found: Any) -> bool:
    """Whether they are the same but for what is marked."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(agree(expected[k], found[k]) for k in found)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(agree, expected, found))
    return bool(expected in (found, ROUNDED))
