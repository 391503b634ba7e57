"""A dialect says a message, or that it cannot: then the receiver's next dialect is tried."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.bootstrap import load_dialects
from gateway.errors import InvalidDocument, NotExpressible
from gateway.formats.codes import table
from gateway.formats.mapping import Mapping, Shared
from gateway.formats.structure import Element
from gateway.model import SOORTEN, lees

from .kinds import kinds

DIALECTS = load_dialects()


@pytest.mark.parametrize("name", DIALECTS)
@given(data=st.data())
@settings(max_examples=30, phases=[Phase.generate])
def test_every_dialect_says_a_message_or_that_it_cannot(name: str, data: st.DataObject) -> None:
    try:
        bericht = lees(data.draw(st.sampled_from(sorted(SOORTEN)).flatmap(kinds)))
    except InvalidDocument:
        return  # two fields that contradict each other: the strategies see one at a time
    try:
        made = DIALECTS[name].render(bericht)
    except NotExpressible as error:
        assert error.code == "niet-uitdrukbaar"
    else:
        DIALECTS[name].validate(made.document)


def test_a_word_without_a_code_is_not_expressible_and_said_where() -> None:
    leaf = Element("soort", "soort", False, False, False, False, True, {})
    shape = Element("melding", "melding", True, True, False, False, False, {"soort": leaf})
    row: dict[str, Any] = {"partner": "1", "canoniek": "eerste", "betekenis": "De eerste"}
    known = {"code letters": table("letters", {"bron": "bedacht", "code": [row]})}
    file = {"root": "melding", "soort": "melding", "rows": {"soort": "soort | code letters"}}
    mapping = Mapping("melding.toml", file, shape, {"soort": "geen"}, Shared(known))

    assert mapping.render({"soort": "eerste"}) == ({"soort": "1"}, [])
    with pytest.raises(NotExpressible, match="tabel letters") as refused:
        mapping.render({"soort": "tweede"})
    assert refused.value.path == "soort"
