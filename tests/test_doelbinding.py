"""The published rules, kind by kind: what may go to whom, and what stays behind."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from gateway.core.policy import ROLES, Policy, strip
from gateway.errors import NotAllowed
from gateway.model import SOORTEN, lees, schrijf
from gateway.model.envelop import Bericht, type_of
from gateway.model.partner import Partner
from gateway.ports import Loss
from gateway.resources import folder

POLICY = Policy.read((folder("mappings") / "doelbinding.toml").read_text("utf-8"))
TODAY = date(2026, 6, 1)
PERSOON = {
    "bsn": "999990342",
    "geslachtsnaam": "Testpersoon",
    "nationaliteiten": [{"code": "0001", "omschrijving": "Nederlandse"}],
}


def partner(role: str) -> Partner:
    kinds = frozenset(SOORTEN)
    return Partner(role, f"oin-{role}", "s", role, frozenset({"*"}), {"*": "x/1"}, kinds, kinds)


def bericht(kind: str, **data: Any) -> Bericht:
    systeem = {"organisatie": "00000099000000001000", "applicatie": "Proef"}
    return lees(
        {
            "specversion": "1.0",
            "id": "b-1",
            "source": "urn:nld:oin:00000099000000001000:systeem:Proef",
            "type": type_of(kind),
            "time": "2026-06-01T10:00:00Z",
            "data": {"afzender": systeem, "ontvanger": systeem, **data},
        }
    )


def melding(rol: str = "kind") -> Bericht:
    return bericht(
        "melding",
        identificatie="M-0001",
        situatie="vrije tekst",
        betrokkenen=[{"positie": "betrokken", "rol": rol, "persoon": PERSOON}],
    )


def passes(message: Bericht, van: str, naar: str) -> tuple[dict[str, Any], set[str]]:
    """What arrives, and the paths of what was removed."""
    ruling = POLICY.decide(message, partner(van), partner(naar), TODAY)
    stripped, removed = strip(message, ruling)
    data: dict[str, Any] = schrijf(stripped)["data"]
    return data, {loss.path for loss in removed}


def test_nationality_passes_only_to_identify() -> None:
    told, removed = passes(melding(), "om", "landelijk")
    assert "nationaliteiten" not in told["betrokkenen"][0]["persoon"]
    assert "data.betrokkenen.persoon.nationaliteiten" in removed
    assert "999990342" == told["betrokkenen"][0]["persoon"]["bsn"]

    return_ = bericht(
        "bij-melding",
        melding={
            "identificatie": "BIJ-1",
            "gemeente": "0758",
            "persoon": PERSOON,
            "terugkeer": {"soort": "definitief", "datum": "2026-07-01"},
        },
    )
    told, removed = passes(return_, "dji", "gemeente")
    assert [{"code": "0001", "omschrijving": "Nederlandse"}] == told["melding"]["persoon"][
        "nationaliteiten"
    ]


def test_a_person_who_reports_is_named_to_veilig_thuis_and_to_nobody_else() -> None:
    told, _ = passes(melding("melder"), "politie", "veilig-thuis")
    assert "Testpersoon" == told["betrokkenen"][0]["persoon"]["geslachtsnaam"]

    told, removed = passes(melding("melder"), "politie", "landelijk")
    assert "persoon" not in told["betrokkenen"][0]
    assert {"data.betrokkenen.persoon"} == removed

    told, _ = passes(melding("kind"), "politie", "landelijk")
    assert "Testpersoon" == told["betrokkenen"][0]["persoon"]["geslachtsnaam"]


def test_the_skn_leaves_the_criminal_chain_only_in_the_51c_set() -> None:
    decision = bericht(
        "afdoeningsbeslissing",
        identificatie="A-0001",
        persoon={**PERSOON, "skn": "12345678"},
        parketnummer="02/123456-26",
        beslissing="sepot",
        beslistOp="2026-05-30",
    )
    told, removed = passes(decision, "om", "landelijk")
    assert "skn" not in told["persoon"]
    assert "data.persoon.skn" in removed

    terms = bericht(
        "detentiegegevens",
        identificatie="D-0001",
        skn="12345678",
        geslachtsnaam="Testpersoon",
        geboortedatum="1985-04-12",
        gemeente="0758",
        detentie={"inrichting": "PI Voorbeeld", "begin": "2026-01-01"},
    )
    told, removed = passes(terms, "dji", "gemeente")
    assert ("12345678", set()) == (told["skn"], removed)


def risk() -> Bericht:
    return bericht(
        "risico-informatie",
        identificatie="R-0001",
        gemeente="0758",
        persoon=PERSOON,
        risico="geweld",
        vastgesteldOp="2026-05-01",
    )


def plan() -> Bericht:
    five = ("werk-en-inkomen", "huisvesting", "financien", "identiteitsbewijs", "zorg")
    return bericht(
        "dr-plan",
        identificatie="P-0001",
        opgesteldOp="2026-05-01",
        gemeente="0758",
        persoon=PERSOON,
        detentie={"inrichting": "PI Voorbeeld"},
        basisvoorwaarden=[{"soort": soort, "stand": "op-orde"} for soort in five],
    )


@pytest.mark.parametrize(
    ("message", "allowed"),
    [
        (plan(), {"gemeente", "reclassering"}),
        (risk(), {"gemeente", "reclassering", "om", "politie"}),
    ],
    ids=["18a", "18b"],
)
def test_18a_and_18b_go_to_their_own_recipients(message: Bericht, allowed: set[str]) -> None:
    found = set()
    for role in ROLES:
        try:
            passes(message, "dji", role)
            found.add(role)
        except NotAllowed:
            continue

    assert allowed == found


def test_every_kind_has_a_rule() -> None:
    assert set(SOORTEN) == {kind for rule in POLICY.regel for kind in rule.soort}
    assert set(SOORTEN) == set(POLICY.soort)


def test_what_must_arrive_is_what_the_message_is_about() -> None:
    ruling = POLICY.decide(melding(), partner("politie"), partner("veilig-thuis"), TODAY)

    def missed(*paths: str, how: str = "weg") -> str | None:
        return ruling.missed([Loss(path, how=how) for path in paths])

    assert "data.betrokkenen" == missed("data.extra", "data.betrokkenen[1]")
    assert "data.incident" == missed("data.incident")
    assert missed("data.betrokkenen[0].persoon.nationaliteiten", "data.incident.locatie") is None
    assert missed("data.situatie", how="afgerond") is None
