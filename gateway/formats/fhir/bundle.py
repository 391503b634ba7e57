"""Whether a document is a message Bundle that FHIR R4 accepts: the only user of fhir.resources."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from gateway import errors
from gateway.formats.fhir import forms
from gateway.formats.fhir.forms import Json

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

_PLAIN = re.compile("[A-Za-z0-9_-]{1,60}")


def kind_of(bundle: Any, kinds: tuple[str, ...]) -> str | None:
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
    return next((k for k in kinds if known and here.get("code") == k), None)


def check(bundle: Json) -> None:
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
    of_fhir, invalid = model()
    try:
        of_fhir.model_validate(bundle)
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
def model() -> tuple[Any, type[Any]]:
    """The Bundle of fhir.resources and what it raises; 0.7 s to import, so only for who speaks FHIR."""
    from fhir.resources.R4B.bundle import Bundle
    from pydantic import ValidationError

    return Bundle, ValidationError
