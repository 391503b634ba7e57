"""JSON in and out: strict reading, checking against a JSON Schema, writing; errors quote nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import orjson

from gateway.errors import DuplicateKey, Empty, InvalidDocument, TooDeep

MAX_DEPTH = 60
"""As in XML; Python's own reader would run out of stack at about a thousand."""

MAX_INTEGER = 2**53 - 1
"""Beyond it readers disagree on the value (RFC 8259 §6)."""

# One alternative takes a string whole, closed or not, so that the scan stays linear.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def read(document: bytes) -> Any:
    """
    The value of a UTF-8 JSON document.

    Raises Empty, TooDeep, DuplicateKey, and InvalidDocument (with the position, nothing else) for
    what RFC 8259 does not allow, NaN, infinity, half a surrogate pair and integers over 2**53.
    """
    if not document.strip():
        raise Empty("Het document is leeg.")
    depth = 0
    for token in _TOKEN.finditer(document):
        sign = token[0][0]
        depth += (sign in b"[{") - (sign in b"]}")
        if depth > MAX_DEPTH:
            raise TooDeep(f"Dieper genest dan {MAX_DEPTH} niveaus.")
    try:
        value = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        place = f"regel {error.lineno}, positie {error.colno}"
        raise InvalidDocument(f"Geen geldige JSON in UTF-8 op {place}.") from None
    # orjson keeps the last of two equal keys and rounds large integers: look once more.
    json.loads(document, object_pairs_hook=_once, parse_int=_bounded)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise DuplicateKey("Een object bevat een sleutel tweemaal.")
    return members


def _bounded(digits: str) -> int:
    if len(digits) > len(str(-MAX_INTEGER)) or abs(int(digits)) > MAX_INTEGER:
        raise InvalidDocument("Een geheel getal is groter dan 2^53.")
    return int(digits)


def dumps(value: Any) -> bytes:
    """Compact UTF-8 JSON."""
    return orjson.dumps(value)


_RULES = {
    "required": "Een verplicht veld ontbreekt",
    "additionalProperties": "Het schema kent dit veld niet",
    "enum": "De waarde is geen van de toegestane waarden",
    "const": "De waarde is niet de vaste waarde",
    "type": "De waarde is niet van het juiste type",
    "pattern": "De waarde past niet in het patroon",
    "format": "De waarde heeft niet de juiste vorm",
    "minLength": "De waarde heeft minder tekens dan het minimum",
    "maxLength": "De waarde heeft meer tekens dan het maximum",
    "minimum": "De waarde is kleiner dan het minimum",
    "maximum": "De waarde is groter dan het maximum",
    "minItems": "De lijst is korter dan het minimum",
    "maxItems": "De lijst is langer dan het maximum",
}


class JsonSchema:
    """A JSON Schema (2020-12 unless it says otherwise); formats are checked too."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._validator = jsonschema_rs.validator_for(dict(schema), validate_formats=True)
        self._names = set(_properties(schema))

    def validate(self, value: Any) -> None:
        """Raises InvalidDocument with the JSONPath (names of the schema only) and the rule."""
        error = next(self._validator.iter_errors(value), None)
        if error is None:
            return
        *_, keyword = error.schema_path
        limit: Any = self._schema
        for step in error.schema_path:
            limit = limit[step]
        path = "$" + "".join(map(self._step, error.instance_path))
        rule = _RULES.get(str(keyword), "De waarde voldoet niet aan het schema")
        if keyword == "required":
            limit = [name for name in limit if name not in error.instance]
        elif keyword == "additionalProperties":
            path += ".?"
        shown = limit if isinstance(limit, list) else [limit]
        quotable = str(keyword) in _RULES and not isinstance(limit, bool | dict)
        words = f": {', '.join(map(str, shown))}" if quotable else ""
        raise InvalidDocument(f"{rule}{words}.", path=path)

    def _step(self, step: str | int) -> str:
        if isinstance(step, int):
            return f"[{step}]"
        return f".{step if step in self._names else '?'}"


def _properties(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(properties := schema.get("properties"), Mapping):
            yield from properties
        for part in schema.values():
            yield from _properties(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _properties(part)
