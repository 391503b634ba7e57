"""The fields of a canonical kind: their paths and Wgs categories, read from the model itself."""

import functools
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from gateway.model.envelop import Bericht, Inhoud


@functools.cache
def velden(kind: type[Inhoud]) -> dict[str, str]:
    """Path of every leaf (`data.verzoek.persoon.bsn`, lists without index) to its category."""
    found = {name: "geen" for name in Bericht.model_fields if name != "data"}
    found.update(_leaves(kind, "data"))
    return found


def categorie(field: Any) -> str:
    """The Wgs category of a pydantic field; every field of ours has one."""
    return str(field.json_schema_extra["wgs"])


def deel_van(annotation: Any) -> type[BaseModel] | None:
    """The model class inside an annotation such as `tuple[Uitslag, ...]` or `Persoon | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := deel_van(arg))), None)


def _leaves(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if name == "geen_waarde":
            continue
        path = f"{prefix}.{field.alias or name}"
        inner = deel_van(field.annotation)
        if inner:
            yield from _leaves(inner, path)
        else:
            yield path, categorie(field)
