"""The canonical language: what messages mean, whatever their dialect."""

import functools
from typing import Any

from pydantic import ValidationError

from gateway.errors import InvalidBsn, InvalidDocument, InvalidValue, UnknownDocument
from gateway.model.afdoening import Afdoeningsbeslissing
from gateway.model.bekendheid import Bekendheidsuitslag, Bekendheidsverzoek
from gateway.model.casus import Casus, UitkomstOverleg
from gateway.model.casusinformatie import Casusinformatie, Casusinformatieverzoek
from gateway.model.detentie import (
    BijMelding,
    BijWeging,
    Detentiegegevens,
    DrPlan,
    RisicoInformatie,
)
from gateway.model.envelop import Bericht, Inhoud, kind_of, type_of
from gateway.model.herroeping import Correctie, Intrekking
from gateway.model.melding import Melding, Meldinguitkomst
from gateway.model.onderzoek import Notificatie, VerzoekTotOnderzoek
from gateway.model.verwerking import Bevestiging, Foutbericht

SOORTEN: dict[str, type[Inhoud]] = {
    kind.soort: kind
    for kind in (
        *(Bekendheidsverzoek, Bekendheidsuitslag, Casusinformatieverzoek, Casusinformatie),
        *(Melding, Meldinguitkomst, Afdoeningsbeslissing, BijMelding, BijWeging),
        *(Detentiegegevens, DrPlan, RisicoInformatie, Casus, UitkomstOverleg),
        *(Correctie, Intrekking, VerzoekTotOnderzoek, Notificatie, Bevestiging, Foutbericht),
    )
}
"""The canonical kinds by name."""


def lees(event: dict[str, Any]) -> Bericht:
    """
    A canonical message from its JSON object.

    Raises:
        UnknownDocument: `type` is no kind of ours.
        InvalidBsn, InvalidValue, InvalidDocument: with the path, never the value.
    """
    kind = SOORTEN.get(kind_of(str(event.get("type"))))
    if kind is None:
        raise UnknownDocument("Het veld `type` noemt geen soort bericht van de gateway.")
    prefix = "data."
    try:
        data = kind.model_validate(event.get("data"))
        prefix = ""
        return Bericht.model_validate({**event, "data": data})
    except ValidationError as error:
        raise _ours(error, prefix) from None


def schrijf(bericht: Bericht) -> dict[str, Any]:
    """The JSON object of a canonical message; absent fields and empty lists are left out."""
    event = bericht.model_dump(mode="json", exclude_none=True, exclude={"data"})
    data = bericht.data.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude_defaults=True
    )
    return {**event, "data": data}


@functools.cache
def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a whole message of a kind, as published in schemas/canonical."""
    envelope, data = Bericht.model_json_schema(), SOORTEN[kind].model_json_schema()
    definitions = data.pop("$defs")
    envelope["properties"] |= {"type": {"const": type_of(kind)}, "data": data}
    about = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:zvh:schema:{kind}:v1",
    }
    return {**about, **envelope, "$defs": definitions, "title": kind}


def _ours(error: ValidationError, prefix: str) -> InvalidDocument:
    """The first fault of pydantic as ours; names and positions only."""
    first = error.errors(include_url=False, include_input=False, include_context=True)[0]
    path = (prefix + ".".join(map(str, first["loc"]))).strip(".")
    if first["type"] in _REFUSALS:
        return _REFUSALS[first["type"]](first["ctx"]["rule"], path=path)
    if first["type"] == "string_pattern_mismatch":
        rule = f"De waarde past niet in het patroon: {first['ctx']['pattern']}."
        return InvalidValue(rule, path=path)
    if first["type"] in _SIZES:
        size = first["ctx"][f"{_SIZES[first['type']][0]}_length"]
        return InvalidValue(f"De waarde is te {_SIZES[first['type']][1]}: {size}.", path=path)
    if first["type"] == "extra_forbidden":
        path = path.rpartition(".")[0]  # the name of an unknown field is the sender's text
    rule = _RULES.get(first["type"], "Een veld heeft niet de juiste vorm.")
    return InvalidDocument(rule, path=path or None)


_REFUSALS = {"bsn-ongeldig": InvalidBsn, "waarde-ongeldig": InvalidValue}
_SIZES = {"string_too_short": ("min", "kort"), "string_too_long": ("max", "lang")}
_RULES = {
    "missing": "Een verplicht veld ontbreekt.",
    "extra_forbidden": "Een veld bestaat niet in dit soort bericht.",
    "enum": "De waarde staat niet in de lijst.",
}
