"""The resources of one Bundle by the name that references use."""

from __future__ import annotations

from typing import Any

from gateway.errors import InvalidDocument
from gateway.formats.fhir.forms import Json


class Entries(dict[str, tuple[str, Json]]):
    """
    Of each name (the fullUrl, with `#id` for what a resource contains) the place and the resource.

    Raises InvalidDocument for a name that stands in the Bundle twice.
    """

    def __init__(self, bundle: Json) -> None:
        super().__init__()
        for number, entry in enumerate(bundle["entry"]):
            place, resource = f"entry[{number}]", entry["resource"]
            name = entry.get("fullUrl", place)
            self._add(name, f"{place}.resource", resource, f"{place}.fullUrl")
            for n, inner in enumerate(resource.get("contained") or ()):
                inside = f"{place}.resource.contained[{n}]"
                self._add(f"{name}#{inner.get('id')}", inside, inner, f"{inside}.id")

    def _add(self, name: str, place: str, resource: Json, named_at: str) -> None:
        if name in self:
            raise InvalidDocument("Deze naam staat tweemaal in de Bundle.", path=named_at)
        self[name] = (place, resource)

    def target(self, value: Any, source: str, place: str) -> str | None:
        """
        The name of what the resource named `source` refers to; None when it refers to nothing.

        A reference is a fullUrl, `#id` of something contained, or `Type/id` on the same server (FHIR
        R4, Bundle, 2.36.4.1). Raises InvalidDocument for one that leads nowhere.
        """
        reference = value.get("reference") if isinstance(value, dict) else None
        if reference is None:
            return None
        whole = source.partition("#")[0]
        base = whole.rsplit("/", 2)[0]
        for name in (reference, f"{whole}{reference}", f"{base}/{reference}"):
            if name in self:
                return str(name)
        raise InvalidDocument(
            "Deze verwijzing komt in de Bundle niet uit.", path=f"{place}.reference"
        )
