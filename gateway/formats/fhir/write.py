"""The nested tree of our schema to a message Bundle: resources spread, with references between them."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from gateway.formats.fhir import forms
from gateway.formats.fhir.forms import Json
from gateway.formats.fhir.names import write_given

_SPACE = uuid5(NAMESPACE_URL, forms.BASE)


class Writer:
    """
    Writes one Bundle. A resource is named after the id of the message and its place in it, so that
    the same message gives the same Bundle and no name tells anything of a person.
    """

    def __init__(self, message: str) -> None:
        self._message = message
        self._entries: list[Json] = []
        self._links: list[Json] = []

    def write(self, schema: Json, tree: Json) -> Json:
        """The Bundle, not validated."""
        bundle = self._object(schema, {k: v for k, v in tree.items() if k != "MessageHeader"}, "")
        self._resource(
            "MessageHeader", schema["properties"]["MessageHeader"], tree["MessageHeader"], ""
        )
        people = (e["fullUrl"] for e in self._entries if e["resource"]["resourceType"] == "Patient")
        subject = next(people, None)
        for link in self._links:
            link |= {"reference": subject} if subject else forms.absent("")
        return {"resourceType": "Bundle", **bundle, "entry": self._entries}

    def _resource(self, kind: str, schema: Json, tree: Json, place: str) -> Json:
        """Add the resource to the Bundle; the reference to it."""
        place = f"{place}/{kind}"
        name = f"urn:uuid:{uuid5(_SPACE, f'{self._message}|{place}')}"
        entry: Json = {"fullUrl": name}
        self._entries.append(entry)
        header = kind == "MessageHeader" and forms.ID.fullmatch(self._message)
        known = {"id": self._message} if header else {}  # by it an answer refers to the message
        entry["resource"] = {"resourceType": kind, **known, **self._object(schema, tree, place)}
        return {"reference": name}

    def _object(self, schema: Json, tree: Json, place: str) -> Json:
        out: Json = {}
        for key, prop in schema["properties"].items():
            form, why, found = prop.get("fhir"), tree.get(f"_{key}"), tree.get(key)
            if "const" in prop:
                out[key] = prop["const"]
            elif form == "link":
                out[key] = {}
                self._links.append(out[key])
            elif form == "status":
                self._status(key, prop, tree, out)
            elif why is not None:
                self._absent(key, prop, why, out)
            elif found is None or key == "MessageHeader":
                continue
            elif form in ("parts", "given"):
                self._named(key, prop, found, out)
            elif (value := self._value(prop, found, f"{place}/{key}")) not in ([], None):
                out[key] = value
        return out or {"extension": [forms.HOLLOW]}

    def _status(self, key: str, prop: Json, tree: Json, out: Json) -> None:
        group, name = prop["from"].split("/")
        if said := forms.follows(prop, tree.get(group, {}).get(name)):
            out[key] = said
        elif "words" in prop:  # FHIR demands it
            out[f"_{key}"] = forms.absent("")

    def _absent(self, key: str, prop: Json, why: str, out: Json) -> None:
        if prop.get("fhir") or prop["type"] == "object":
            out[key] = [forms.absent(why)] if prop.get("many") else forms.absent(why)
        else:
            out[f"_{key}"] = forms.absent(why)

    def _value(self, prop: Json, found: Any, place: str) -> Any:
        form = prop.get("fhir")
        if form in ("identifiers", "extensions", "slices", "reference"):
            sliced = self._sliced(prop, found, place)
            return sliced if prop.get("many", True) else next(iter(sliced), None)
        if prop.get("type") == "array":
            return [self._value(prop["items"], one, f"{place}[{n}]") for n, one in enumerate(found)]
        value = found
        if form == "text":
            value = {"text": found}
        elif form in ("concept", "coding"):
            value = {"system": prop["system"], "code": found}
            value = {"coding": [value]} if form == "concept" else value
        elif prop["type"] == "object":
            value = self._object(prop, found, place)
        return [value] if prop.get("many") else value

    def _sliced(self, prop: Json, tree: Json, place: str) -> list[Json]:
        out = []
        for name, sub in prop["properties"].items():
            many = sub.get("type") == "array"
            if f"_{name}" in tree:
                out.append(self._slice(prop, name, sub, None, tree[f"_{name}"], place))
            found = tree.get(name, [])
            for number, one in enumerate(found if many or name not in tree else [found]):
                here = f"{place}/{name}[{number}]" if many else place
                out.append(self._slice(prop, name, forms.items(sub), one, None, here))
        return out

    def _slice(
        self, prop: Json, name: str, sub: Json, one: Any, why: str | None, place: str
    ) -> Json:
        match prop["fhir"]:
            case "reference" if why is not None:
                return forms.absent(why)
            case "reference":
                return self._resource(name, sub, one, place)
            case "slices":
                return self._object(sub, one, place)
            case "identifiers":
                value = {"value": one} if why is None else {"_value": forms.absent(why)}
                return {"system": sub["system"], **value}
        head = {"url": forms.url(name, sub, nested=prop.get("nested", False))}
        if why is not None:
            return {**head, **forms.absent(why)}
        if key := forms.value_key(sub):
            value = self._value({**sub, "many": False}, one, f"{place}/{name}")
            return {**head, key: {"extension": [forms.HOLLOW]} if value is None else value}
        inner = {**sub, "fhir": "extensions", "nested": True}
        return {**head, "extension": self._sliced(inner, one, f"{place}/{name}") or [forms.HOLLOW]}

    def _named(self, key: str, prop: Json, found: Json, out: Json) -> None:
        texts: Any
        beside: Any
        if prop["fhir"] == "given":
            texts, beside = write_given(prop, found)
        else:
            order = prop.get("order") or list(prop["properties"])
            texts = " ".join(found[name] for name in order if name in found)
            parts = {**prop, "fhir": "extensions", "nested": False}
            beside = {"extension": self._sliced(parts, found, "")}
            if prop.get("many"):
                texts, beside = texts and [texts], [beside]
        if texts:
            out[key] = texts
        out[f"_{key}"] = beside
