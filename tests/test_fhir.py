"""fhir/4.0: message Bundles, carried both ways without loss, valid for two checkers."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.national import fhir
from adapters.national.fhir import FHIR_4, SOORTEN_FHIR
from gateway.model import lees, schrijf

from .berichten import erase
from .eigen import SPECIAL
from .kinds import kinds

try:
    import fhirkit
except ImportError:
    fhirkit = None

ORDER = {
    "betrokkenen": ("positie", ("onderwerp", "betrokken", "overig")),
    "leden": ("rol", ("hoofdpersoon", "gezinslid", "kring")),
}


def issues(document: bytes) -> list[str]:
    return [f"{i.path}: {i.message}" for i in fhirkit.validate(document)]


def ordered(event: dict[str, Any]) -> dict[str, Any]:
    """Lists fed by several elements follow the order of the document."""
    for name, (key, words) in ORDER.items():
        if name in event["data"]:
            event["data"][name].sort(key=lambda one: words.index(one[key]))
    return event


def visible(value: Any) -> Any:
    """The same with a sign in every text: FHIR has no texts of white space only."""
    if isinstance(value, dict):
        return {key: visible(one) for key, one in value.items()}
    if isinstance(value, list):
        return [visible(one) for one in value]
    return value if not isinstance(value, str) or value.strip() else f"{value}x"


@cache
def _messages(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    return kinds(
        kind,
        SPECIAL
        | {
            "mediatype": lambda _: st.just("application/pdf"),
            "inhoud": lambda _: st.just("JVBERi0xLjQK"),
        },
    ).map(visible)


@pytest.mark.parametrize("kind", SOORTEN_FHIR)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_comes_back_is_what_was_sent_without_the_loss_account(
    kind: str, data: st.DataObject
) -> None:
    """(d, loss) = render(m) implies parse(d) == erase(m, loss)."""
    sent = data.draw(_messages(kind))
    rendered = FHIR_4.render(lees(sent))
    back = FHIR_4.parse(rendered.document)
    again = FHIR_4.render(back.bericht)
    gone = [entry for entry in rendered.loss if entry.how == "weg"]
    expected = schrijf(lees(erase(sent, gone)))
    found = schrijf(back.bericht)
    for elsewhere in ("source", "conversatieid"):
        expected.pop(elsewhere, None)
        found.pop(elsewhere, None)
    assert [] == issues(rendered.document)
    assert () == back.loss
    rounded = [entry.path for entry in rendered.loss if entry.how == "afgerond"]
    if not rounded:
        assert ordered(expected) == ordered(found)
    assert rendered.document == again.document
