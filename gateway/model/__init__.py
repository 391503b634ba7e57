"""The canonical language: what messages mean, whatever their dialect."""

from __future__ import annotations

import functools
import json
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

SOORTEN: dict[str, type[Inhoud]] = {
    kind.soort: kind
    for kind in (
        *(Bekendheidsverzoek, Bekendheidsuitslag, Casusinformatieverzoek, Casusinformatie),
        *(Melding, Meldinguitkomst, Afdoeningsbeslissing, BijMelding, BijWeging),
        *(Detentiegegevens, DrPlan, RisicoInformatie, Casus, UitkomstOverleg),
        *(Correctie, Intrekking),
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
    try:
        data = kind.model_validate(event.get("data"))
    except ValidationError as error:
        raise _ours(error, "data") from None
    try:
        return Bericht.model_validate({**event, "data": data})
    except ValidationError as error:
        raise _ours(error, "") from None


def schrijf(bericht: Bericht) -> dict[str, Any]:
    """The JSON object of a canonical message; absent fields are left out."""
    event = bericht.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"data"})
    event["data"] = inhoud(bericht.data)
    return event


def inhoud(data: Inhoud) -> dict[str, Any]:
    """The JSON object of the content alone; absent fields and empty lists are left out."""
    return data.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)


@functools.cache
def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a whole message of a kind, as published in schemas/canonical."""
    envelope = Bericht.model_json_schema()
    data = SOORTEN[kind].model_json_schema(by_alias=True)
    definitions = data.pop("$defs", {})
    envelope.pop("$defs", None)
    envelope["properties"]["type"] = {"const": type_of(kind)}
    envelope["properties"]["data"] = data
    envelope["$defs"] = definitions
    envelope["title"] = kind
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:zvh:schema:{kind}:v1",
        **json.loads(json.dumps(envelope)),
    }


def _ours(error: ValidationError, prefix: str) -> InvalidDocument:
    """The first fault of pydantic as ours; names and positions only."""
    first = error.errors(include_url=False, include_input=False, include_context=True)[0]
    path = ".".join([prefix, *map(str, first["loc"])]).strip(".")
    kind = {"bsn-ongeldig": InvalidBsn, "waarde-ongeldig": InvalidValue}.get(first["type"])
    if kind:
        return kind(first["ctx"]["rule"] if "ctx" in first else "", path=path)
    rule = {
        "missing": "Een verplicht veld ontbreekt.",
        "extra_forbidden": "Een veld bestaat niet in dit soort bericht.",
        "enum": "De waarde staat niet in de lijst.",
    }.get(first["type"], "Een veld heeft niet de juiste vorm.")
    if first["type"] == "extra_forbidden":
        path = path.rpartition(".")[0]  # the name of an unknown field is the sender's text
    return InvalidDocument(rule, path=path or None)
