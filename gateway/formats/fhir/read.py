"""A message Bundle to the nested tree of our schema: references followed, lists told apart."""

from __future__ import annotations

from typing import Any

from gateway.errors import InvalidDocument, TooLarge
from gateway.formats.fhir import forms, names
from gateway.formats.fhir.entries import Entries
from gateway.formats.fhir.forms import Json
from gateway.formats.tree import Nil
from gateway.ports import Loss

MAX_VALUES = 200_000
"""Objects visited: what is referred to twice is read twice. A casus of ours has some thousands."""

_UNREAD, _SILENT = {"resourceType", "id", "contained"}, (forms.NOTHING, forms.HOLLOW)
_REFUSED = {"modifierExtension", "implicitRules"}
NO_PLACE = "Dit veld kent onze vorm van FHIR niet."


class Reader:
    """
    Reads one Bundle that is valid FHIR. `loss` holds the places that said more than we understand.

    What changes the meaning of a resource (modifierExtension, implicitRules) is refused, as FHIR
    asks of who does not understand it. Only places of the schema are followed, and it is not
    recursive: references in a circle come to an end.
    """

    def __init__(self, bundle: Json) -> None:
        self.loss: list[Loss] = []
        self._bundle = bundle
        self._budget = MAX_VALUES
        self._stack: list[str] = []
        self._used: set[str] = set()
        self._subject: str | None = None
        self._links: list[tuple[str, str | None]] = []
        self._known = Entries(bundle)

    def read(self, schema: Json) -> Json:
        """The nested tree. Raises InvalidDocument with the place, TooLarge, UnknownCode."""
        first = next(iter(self._known))
        around = {key: value for key, value in self._bundle.items() if key != "entry"}
        tree = self._object(schema, around, "")
        tree["MessageHeader"] = self._resource(schema["properties"]["MessageHeader"], first)
        for place, target in self._links:
            if target not in (None, self._subject):
                self._lost(place)
        for name, (place, _) in self._known.items():
            if name not in self._used:
                self._lost(place)
        return tree

    def _lost(self, place: str) -> None:
        self.loss.append(Loss(place.lstrip("."), "vrije-tekst", "weg", NO_PLACE))

    def _resource(self, schema: Json, name: str) -> Json:
        self._stack.append(name)
        self._used.add(name)
        where, resource = self._known[name]
        if resource["resourceType"] == "Patient" and self._subject is None:
            self._subject = name
        tree = self._object(schema, resource, where)
        self._stack.pop()
        return tree

    def _target(self, value: Any, place: str) -> str | None:
        return self._known.target(value, self._stack[-1] if self._stack else "", place)

    def _object(self, schema: Json, value: Any, place: str) -> Json:
        self._budget -= 1
        if self._budget < 0:
            raise TooLarge("De Bundle bevat te veel verwijzingen.", path=place)
        if not isinstance(value, dict):
            raise InvalidDocument("Hier hoort een object te staan.", path=place)
        tree: Json = {}
        properties = schema["properties"]
        for key, raw in value.items():
            prop, here = properties.get(key.lstrip("_")), f"{place}.{key.lstrip('_')}"
            if key in _REFUSED:
                raise InvalidDocument(
                    "Dit verandert de betekenis op een onbekende manier.", path=here
                )
            if key in _UNREAD:
                continue
            if prop is None or (key == "extension" and prop.get("fhir") != "extensions"):
                if key != "extension" or any(one not in _SILENT for one in forms.extensions(value)):
                    self._lost(here)
            elif "const" in prop:
                if not forms.fits(prop["const"], raw):
                    raise InvalidDocument(
                        "De waarde is niet de vaste waarde van dit bericht.", path=here
                    )
            elif prop.get("fhir") == "link":
                self._links.append((here, self._target(raw, here)))
            elif prop.get("fhir") in ("parts", "given"):
                if key[0] != "_" or key[1:] not in value:
                    self._put(
                        tree, key.lstrip("_"), self._named(prop, value, key.lstrip("_"), place)
                    )
            elif prop.get("fhir") == "status":
                continue
            elif key[0] != "_":
                self._put(tree, key, self._value(prop, raw, here))
            elif key[1:] not in value and (why := forms.reason(raw)) is not None:
                tree[key] = why
            else:
                self._lost(here)
        for key, prop in properties.items():
            if prop.get("fhir") == "status" and key in value:
                forms.follow(prop, value[key], tree, f"{place}.{key}")
        return tree

    def _put(self, tree: Json, key: str, found: Any) -> None:
        if isinstance(found, Nil):
            tree[f"_{key}"] = found.reason
        elif found is not None:
            tree[key] = found

    def _value(self, prop: Json, raw: Any, place: str) -> Any:
        form = prop.get("fhir", "")
        if form in ("identifiers", "extensions", "slices", "reference"):
            return self._sliced(prop, raw, place)
        if prop.get("many"):
            if not isinstance(raw, list):
                raise InvalidDocument("Hier hoort een lijst te staan.", path=place)
            for number in range(1, len(raw)):
                self._lost(f"{place}[{number}]")
            if not raw:
                return None
            raw, place = raw[0], f"{place}[0]"
        if form:
            return self._coded(form, prop, raw, place)
        if prop["type"] == "array":
            if not isinstance(raw, list):
                raise InvalidDocument("Hier hoort een lijst te staan.", path=place)
            return [self._object(prop["items"], one, f"{place}[{n}]") for n, one in enumerate(raw)]
        if prop["type"] != "object":
            return raw
        alone = isinstance(raw, dict) and raw.keys() == {"extension"}
        why = forms.reason(raw) if alone else None
        return self._object(prop, raw, place) if why is None else Nil(why)

    def _coded(self, form: str, prop: Json, raw: Any, place: str) -> Any:
        why = forms.reason(raw)
        if why is not None:
            return Nil(why)
        if form == "text":
            self._rest(raw, {"text"}, place)
            inner = forms.reason(raw.get("_text"))
            return raw.get("text") if inner is None else Nil(inner)
        codings = [raw] if form == "coding" else raw.get("coding", ())
        if form == "concept":
            self._rest(raw, {"coding"}, place)
        found = [one for one in codings if one.get("system") == prop["system"]]
        if len(found) < len(codings):
            self._lost(f"{place}.coding")
        return found[0].get("code") if found else None

    def _rest(self, raw: Json, known: set[str], place: str) -> None:
        for key in raw.keys() - known - {f"_{one}" for one in known}:
            self._lost(f"{place}.{key}")

    def _named(self, prop: Json, value: Json, key: str, place: str) -> Json | None:
        """The parts of a text from its extensions, or given names by qualifier."""
        texts, beside = value.get(key), value.get(f"_{key}")
        place = f"{place}.{key}"
        if prop["fhir"] == "parts":
            if prop.get("many"):
                for number in range(1, len(texts or beside or ())):
                    self._lost(f"{place}[{number}]")
                texts, beside = (texts or [None])[0], (beside or [None])[0]
            group = {**prop, "fhir": "extensions", "nested": False}
            found: Json = self._sliced(group, forms.extensions(beside), place)
            return found or ({next(iter(prop["properties"])): texts} if texts else None)
        return names.read_given(prop, texts, beside, place, self._lost)

    def _sliced(self, prop: Json, raw: Any, place: str) -> Json:
        tree: Json = {}
        listed = isinstance(raw, list)
        for number, one in enumerate(raw if listed else [raw]):
            here = f"{place}[{number}]" if listed else place
            name, found = self._slice(prop, one, here)
            if name is None:
                if one not in _SILENT and forms.extensions(one) != [forms.HOLLOW]:
                    self._lost(here)
            elif prop["properties"][name].get("type") == "array":
                if isinstance(found, Nil):
                    self._lost(here)
                elif found is not None:
                    tree.setdefault(name, []).append(found)
            elif name in tree or f"_{name}" in tree:
                self._lost(here)
            else:
                self._put(tree, name, found)
        return tree

    def _slice(self, prop: Json, one: Any, place: str) -> tuple[str | None, Any]:
        """Which of the names this is, and what it holds."""
        if not isinstance(one, dict):
            raise InvalidDocument("Hier hoort een object te staan.", path=place)
        form, known = prop["fhir"], prop["properties"]
        if form == "reference":
            target = self._target(one, place)
            if target is None and len(known) == 1 and (why := forms.reason(one)) is not None:
                return next(iter(known)), Nil(why)
            kind = self._known[target][1]["resourceType"] if target else None
            if kind not in known or target is None:
                return None, None
            return kind, self._resource(forms.items(known[kind]), target)
        if form == "identifiers":
            name = next((n for n, p in known.items() if p["system"] == one.get("system")), None)
            self._rest(one, {"system", "value", "use"}, place)
            why = forms.reason(one.get("_value"))
            return name, one.get("value") if why is None else Nil(why)
        if form == "slices":
            for name, sub in known.items():
                consts = {
                    k: p["const"] for k, p in forms.items(sub)["properties"].items() if "const" in p
                }
                if forms.fits(consts, one):
                    return name, self._value(forms.items(sub), one, place)
            return None, None
        nested = prop.get("nested", False)
        name = next(
            (n for n, p in known.items() if forms.url(n, p, nested=nested) == one.get("url")), None
        )
        return name, self._extension(forms.items(known[name]), one, place) if name else None

    def _extension(self, prop: Json, one: Json, place: str) -> Any:
        key, why = forms.value_key(prop), forms.reason(one)
        if why is not None and one.keys() == {"url", "extension"} and len(one["extension"]) == 1:
            return Nil(why)
        if not key:
            self._budget -= 1
            self._rest(one, {"url", "extension"}, place)
            return self._sliced(
                {**prop, "fhir": "extensions", "nested": True}, forms.extensions(one), place
            )
        if key not in one:
            self._lost(place)
            return None
        self._rest(one, {"url", key}, place)
        return self._value(prop, one[key], f"{place}.{key}")
