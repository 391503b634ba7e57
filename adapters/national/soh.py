"""soh/0.1: events of Samen Onder Handbereik (CORV2) with the content they announce."""

from __future__ import annotations

from typing import Any

from adapters.national.sohwaarden import CONVERTERS
from gateway.errors import NotExpressible
from gateway.formats.eigen import CONVERTERS as EIGEN
from gateway.formats.jsondialect import Content, JsonDialect
from gateway.model.gebeurtenis import FUNCTIES, normaal

MELDING, UITKOMST = (functie.aangekondigd for functie in FUNCTIES)


def _gathered(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the persons of the actions in a list, and in the actions their numbers."""
    overleg = schema["properties"]["data"]
    actie = overleg["properties"]["betreft"]["properties"]["heeftActie"]["items"]
    person = actie["properties"]["heeftBetrekkingOp"]
    number = {"type": "string", "minLength": 1}
    actie["properties"]["heeftBetrekkingOp"] = number
    fields = {"sleutel": number, **person["properties"]}
    listed = {**person, "properties": fields, "required": ["sleutel", *person["required"]]}
    overleg["properties"]["betrokkenen"] = {"type": "array", "items": listed}
    return schema


def _gather(event: dict[str, Any]) -> dict[str, Any]:
    """A person once, whatever the number of actions about them: SOH repeats the person in each."""
    persons: list[Any] = []
    acties = [actie for actie in event["data"]["betreft"].get("heeftActie") or () if actie]
    for actie in acties:
        if (person := actie["heeftBetrekkingOp"]) not in persons:
            persons.append(person)
        actie["heeftBetrekkingOp"] = str(persons.index(person) + 1)
    listed = [{**person, "sleutel": str(n)} for n, person in enumerate(persons, 1)]
    event["data"]["betrokkenen"] = listed
    return event


def _spread(event: dict[str, Any]) -> dict[str, Any]:
    """The reverse. Raises NotExpressible for somebody that no action is about."""
    listed = event["data"].pop("betrokkenen", [])
    persons = {person.pop("sleutel"): person for person in listed}
    numbers = set()
    for actie in event["data"]["betreft"].get("heeftActie", ()):
        number = actie["heeftBetrekkingOp"]
        if number not in persons:
            raise NotExpressible("Een actie noemt iemand die niet in de casus staat.")
        numbers.add(number)
        actie["heeftBetrekkingOp"] = persons[number]
    if len(numbers) < len(listed):
        raise NotExpressible("SOH noemt een persoon alleen bij een actie.")
    return event


SOH = JsonDialect(
    name="soh/0.1",
    contents=(
        Content("Melding", MELDING),
        Content("Casusoverleg", UITKOMST, _gather, _spread, _gathered),
    ),
    converters={**EIGEN, **CONVERTERS},
    normal=normaal,
)
