"""
How FHIR writes things, and how the nested tree of our schemas writes them.

A schema of schemas/fhir says with the word `fhir` how a thing is written in FHIR JSON:

    identifiers   a list told apart by `system`            -> an object, a name each
    extensions    a list told apart by `url`               -> an object, a name each
    slices        a list told apart by its constants       -> an object, a name each
    reference     the resource referred to                 -> an object, its type each
    link          the person the message is about; not in the tree, filled in by the writer
    parts         a text whose parts are extensions        -> an object, a name each
    given         given names by qualifier                 -> an object, a name each
    concept, coding, text                                  -> the code or the text
    status        what follows from our word in an extension (`from`): a required code of FHIR, by
                  `words`, or without them the message that this one answers; not in the tree

`many` on any of them: FHIR has a list here, of which we use one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gateway.errors import InvalidDocument
from gateway.formats import codes
from gateway.formats.tree import EMPTY

BASE = "https://zvh.example/fhir"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
NOTHING = {"url": f"{BASE}/StructureDefinition/leeg", "valueBoolean": True}
"""Stands where there is no value, and nobody says why."""

HOLLOW = {"url": f"{BASE}/StructureDefinition/zonder-inhoud", "valueBoolean": True}
"""Stands in an object of which nothing is known but that it is there: FHIR has no empty ones."""

ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
"""What may name a resource (FHIR R4, type id)."""

Json = dict[str, Any]
_COMPLEX = {
    "concept": "valueCodeableConcept",
    "coding": "valueCoding",
    "reference": "valueReference",
}


def items(prop: Json) -> Json:
    """The schema of one of them."""
    found: Json = prop["items"] if prop.get("type") == "array" else prop
    return found


def value_key(prop: Json) -> str:
    """Under which name an extension holds its value; empty when it holds extensions."""
    if form := prop.get("fhir"):
        return _COMPLEX[form]
    known = {"object": "", "boolean": "valueBoolean"}.get(prop["type"], "valueString")
    return str(prop.get("value", known))


def url(name: str, prop: Json, *, nested: bool) -> str:
    """The url of an extension: its own, or in one of ours its name."""
    return str(items(prop).get("url") or (name if nested else f"{BASE}/StructureDefinition/{name}"))


def reason(value: Any) -> str | None:
    """
    Why a value is absent; empty when it is and nobody says why, None when it is not absent.

    Raises UnknownCode for a code of data-absent-reason that we have no word for.
    """
    for one in extensions(value):
        if one.get("url") == ABSENT:
            return str(codes.tables()["code dataafwezig"].parse(one.get("valueCode", ""), {}))
        if one.get("url") == NOTHING["url"]:
            return ""
    return None


def absent(why: str) -> Json:
    """An element without a value."""
    if why in ("", EMPTY):
        return {"extension": [NOTHING]}
    code = codes.tables()["code dataafwezig"].render(why)
    return {"extension": [{"url": ABSENT, "valueCode": code}]}


def extensions(value: Any) -> list[Json]:
    found = value.get("extension", []) if isinstance(value, dict) else []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def fits(const: Any, value: Any) -> bool:
    """Whether the value says what the constant says, and perhaps more (a display)."""
    if isinstance(const, dict):
        return isinstance(value, dict) and all(
            k in value and fits(c, value[k]) for k, c in const.items()
        )
    if isinstance(const, list):
        return isinstance(value, list) and all(any(fits(c, v) for v in value) for c in const)
    return bool(const == value)


def resources(value: Json, place: str = "") -> Iterator[tuple[str, Json]]:
    """Every resource in a Bundle with its place: the Bundle, entries, and what those contain."""
    yield place, value
    inside = [(f"contained[{n}]", one) for n, one in enumerate(_listed(value, "contained"))]
    for n, entry in enumerate(_listed(value, "entry")):
        if isinstance(entry, dict) and "resource" in entry:
            inside.append((f"entry[{n}].resource", entry["resource"]))
    for step, one in inside:
        yield from resources(one if isinstance(one, dict) else {}, f"{place}.{step}".strip("."))


def _listed(value: Json, key: str) -> list[Any]:
    found = value.get(key)
    return found if isinstance(found, list) else []


def hole(value: Any, texts: bool = False) -> str | None:
    """
    The place of a null or of an empty object, list or text, which the JSON of FHIR does not have.

    A list of texts, or what stands beside it (`_given`), may have nulls to keep the two in step.
    """
    if value is None or value in ({}, [], ""):
        return ""
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        texts = texts or any(isinstance(one, str) for one in value)
        inside = [(n, one) for n, one in enumerate(value) if not (texts and one is None)]
        if not inside:
            return ""
    for key, one in inside:
        if (found := hole(one, isinstance(key, str) and key[0:1] == "_")) is not None:
            step = f"[{key}]" if isinstance(key, int) else f".{key}"
            return f"{step}{found}"
    return None


def follows(prop: Json, ours: Any) -> Any:
    """What FHIR says where we say `ours`; None where it cannot."""
    if "words" in prop:
        return prop["words"].get(ours)
    return {"identifier": ours, "code": "ok"} if ID.fullmatch(ours or "") else None


def follow(prop: Json, said: Any, tree: Json, place: str) -> None:
    """
    Keep what FHIR says beside our own word, which says more; where ours is missing, make it.

    Raises InvalidDocument when FHIR's is unknown, or says something else than ours.
    """
    group, name = prop["from"].split("/")
    holder = tree.setdefault(group, {})
    if name not in holder and f"_{name}" not in holder:
        known = prop.get("words") or [said.get("identifier")]
        holder[name] = next((one for one in known if fits(follows(prop, one), said)), None)
        if holder[name] is None:
            raise InvalidDocument("Deze waarde kennen we hier niet.", path=place)
    elif not fits(follows(prop, holder.get(name)), said):
        raise InvalidDocument("Dit spreekt tegen wat de extensie zegt.", path=place)
