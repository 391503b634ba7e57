"""Hypothesis strategies for canonical messages: invented people only."""

from __future__ import annotations

import copy
import re
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

from gateway.model import lees, schrijf
from gateway.model.bekendheid import RedenVerzoek, SoortVerzoeker
from gateway.model.waarden import GeenWaarde
from gateway.ports import Loss


def bsn_of(number: int) -> str | None:
    """The test BSN 9999xxxxx nearest to `number` that passes the 11-proef, if there is one."""
    digits = f"9999{number:04}"
    total = sum(int(d) * w for d, w in zip(digits, range(9, 1, -1), strict=True))
    last = total % 11
    return f"{digits}{last}" if last < 10 else None


def tekst(longest: int, *, shortest: int = 1) -> st.SearchStrategy[str]:
    """Text that XML 1.0 can hold, with diacritics, ligatures and odd spaces."""
    return st.text(
        st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\ufffe\uffff"),
        min_size=shortest,
        max_size=longest,
    )


bsns = st.integers(0, 9999).map(bsn_of).filter(lambda b: b is not None)
deeldatums = st.dates(date(1900, 1, 1), date(2099, 12, 31)).flatmap(
    lambda d: st.sampled_from([f"{d:%Y}", f"{d:%Y-%m}", f"{d:%Y-%m-%d}"])
)
momenten = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)).map(
    lambda d: (
        f"{d:%Y-%m-%dT%H:%M:%S}" + f".{d.microsecond // 1000:03}".rstrip("0").rstrip(".") + "Z"
    )
)


def _object(
    required: dict[str, Any], optional: dict[str, Any], nillable: tuple[str, ...] = ()
) -> st.SearchStrategy[dict[str, Any]]:
    """An object with any of its optional fields, and reasons for some that are absent."""

    @st.composite
    def build(draw: st.DrawFn) -> dict[str, Any]:
        value = {key: draw(strategy) for key, strategy in required.items()}
        reasons = {}
        for key, strategy in optional.items():
            choice = draw(st.sampled_from(["weg", "waarde", "reden"]))
            if choice == "waarde":
                value[key] = draw(strategy)
            elif choice == "reden" and key in nillable:
                reasons[key] = draw(st.sampled_from([r.value for r in GeenWaarde]))
        if reasons:
            value["geenWaarde"] = reasons
        return value

    return build()


extra = st.lists(
    _object({"naam": tekst(20)}, {"waarde": tekst(30)}, ("waarde",)), min_size=1, max_size=3
)
systemen = _object(
    {"organisatie": tekst(200), "applicatie": tekst(50, shortest=3)},
    {"administratie": tekst(50), "gebruiker": tekst(100)},
)
contactpersonen = _object(
    {},
    {"naam": tekst(80), "telefoonnummer": tekst(20), "emailadres": tekst(254), "extra": extra},
    ("naam", "telefoonnummer", "emailadres"),
)
organisaties = _object(
    {},
    {
        "identificatie": tekst(24),
        "naam": tekst(50),
        "contactpersoon": contactpersonen,
        "extra": extra,
    },
    ("identificatie", "naam", "contactpersoon"),
)
personen = _object(
    {},
    {
        "bsn": bsns,
        "geslachtsnaam": tekst(200),
        "voorvoegsel": tekst(10),
        "voorletters": tekst(20),
        "voornamen": tekst(200),
        "geboortedatum": deeldatums,
        "extra": extra,
    },
    ("bsn", "geslachtsnaam", "voorvoegsel", "voorletters", "voornamen", "geboortedatum"),
)
verzoeken = _object(
    {
        "identificatie": tekst(40, shortest=5),
        "soortVerzoeker": st.sampled_from([s.value for s in SoortVerzoeker]),
    },
    {
        "reden": st.sampled_from([r.value for r in RedenVerzoek]),
        "persoon": personen,
        "aanvrager": organisaties,
        "extra": extra,
    },
    ("reden", "persoon", "aanvrager"),
)
uitslagen = _object(
    {
        "identificatie": tekst(40, shortest=5),
        "verzoekidentificatie": tekst(40, shortest=5),
        "bekend": st.booleans(),
    },
    {"persoon": personen, "aanvrager": organisaties, "uitvoerende": organisaties, "extra": extra},
    ("persoon", "aanvrager", "uitvoerende"),
)


def _event(kind: str, data: dict[str, Any], **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    inhoud = st.fixed_dictionaries({"afzender": systemen, "ontvanger": systemen, **data})
    return st.fixed_dictionaries(
        {
            "specversion": st.just("1.0"),
            "id": tekst(40),
            "source": st.just("urn:nld:oin:00000099000000001000:systeem:Test"),
            "type": st.just(f"nl.zvh.{kind}.v1"),
            "time": momenten,
            "data": inhoud,
            **more,
        },
        optional={"huis": st.just("de-baronie"), "conversatieid": tekst(20)},
    ).map(lambda event: schrijf(lees(event)))


events = st.one_of(
    _event("bekendheidsverzoek", {"verzoek": verzoeken}),
    _event(
        "bekendheidsuitslag",
        {"uitslagen": st.lists(uitslagen, min_size=1, max_size=3)},
        antwoordop=tekst(40),
    ),
)
"""Canonical messages of any kind, as JSON objects in their normal form."""


def erase(event: dict[str, Any], loss: list[Loss]) -> dict[str, Any]:
    """
    The canonical tree without what was lost: the right-hand side of the law
    `parse(render(m)) == erase(m, loss)`.
    """
    left = copy.deepcopy(event)
    steps = [re.findall(r"[^.\[\]]+|\[[0-9]+\]", entry.path) for entry in loss]
    for path in sorted(steps, key=_deepest_last_index_first):
        here: Any = left
        *way, last = path
        for step in way:
            here = here[int(step[1:-1])] if step[0] == "[" else here[step]
        del here[int(last[1:-1]) if last[0] == "[" else last]
    return left


def _deepest_last_index_first(path: list[str]) -> list[Any]:
    return [-len(path), *(-int(s[1:-1]) if s[0] == "[" else 0 for s in path)]
