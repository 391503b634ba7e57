"""FHIR R4 for who provides care: message Bundles, read and written by mappings and schemas."""

from __future__ import annotations

import re
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

import orjson

from adapters.national.fhir import forms
from adapters.national.fhir.forms import Json
from adapters.national.fhir.read import Reader
from adapters.national.fhir.write import Writer
from gateway import errors
from gateway.formats import codes, jsondoc, jsontree
from gateway.formats.eigen import CONVERTERS
from gateway.formats.mapping import Mapping, Shared, read_toml
from gateway.formats.structure import Element
from gateway.formats.tree import Converter, Tree
from gateway.model import SOORTEN, lees, schrijf
from gateway.model.envelop import Bericht, source_of, type_of
from gateway.model.velden import velden
from gateway.ports import Parsed, Rendered
from gateway.resources import folder

SOORTEN_FHIR = ("melding", "meldinguitkomst", "casus", "bij-melding", "dr-plan")

RESOURCES = frozenset(
    {
        *(
            "Bundle",
            "MessageHeader",
            "Patient",
            "RelatedPerson",
            "Practitioner",
            "PractitionerRole",
        ),
        *(
            "Organization",
            "ServiceRequest",
            "Task",
            "EpisodeOfCare",
            "CareTeam",
            "CarePlan",
            "Flag",
        ),
        *("Encounter", "Location", "DocumentReference", "Provenance", "Consent"),
    }
)
"""The resources of our messages. In these R4 and R4B, by whose models we validate, are the same."""

MAX_ENTRIES = 2_000
"""A casus of ours has some tens; the models take about a tenth of a millisecond for each."""

_OIN = "urn:nld:oin:"
_PLAIN = re.compile("[A-Za-z0-9_-]{1,60}")


def parse_oin(text: str, _: Tree) -> str:
    """The organisation of an endpoint. Raises InvalidValue for one that is no OIN."""
    if not text.startswith(_OIN):
        raise errors.InvalidValue(f"Een endpoint heeft de vorm {_OIN}<OIN>.")
    return unquote(text.removeprefix(_OIN))


_CONVERTERS = {
    **CONVERTERS,
    "oin": Converter(parse_oin, lambda value: _OIN + quote(value, safe="")),
}


class Fhir:
    """
    A ports.Dialect. What it knows stands in schemas/fhir/4.0 and mappings/fhir.

    A Bundle is checked by the R4B models of fhir.resources before it is read and after it is written.
    They do not check codes (our schema checks those we read) nor whether a reference is to the right
    type (our reader does), and are never used to write: they would change decimals and fractions.
    """

    name = "fhir/4.0"

    def load(self) -> None:
        _model()
        for kind in SOORTEN_FHIR:
            if left := _mapping(kind).unmapped():
                raise errors.MappingInvalid(f"{kind}.toml: geen rij voor {', '.join(left)}.")

    def recognises(self, document: bytes) -> str | None:
        """Raises what `jsondoc.read` raises for JSON that is unsafe or not well-formed."""
        if document.lstrip()[:1] not in (b"{", b"["):
            return None
        return _kind(jsondoc.read(document))

    def validate(self, document: bytes) -> None:
        self._read(document)

    def parse(self, document: bytes) -> Parsed:
        kind, tree, reader = self._read(document)
        mapping = _mapping(kind)
        event, loss = mapping.parse(tree)
        sender = event["data"]["afzender"]
        event["specversion"] = "1.0"
        event["type"] = type_of(kind)
        event["source"] = source_of(sender["organisatie"], sender["applicatie"])
        try:
            bericht = lees(event)
        except errors.InvalidDocument as error:
            error.path = mapping.place(error.path or "")
            raise
        return Parsed(self.name, kind, bericht, (*reader.loss, *loss))

    def render(self, bericht: Bericht, root: str = "") -> Rendered:
        kind = bericht.soort
        if kind not in SOORTEN_FHIR or root not in ("", kind):
            raise errors.NotExpressible(f"{self.name} kent geen {root or kind}.")
        tree, loss = _mapping(kind).render(schrijf(bericht))
        nested = jsontree.to_json(tree, _structure(kind))
        bundle = Writer(bericht.id).write(_schema(kind), nested)
        try:
            _validator(kind).validate(nested)
            _check(bundle)
        except errors.InvalidDocument as error:
            raise errors.NotExpressible(error.detail, path=error.path) from error
        document = orjson.dumps(bundle)
        return Rendered(self.name, kind, "application/fhir+json", document, tuple(loss))

    def _read(self, document: bytes) -> tuple[str, Tree, Reader]:
        bundle = jsondoc.read(document)
        kind = _kind(bundle)
        if kind is None:
            raise errors.UnknownDocument("Geen Bundle met voorop een MessageHeader die we kennen.")
        _check(bundle)
        reader = Reader(bundle)
        nested = reader.read(_schema(kind))
        _validator(kind).validate(nested)
        return kind, jsontree.to_tree(nested, _structure(kind)), reader


def _kind(bundle: Any) -> str | None:
    """The kind a Bundle is about, by the event of its first entry."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        return None
    here = bundle.get("entry")
    here = here[0] if isinstance(here, list) and here else None
    for step in ("resource", "eventCoding"):
        here = here.get(step) if isinstance(here, dict) else None
    if not isinstance(here, dict):
        return None
    known = here.get("system") == f"{forms.BASE}/CodeSystem/bericht"
    return next((k for k in SOORTEN_FHIR if known and here.get("code") == k), None)


def _check(bundle: Json) -> None:
    """Raises InvalidDocument with the place and the rule, never with a value; TooLarge."""
    if len(bundle["entry"]) > MAX_ENTRIES:
        raise errors.TooLarge(f"Een Bundle heeft hoogstens {MAX_ENTRIES} entries.", path="entry")
    for number, entry in enumerate(bundle["entry"]):
        if not isinstance(entry, dict) or not isinstance(entry.get("resource"), dict):
            raise errors.InvalidDocument("Een entry heeft een resource.", path=f"entry[{number}]")
    for place, resource in forms.resources(bundle):
        kind = resource.get("resourceType")
        if not isinstance(kind, str) or kind not in RESOURCES or (place and kind == "Bundle"):
            raise errors.InvalidDocument("Dit resourceType kent ons bericht niet.", path=place)
        if place and len(resource) == 1:
            raise errors.InvalidDocument("Deze resource is leeg.", path=place)
        if ".contained[" in place.rpartition(".contained[")[0]:
            raise errors.InvalidDocument("Een contained resource bevat er geen.", path=place)
    model, invalid = _model()
    try:
        model.model_validate(bundle)
    except invalid as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # the name of an unknown field is the sender's text
        steps = first["loc"][:-1] if first["type"] == "extra_forbidden" else first["loc"]
        path = ".".join(
            str(step) for step in steps if isinstance(step, int) or _PLAIN.fullmatch(step)
        )
        rule = _RULES.get(first["type"], "De waarde voldoet niet aan FHIR R4")
        raise errors.InvalidDocument(f"{rule}.", path=re.sub(r"\.(\d+)", r"[\1]", path)) from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise errors.InvalidDocument("Geen geldige Bundle van FHIR R4.") from None
    if (hole := forms.hole(bundle)) is not None:  # the models pass over null
        raise errors.InvalidDocument("FHIR kent geen lege waarden.", path=hole.lstrip("."))


_RULES = {
    "extra_forbidden": "FHIR R4 kent hier een veld niet",
    "missing": "Een verplicht veld ontbreekt",
}


@cache
def _model() -> tuple[Any, type[Any]]:
    """The Bundle of fhir.resources and what it raises; 0.7 s to import, so only for who speaks FHIR."""
    from fhir.resources.R4B.bundle import Bundle
    from pydantic import ValidationError

    return Bundle, ValidationError


@cache
def _schema(kind: str) -> Json:
    base = folder("schemas") / "fhir" / "4.0"
    parts = orjson.loads((base / "delen.json").read_bytes())["$defs"]
    return jsontree.expanded({**orjson.loads((base / f"{kind}.json").read_bytes()), "$defs": parts})


@cache
def _validator(kind: str) -> jsondoc.JsonSchema:
    return jsondoc.JsonSchema(_schema(kind))


@cache
def _structure(kind: str) -> Element:
    return jsontree.structure(_schema(kind))


@cache
def _mapping(kind: str) -> Mapping:
    base = folder("mappings") / "fhir"
    converters = {**codes.tables(), **_CONVERTERS}
    fragments = read_toml(base / "fragmenten.toml")
    shared = Shared(converters, fragments, **read_toml(base / "dialect.toml"))
    file = read_toml(base / f"{kind}.toml")
    return Mapping(f"{kind}.toml", file, _structure(kind), velden(SOORTEN[kind]), shared)


FHIR_4 = Fhir()
