"""JSON in: strict reading, and checking against a JSON Schema; errors quote no value."""

import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import orjson

from gateway.errors import DuplicateKey, Empty, InvalidDocument, TooDeep, TooLarge

MAX_DEPTH = 60
"""As in XML; Python's own reader would run out of stack at about a thousand."""

MAX_TOKENS = 500_000
"""Strings and brackets; a thousand times a message of ours, and a tenth of a second to count."""

MAX_INTEGER = 2**53 - 1
"""Beyond it readers disagree on the value (RFC 8259 §6)."""

QUOTED = frozenset({"const", "enum", "format", "pattern", "type"}) | frozenset(
    f"{edge}{what}" for edge in ("min", "max") for what in ("imum", "Length", "Items")
)
"""Keywords whose value tells the sender what to change."""

# One alternative takes a string whole, closed or not, so that the scan stays linear.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def read(document: bytes) -> Any:
    """
    The value of a UTF-8 JSON document.

    Raises Empty, TooLarge, TooDeep, DuplicateKey, and InvalidDocument (with the position, nothing
    else) for what RFC 8259 does not allow: NaN, infinity, half a surrogate pair, large integers.
    """
    if not document.strip():
        raise Empty
    depth = 0
    for number, token in enumerate(_TOKEN.finditer(document)):
        if number > MAX_TOKENS:
            raise TooLarge("Het document bevat te veel velden.")
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


class JsonSchema:
    """A JSON Schema (2020-12 unless it says otherwise); formats are checked too."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._validator = jsonschema_rs.validator_for(dict(schema), validate_formats=True)

    def validate(self, value: Any) -> None:
        """Raises InvalidDocument with the JSONPath (names of the schema only) and the rule."""
        error: Any = next(self._validator.iter_errors(value), None)
        if error is None:
            return
        while branches := getattr(error.kind, "context", None):
            # Of several forms the one that fits furthest: where it stops is what is wrong.
            firsts = [branch[0] for branch in branches if branch]
            error = max(firsts, key=lambda one: len(one.instance_path))
        keyword = error.schema_path[-1]
        limit: Any = self._schema
        for step in error.schema_path:
            limit = limit[step]
        names = set(error.evaluation_path)
        path = "$"
        for step in error.instance_path:
            path += f"[{step}]" if isinstance(step, int) else f".{step if step in names else '?'}"
        if keyword == "required":
            missing = ", ".join(name for name in limit if name not in error.instance)
            raise InvalidDocument(f"Een verplicht veld ontbreekt: {missing}.", path=path)
        if keyword == "additionalProperties":
            raise InvalidDocument("Het schema kent dit veld niet.", path=f"{path}.?")
        rule = f"De waarde voldoet niet aan {keyword} van het schema"
        if keyword in QUOTED:
            shown = limit if isinstance(limit, list) else [limit]
            rule += f": {', '.join(map(str, shown))}"
        raise InvalidDocument(f"{rule}.", path=path)
