"""docs/aansluiten.md says to partners what is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gateway import errors
from gateway.api.routes import router
from gateway.bootstrap import load_dialects

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "aansluiten.md").read_text("utf-8")
START, END = "tests/test_aansluiten.py zegt wat hier hoort te staan -->\n", "<!-- /fouten -->"
OTHERS: tuple[type[errors.GatewayError], ...] = (errors.StoreUnavailable, errors.GatewayError)
"""What a partner can be answered beside a refusal."""


def refusals(of: type[errors.GatewayError] = errors.Refused) -> Iterator[type[errors.GatewayError]]:
    """Every refusal of ours, parents first; `Refused` itself is only what others are made of."""
    for child in of.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from refusals(child)


def table() -> str:
    rows = ["| code | HTTP | wat er is | wat u doet |", "|---|---|---|---|"]
    for error in (*refusals(), *OTHERS):
        rows.append(f"| `{error.code}` | {error.status} | {error.titel} | {error.advies} |")
    return "\n".join(rows) + "\n"


def test_the_table_of_error_codes_is_that_of_the_errors() -> None:
    told = PAGE.partition(START)[2].partition(END)[0]

    assert table() == told


def test_every_address_it_names_exists() -> None:
    paths = {route.path for route in router.routes if hasattr(route, "path")}
    named = {re.sub(r"^(GET|POST) ", "", text) for text in re.findall(r"`([^`]*/v1/[^`]*)`", PAGE)}

    assert named and named <= paths


def test_every_dialect_it_names_is_installed() -> None:
    named = set(re.findall(r"^\| `([a-z-]+/[0-9.]+)` \|", PAGE, re.MULTILINE))

    assert named and named <= load_dialects().keys()


def test_it_says_what_is_the_limit_of_a_document() -> None:
    from gateway.ports import MAX_DOCUMENT

    assert f"ten hoogste {MAX_DOCUMENT // 2**20} MiB" in PAGE
