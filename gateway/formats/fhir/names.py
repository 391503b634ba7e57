"""
Given names as nl-core has them: each with a qualifier that says whether it is a name or an initial.

BR a given name, IN an initial (iso21090 EntityNamePartQualifier). One without counts as a name; a
CL (the name somebody is called by) has no place on our side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.formats.fhir import forms
from gateway.formats.fhir.forms import Json

_QUALIFIER = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-qualifier"


def read_given(
    prop: Json, texts: Any, beside: Any, place: str, lost: Callable[[str], None]
) -> Json | None:
    """Our names from `given` and `_given`; several of one kind become one text."""
    tree: Json = {}
    known = {one["code"]: name for name, one in prop["properties"].items()}
    texts, beside = texts or [], beside or []
    for number in range(max(len(texts), len(beside))):
        text = texts[number] if number < len(texts) else None
        extra = beside[number] if number < len(beside) else None
        said = [e for e in forms.extensions(extra) if e.get("url") == _QUALIFIER]
        name = known.get(said[0].get("valueCode") if said else "BR")
        why = forms.reason(extra)
        if name is None or f"_{name}" in tree:
            lost(f"{place}[{number}]")
        elif text is not None:
            tree[name] = f"{tree[name]} {text}" if name in tree else text
        elif why is not None:
            tree[f"_{name}"] = why
    return tree or None


def write_given(prop: Json, found: Json) -> tuple[list[Any], list[Json]]:
    """`given` (empty when there are only reasons) and `_given`."""
    texts: list[Any] = []
    beside = []
    for name, one in prop["properties"].items():
        extra: list[Json] = [{"url": _QUALIFIER, "valueCode": one["code"]}]
        if f"_{name}" in found:
            extra += forms.absent(found[f"_{name}"])["extension"]
        elif name not in found:
            continue
        texts.append(found.get(name))
        beside.append({"extension": extra})
    return texts if any(texts) else [], beside
