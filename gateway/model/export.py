"""Writes the JSON Schemas of the canonical kinds to schemas/canonical (`make schemas`)."""

import json
from pathlib import Path

from gateway.model import SOORTEN, json_schema
from gateway.resources import folder


def documents() -> dict[str, str]:
    """File name and text of every schema; keys sorted, so that a difference is a change."""
    return {
        f"{kind}.json": json.dumps(json_schema(kind), ensure_ascii=False, indent=2, sort_keys=True)
        + "\n"
        for kind in SOORTEN
    }


def main() -> None:
    """Write them all into the checkout."""
    target = Path(str(folder("schemas"))) / "canonical"
    for name, text in documents().items():
        (target / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
