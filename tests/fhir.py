"""FHIR for tests: examples, the second judge, and the code systems made from our tables."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from adapters.national.fhir import FHIR_4
from gateway.formats.fhir.forms import BASE
from gateway.formats.mapping import read_toml
from gateway.resources import folder

EXAMPLES = sorted((Path(__file__).parent / "examples" / "fhir").glob("*.json"))
CODE_SYSTEMS = Path(str(folder("schemas"))) / "fhir" / "4.0" / "codesystemen.json"
WHAT = {
    "bericht": dict(zip(FHIR_4.kinds, FHIR_4.kinds, strict=True)),
    "encounter": {"detentie": "Detentie", "overleg": "Casusoverleg"},
    "flag": {"terugkeer": "Terugkeer uit detentie"},
}
"""Codes that tell our resources apart: they stand in no table."""


def issues(document: bytes) -> list[str]:
    """What the second judge (R4 4.0.1, not the models we validate by) has against a Bundle."""
    try:
        import fhirkit
    except ImportError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("NOT CHECKED: fhirkit-rs, the second judge of FHIR, is not installed")
    return [f"{one.path}: {one.message}" for one in fhirkit.validate(document)]


def example(name: str) -> Any:
    return json.loads(next(path for path in EXAMPLES if path.stem == name).read_bytes())


def resources(bundle: Any, kind: str) -> list[Any]:
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind]


def properties(schema: Any) -> list[tuple[str, Any]]:
    """Every property in a schema, with its name; those of what stands in a list too."""
    found = []
    for name, one in {
        **schema.get("properties", {}),
        **schema.get("items", {}).get("properties", {}),
    }.items():
        found += [(name, one), *properties(one)]
    return found


def code_systems() -> Any:
    """A CodeSystem for every system of ours that a schema names, from its table."""
    used = set(WHAT)
    for kind in FHIR_4.kinds:
        systems = {str(one.get("system", "")) for _, one in properties(FHIR_4.schemas[kind])}
        used |= {s.rpartition("/")[2] for s in systems if s.startswith(f"{BASE}/CodeSystem/")}
    entries = []
    for name in sorted(used | {"casusrol"}):
        if name in WHAT:
            source, words = "Eigen codes van de gateway", WHAT[name]
        else:
            table = read_toml(folder("mappings") / "codes" / f"{name}.toml")
            source, words = table["bron"], {}
            for row in table["code"]:
                for word in row["canoniek"].split("/"):
                    words.setdefault(word, row["betekenis"])
        system = {
            "resourceType": "CodeSystem",
            "url": f"{BASE}/CodeSystem/{name}",
            "name": name.replace("-", "_").capitalize(),
            "status": "active",
            "copyright": source,
            "content": "complete",
            "concept": [{"code": code, "display": display} for code, display in words.items()],
        }
        entries.append({"fullUrl": system["url"], "resource": system})
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def written(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    CODE_SYSTEMS.write_text(written(code_systems()), "utf-8")
