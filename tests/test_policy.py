"""Doelbinding: default deny, rules that cannot be misread, and what a receiver may not have."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import orjson
import pytest

from gateway.core.policy import ABOUT_PERSONS, ROLES, Policy, Ruling, strip
from gateway.errors import MappingInvalid, NotAllowed
from gateway.model import SOORTEN, lees, schrijf
from gateway.model.bekendheid import Bekendheidsuitslag, Bekendheidsverzoek, Verzoek
from gateway.model.envelop import Bericht
from gateway.model.partner import Partner
from gateway.model.waarden import GeenWaarde, Wgs
from gateway.ports import Loss
from gateway.resources import folder

TODAY = date(2026, 11, 24)
TEXT = (folder("mappings") / "doelbinding.toml").read_text()
POLICY = Policy.read(TEXT)


def allowing(categories: frozenset[Wgs]) -> Ruling:
    return Ruling("", date.max, categories, frozenset())


IDENTITY = frozenset({Wgs.IDENTIFICEREND, Wgs.BSN})

OM = Partner(
    name="zsm",
    oin="00000099000000001000",
    systeem="zsm",
    role="om",
    houses=frozenset({"*"}),
    dialects={"*": "stuf-jz/1.0.9"},
    sends=frozenset({"bekendheidsverzoek"}),
    receives=frozenset({"bekendheidsuitslag"}),
)
LANDELIJK = replace(OM, name="landelijk", role="landelijk", sends=OM.receives, receives=OM.sends)


def verzoek(**parts: Any) -> Bericht:
    """A question about somebody invented."""
    return lees(
        {
            "id": "vraag-1",
            "source": "urn:nld:oin:00000099000000001000:systeem:zsm",
            "type": "nl.zvh.bekendheidsverzoek.v1",
            "time": "2026-11-24T12:00:00Z",
            "data": {
                "afzender": {"organisatie": OM.oin, "applicatie": "ZSM", "gebruiker": "tester"},
                "ontvanger": {"organisatie": "00000099000000002000", "applicatie": "ZVH"},
                "verzoek": {
                    "identificatie": "zaak-1",
                    "soortVerzoeker": "zsm-raadpleger",
                    "persoon": {"bsn": "999990342", "geslachtsnaam": "Testpersoon"},
                    **parts,
                },
            },
        }
    )


def vraag(bericht: Bericht) -> Verzoek:
    """The question in the message."""
    assert isinstance(bericht.data, Bekendheidsverzoek)
    return bericht.data.verzoek


FROM = 'van = ["om", "veilig-thuis", "landelijk", "gcos", "zvh"]'
TO = 'naar = ["landelijk", "gcos", "zvh"]'
EXTRA = [{"naam": "opmerking", "waarde": "vrije tekst"}]


def test_the_published_rules_allow_what_was_agreed() -> None:
    ruling = POLICY.decide(verzoek(), OM, LANDELIJK, TODAY)
    assert ruling.categories == IDENTITY
    assert ruling.destroy_by == TODAY + timedelta(days=30)
    assert "Wgs art. 2.28" in ruling.grounds


@pytest.mark.parametrize("role", sorted(set(ROLES) - {"landelijk", "gcos", "zvh"}))
def test_a_role_without_a_rule_gets_nothing(role: str) -> None:
    with pytest.raises(NotAllowed):
        POLICY.decide(verzoek(), OM, replace(LANDELIJK, role=role), TODAY)


@pytest.mark.parametrize(
    "role", sorted(set(ROLES) - {"om", "veilig-thuis", "landelijk", "gcos", "zvh"})
)
def test_a_role_without_a_rule_sends_nothing(role: str) -> None:
    with pytest.raises(NotAllowed):
        POLICY.decide(verzoek(), replace(OM, role=role), LANDELIJK, TODAY)


@pytest.mark.parametrize("today", [date(2025, 2, 28), date(2030, 3, 1)])
def test_outside_the_convenant_nothing_is_allowed(today: date) -> None:
    with pytest.raises(NotAllowed):
        POLICY.decide(verzoek(), OM, LANDELIJK, today)


def test_the_agreement_narrows_the_rules() -> None:
    with pytest.raises(NotAllowed, match="afzender"):
        POLICY.decide(verzoek(), replace(OM, sends=frozenset()), LANDELIJK, TODAY)
    with pytest.raises(NotAllowed, match="ontvanger"):
        POLICY.decide(verzoek(), OM, replace(LANDELIJK, receives=frozenset()), TODAY)


def test_the_published_kinds_keep_their_order_and_know_their_question() -> None:
    assert POLICY.soort.keys() == SOORTEN.keys()
    assert POLICY.ordered == SOORTEN.keys() - {"bevestiging", "foutbericht"}
    assert POLICY.answers == {
        "bekendheidsuitslag": "bekendheidsverzoek",
        "casusinformatie": "casusinformatieverzoek",
        "meldinguitkomst": "melding",
        "notificatie": "verzoek-tot-onderzoek",
        "bij-weging": "bij-melding",
        "bevestiging": "*",
        "foutbericht": "*",
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (TEXT, ""),
        (TEXT, "regel ="),
        (TEXT, "regel = []\nsoort.bekendheidsverzoek.volgorde = true"),
        (TEXT, "regel = 1\nsoort.bekendheidsverzoek.volgorde = true"),
        ("[soort.bekendheidsverzoek]", "[soort.roddel]"),
        ("volgorde = true", "volgorde = 1"),
        ("volgorde = true", "volgorde = true\nverplicht = true"),
        ('antwoord-op = "bekendheidsverzoek"', 'antwoord-op = "roddel"'),
        ('soort = ["bekendheidsverzoek"]', 'soort = ["roddel"]'),
        (FROM, 'van = ["buurman"]'),
        (FROM, "van = []"),
        (FROM, ""),
        (TO, 'naar = ["buurman"]'),
        (TO, TO + '\nook-naar = ["om"]'),
        ('convenant = "ZSM - Zorg- en Veiligheidshuizen"', 'convenant = ""'),
        ('grondslag = ["Wgs art. 2.28", "Wgs art. 2.30 lid 1"]', "grondslag = []"),
        ('grondslag = ["Wgs art. 2.28", "Wgs art. 2.30 lid 1"]', "grondslag = [1]"),
        ('categorieen = ["identificerend", "bsn"]', "categorieen = []"),
        ('categorieen = ["identificerend", "bsn"]', 'categorieen = ["schoenmaat"]'),
        ('categorieen = ["identificerend", "bsn"]', 'categorieen = ["vrije-tekst"]'),
        ("geldig-tot = 2030-02-28", "geldig-tot = 2020-02-28"),
        ("geldig-tot = 2030-02-28", "geldig-tot = 2030-02-28T00:00:00Z"),
        ('moet-aankomen = ["data.verzoek.persoon"]', 'moet-aankomen = ["data.schoenmaat"]'),
        ("bewaartermijn-dagen = 30", "bewaartermijn-dagen = true"),
        ("bewaartermijn-dagen = 30", "bewaartermijn-dagen = 0"),
        ("bewaartermijn-dagen = 30", "bewaartermijn-dagen = 1826"),
    ],
)
def test_a_policy_that_could_be_misread_is_not_read(old: str, new: str) -> None:
    changed = TEXT.replace(old, new, 1)
    assert changed != TEXT
    with pytest.raises(MappingInvalid):
        Policy.read(changed)


def test_a_kind_that_is_no_table_is_not_read() -> None:
    with pytest.raises(MappingInvalid):
        Policy.read("soort.bekendheidsverzoek = 1\n[[regel]]\nsoort = 'bekendheidsverzoek'")


def test_what_is_allowed_passes_unchanged() -> None:
    bericht = verzoek()
    assert strip(bericht, allowing(IDENTITY)) == (bericht, ())


def test_what_is_not_allowed_is_removed_and_told_without_its_value() -> None:
    stripped, removed = strip(verzoek(), allowing(frozenset({Wgs.IDENTIFICEREND})))
    assert removed == (Loss("data.verzoek.persoon.bsn", "bsn", "weg", "nietGeautoriseerd"),)
    assert b"999990342" not in orjson.dumps(schrijf(stripped))
    persoon = vraag(stripped).persoon
    assert persoon and persoon.geen_waarde == {"bsn": GeenWaarde.NIET_GEAUTORISEERD}
    assert lees(schrijf(stripped)) == stripped


def test_without_a_category_a_whole_branch_goes() -> None:
    stripped, removed = strip(verzoek(), allowing(frozenset({Wgs.BSN})))
    assert {loss.path for loss in removed} == {
        "data.afzender.gebruiker",
        "data.verzoek.persoon",
    }
    assert vraag(stripped).persoon is None


def test_free_text_counts_as_every_category() -> None:
    bericht = verzoek(extra=EXTRA)
    kept, removed = strip(bericht, allowing(ABOUT_PERSONS))
    assert (kept, removed) == (bericht, ())
    stripped, removed = strip(bericht, allowing(ABOUT_PERSONS - {Wgs.FINANCIEEL}))
    assert [loss.path for loss in removed] == ["data.verzoek.extra"]
    assert vraag(stripped).extra == ()


def uitslag(count: int = 1) -> Bericht:
    one = {
        "identificatie": "a-1",
        "verzoekidentificatie": "zaak-1",
        "bekend": True,
        "persoon": {"bsn": "999990342"},
    }
    event = schrijf(verzoek()) | {"type": "nl.zvh.bekendheidsuitslag.v1"}
    event["data"] = {**event["data"], "uitslagen": [one] * count}
    del event["data"]["verzoek"]
    return lees(event)


def test_a_message_that_makes_no_sense_without_a_field_is_refused() -> None:
    with pytest.raises(NotAllowed) as caught:
        strip(uitslag(), allowing(frozenset({Wgs.BSN})))
    assert caught.value.path == "data.uitslagen.bekend"


def test_what_repeats_is_told_once() -> None:
    stripped, removed = strip(uitslag(3), allowing(frozenset({Wgs.IDENTIFICEREND})))
    assert [loss.path for loss in removed] == ["data.uitslagen.persoon.bsn"]
    assert isinstance(stripped.data, Bekendheidsuitslag)
    assert all(one.persoon and one.persoon.bsn is None for one in stripped.data.uitslagen)
