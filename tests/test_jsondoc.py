"""Reading and checking JSON."""

import json
import time
from typing import Any

import pytest

from gateway.errors import DuplicateKey, Empty, GatewayError, InvalidDocument, TooDeep, TooLarge
from gateway.formats import jsondoc

from .jz import MARK

HOSTILE_JSON: dict[str, tuple[type[GatewayError], bytes]] = {
    "nothing": (Empty, b""),
    "white space": (Empty, b" \n"),
    "the same key twice": (DuplicateKey, f'{{"{MARK}": 1, "{MARK}": 1}}'.encode()),
    "the same key twice, escaped": (DuplicateKey, b'{"a": 1, "\\u0061": 1}'),
    "the same key twice, deep": (DuplicateKey, b'[{"a": {"b": 1, "b": 2}}]'),
    "61 levels": (TooDeep, b"[" * 61 + b"]" * 61),
    "a million brackets": (TooDeep, b"[" * 1_000_000),
    "a million objects": (TooDeep, b'{"a":' * 1_000_000),
    "ten million brackets": (TooLarge, b"[" + b"[]," * 10_000_000 + b"[]]"),
    "a million quotes": (InvalidDocument, b'"' + b'\\"' * 1_000_000),
    "NaN": (InvalidDocument, b"[NaN]"),
    "infinity": (InvalidDocument, b"[-Infinity]"),
    "a number too large": (InvalidDocument, b"[1e999]"),
    "an integer too large": (InvalidDocument, b"[9007199254740992]"),
    "an integer of a million digits": (InvalidDocument, b"[" + b"9" * 1_000_000 + b"]"),
    "latin-1": (InvalidDocument, f'["{MARK}é"]'.encode("latin-1")),
    "utf-16": (InvalidDocument, '["a"]'.encode("utf-16")),
    "half a surrogate pair": (InvalidDocument, b'["\\ud800"]'),
    "control character": (InvalidDocument, b'["\x01"]'),
    "comma at the end": (InvalidDocument, b"[1,]"),
    "a bare word": (InvalidDocument, MARK.encode()),
    "xml": (InvalidDocument, b"<a/>"),
    "two values": (InvalidDocument, b"{} {}"),
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_json_is_refused_at_once(name: str) -> None:
    expected, document = HOSTILE_JSON[name]
    started = time.monotonic()
    with pytest.raises(GatewayError) as refusal:
        jsondoc.read(document)
    assert type(refusal.value) is expected
    assert MARK not in refusal.value.reason()
    assert time.monotonic() - started < 2


def test_brackets_in_strings_are_not_depth() -> None:
    value = {"a": "[" * 1000 + '\\"[' * 1000, "b": [9007199254740991, -9007199254740991, 1.5]}
    assert jsondoc.read(json.dumps(value).encode()) == value


JSON_SCHEMA = jsondoc.JsonSchema(
    {
        "type": "object",
        "required": ["soort"],
        "additionalProperties": False,
        "properties": {
            "soort": {"enum": ["a", "b"]},
            "datum": {"type": "string", "format": "date"},
            "personen": {"type": "array", "items": {"$ref": "#/$defs/persoon"}},
        },
        "$defs": {
            "persoon": {
                "properties": {"bsn": {"pattern": "^[0-9]{9}$", "type": "string"}},
                "additionalProperties": {"type": "string"},
            }
        },
    }
)


@pytest.mark.parametrize(
    ("value", "path", "rule"),
    [
        ({}, "$", "Een verplicht veld ontbreekt: soort."),
        ({"soort": MARK}, "$.soort", "De waarde voldoet niet aan enum van het schema: a, b."),
        ({"soort": "a", MARK: 1}, "$.?", "Het schema kent dit veld niet."),
        (
            {"soort": "a", "datum": MARK},
            "$.datum",
            "De waarde voldoet niet aan format van het schema: date.",
        ),
        (
            {"soort": "a", "personen": [{}, {"bsn": MARK}]},
            "$.personen[1].bsn",
            "De waarde voldoet niet aan pattern van het schema: ^[0-9]{9}$.",
        ),
        (
            {"soort": "a", "personen": [{MARK: 1}]},
            "$.personen[0].?",
            "De waarde voldoet niet aan type van het schema: string.",
        ),
        ([MARK], "$", "De waarde voldoet niet aan type van het schema: object."),
    ],
)
def test_a_json_fault_is_told_by_place_and_rule(value: Any, path: str, rule: str) -> None:
    with pytest.raises(InvalidDocument) as refusal:
        JSON_SCHEMA.validate(value)
    assert refusal.value.path == path
    assert refusal.value.detail == rule
    assert refusal.value.__cause__ is None


def test_json_that_follows_the_schema_passes() -> None:
    JSON_SCHEMA.validate({"soort": "a", "datum": "2026-11-24", "personen": [{"bsn": "999990342"}]})
