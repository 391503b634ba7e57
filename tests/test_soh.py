"""soh/0.1: our schemas are the published ones, and what SOH can say is carried both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.national.soh import SOH
from gateway.errors import InvalidDocument, NotExpressible, UnknownCode
from gateway.model import lees, schrijf
from gateway.model.gebeurtenis import MEDIA_TYPE
from gateway.resources import folder

from .berichten import erase
from .kinds import kinds
from .simple_yaml import read
from .soh import EXAMPLES, agree, masked, meldingen, settled, uitkomsten, values

SHARED = Path(__file__).resolve().parents[2] / "shared" / "standards" / "soh"
published = pytest.mark.skipif(not SHARED.is_dir(), reason="SOH is not in ../shared/standards")
SAYABLE = {"Melding": meldingen, "Casusoverleg": uitkomsten}
LAX = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((EXAMPLES / f"{name}.json").read_bytes())
    return found


def said(name: str) -> dict[str, Any]:
    return schrijf(SOH.parse(orjson.dumps(example(name))).bericht)


# --- the laws


def test_a_mapping_speaks_of_every_leaf_of_both_sides() -> None:
    assert {"Melding": [], "Casusoverleg": []} == {
        root: mapping.unmapped() for root, mapping in SOH.mappings.items()
    }


def _law(sent: dict[str, Any]) -> None:
    rendered = SOH.render(lees(sent))
    back = SOH.parse(rendered.document)
    gone = [entry for entry in rendered.loss if entry.how == "weg"]
    rounded = [entry.path for entry in rendered.loss if entry.how == "afgerond"]
    lees(erase(sent, gone))  # what is left is a message
    expected = erase(masked(sent, rounded), gone)
    found = schrijf(back.bericht)
    for one in (expected, found):
        one.pop("source", None)
    assert agree(_plain(expected), _plain(found)), (expected, found)
    assert {"id", "url", "datumTijdBegin"} >= {e.path.rpartition("/")[2] for e in back.loss}
    assert rendered.document == SOH.render(back.bericht).document
    assert MEDIA_TYPE == rendered.content_type


def _plain(value: Any) -> Any:
    """Without objects and lists that erasing has emptied."""
    if isinstance(value, dict):
        inner = {key: _plain(one) for key, one in value.items()}
        return {key: one for key, one in inner.items() if one not in ({}, [])}
    return [_plain(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("root", SAYABLE)
@LAX
@given(data=st.data())
def test_what_comes_back_is_what_was_sent_without_the_loss_account(
    root: str, data: st.DataObject
) -> None:
    """(d, loss) = render(m) implies parse(d) == erase(m, loss)."""
    _law(data.draw(SAYABLE[root]()))


@pytest.mark.parametrize("kind", ["melding", "uitkomst-overleg"])
@LAX
@given(data=st.data())
def test_any_message_is_said_by_the_law_or_not_at_all(kind: str, data: st.DataObject) -> None:
    try:
        _law(data.draw(kinds(kind)))
    except NotExpressible as error:
        assert error.path or error.detail


@pytest.mark.parametrize("content", SOH.contents, ids=lambda content: content.root)
@LAX
@given(data=st.data())
def test_a_document_comes_back_the_same(content: Any, data: st.DataObject) -> None:
    """render(parse(d)) == d, but for what the writer makes, empty texts and nulls."""
    shape = SOH.shapes[content.root]
    event = {**data.draw(values(shape)), "specversion": "1.0", "type": content.event}
    for n, one in enumerate(event["data"].get("betrokkenen") or ()):
        one["sleutel"] = str(n + 1)
    if content.root == "Casusoverleg":
        acties = event["data"]["betreft"].get("heeftActie", [])
        persons = event["data"].pop("betrokkenen", None) or []
        event["data"]["betrokkenen"] = persons[: len(acties)]
        count = len(event["data"]["betrokkenen"])
        for n, actie in enumerate(acties):
            actie["heeftBetrekkingOp"] = str(min(n + 1, count))
        if not count:
            event["data"]["betreft"].pop("heeftActie", None)
        event = content.closed(event)
    document = orjson.dumps(event)
    rendered = SOH.render(SOH.parse(document).bericht)

    assert content.root == SOH.recognises(document) == rendered.root
    assert () == rendered.loss
    expected, found = orjson.loads(document), orjson.loads(rendered.document)
    for one in (expected, found):
        for dropped in ("subject", "datacontenttype", "dataschema"):
            one.pop(dropped, None)
        one.pop("time")
        one["data"] = content.opened(one)["data"]
    assert settled(expected, shape) == settled(found, shape)


# --- what SOH can and cannot say


@pytest.mark.parametrize("root", SAYABLE)
def test_an_example_is_read_and_written(root: str) -> None:
    parsed = SOH.parse(orjson.dumps(example(root)))
    rendered = SOH.render(parsed.bericht)

    assert () == rendered.loss
    assert parsed.bericht == SOH.parse(rendered.document).bericht
    assert rendered.document == SOH.render(parsed.bericht).document
    assert all(entry.reason for entry in parsed.loss)


def test_what_the_writer_makes_follows_from_the_message_and_not_from_the_person() -> None:
    event = said("Melding")
    other = said("Melding")
    other["data"]["betrokkenen"][0]["persoon"]["bsn"] = "999990019"
    one, two = (orjson.loads(SOH.render(lees(e)).document)["data"] for e in (event, other))
    url = one["heeftBetrekkingOp"][0]["url"]

    assert url.startswith("urn:uuid:") and url == two["heeftBetrekkingOp"][0]["url"]
    event["id"] = "een-ander-bericht"
    assert (
        url != orjson.loads(SOH.render(lees(event)).document)["data"]["heeftBetrekkingOp"][0]["url"]
    )


def test_one_person_in_two_actions_is_one_lid() -> None:
    data = said("Casusoverleg")["data"]

    assert ["1"] == [lid["sleutel"] for lid in data["leden"]]
    assert ["1", "1"] == [actie["betrokkene"] for actie in data["acties"]]
    assert "rol" not in data["leden"][0]


def changed(name: str, path: str, value: Any) -> dict[str, Any]:
    """The canonical message of an example with another value (None: without it)."""
    event = said(name)
    here: Any = event
    *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in way:
        here = here[step]
    here[last] = value
    if value is None:
        del here[last]
    return event


PERSON = "data.betrokkenen.0.persoon"
ADDRESS = f"{PERSON}.adressen.0.binnenland"


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (f"{PERSON}.bsn", None, "/data/heeftBetrekkingOp[1]/burgerservicenummer"),
        (f"{PERSON}.bsn", "000000012", "$.data.heeftBetrekkingOp[0].burgerservicenummer"),
        (f"{PERSON}.voorvoegsel", None, "/data/heeftBetrekkingOp[1]/naam/voorvoegsel"),
        (f"{PERSON}.geslacht", None, "/data/heeftBetrekkingOp[1]/geslacht"),
        (f"{ADDRESS}.straat", "S" * 25, "$.data.heeftBetrekkingOp[0].adres.straatnaam"),
        (f"{ADDRESS}.postcode", "4811", "$.data.heeftBetrekkingOp[0].adres.postcode"),
        (f"{ADDRESS}.huisnummer", "12a", "/data/heeftBetrekkingOp[1]/adres/huisnummer"),
        (f"{ADDRESS}.huisnummer", "3000000000", "$.data.heeftBetrekkingOp[0].adres.huisnummer"),
        (f"{PERSON}.adressen", None, "/data/heeftBetrekkingOp[1]/adres/straatnaam"),
        ("data.incident.einde", None, "/data/naarAanleidingVan/periodeVanTot/datumTijdEinde"),
        ("data.gemeldOp", "2026-03-03", "$.data.datumTijd"),
        ("data.identificatie", None, "/data/id"),
    ],
)
def test_what_soh_has_no_room_for_is_not_expressible(path: str, value: Any, place: str) -> None:
    with pytest.raises(NotExpressible) as caught:
        SOH.render(lees(changed("Melding", path, value)))

    assert place == caught.value.path
    assert not value or value not in caught.value.reason()


def test_a_house_letter_and_a_second_address_are_lost_and_accounted_for() -> None:
    event = changed("Melding", f"{ADDRESS}.huisletter", "b")
    addresses = event["data"]["betrokkenen"][0]["persoon"]["adressen"]
    addresses[0]["soort"] = "gba"
    addresses.insert(0, {"soort": "woon-verblijf", "buitenland": {"land": "Testland"}})
    addresses.append({"soort": "post", "binnenland": {"straat": "Postbus"}})
    rendered = SOH.render(lees(event))
    base = "data.betrokkenen[0].persoon.adressen"

    assert {
        (f"{base}[0]", "weg"),
        (f"{base}[1].soort", "afgerond"),
        (f"{base}[1].binnenland.huisletter", "weg"),
        (f"{base}[2]", "weg"),
    } == {(entry.path, entry.how) for entry in rendered.loss}
    assert (
        "4811 AB"
        == orjson.loads(rendered.document)["data"]["heeftBetrekkingOp"][0]["adres"]["postcode"]
    )


def test_a_lid_in_no_action_cannot_be_said() -> None:
    event = said("Casusoverleg")
    event["data"]["acties"] = []
    with pytest.raises(NotExpressible):
        SOH.render(lees(event))


def at(event: dict[str, Any], path: str, value: Any) -> bytes:
    here: Any = event
    *way, last = (int(step) if step.isdigit() else step for step in path.split("."))
    for step in way:
        here = here[step]
    here[last] = value
    return orjson.dumps(event)


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("data.heeftBetrekkingOp.0.geslacht", "9", "code-onbekend"),
        ("data.heeftBetrekkingOp.0.burgerservicenummer", "999990343", "bsn-ongeldig"),
        ("data.heeftBetrekkingOp.0.burgerservicenummer", "099990343", "document-ongeldig"),
        ("data.heeftBetrekkingOp.0.adres.postcode", "4811AB", "document-ongeldig"),
        ("data.heeftBetrekkingOp.0.adres.huisnummer", "12", "document-ongeldig"),
        ("data.heeftBetrekkingOp.0.naam.voorvoegsel", None, "document-ongeldig"),
        ("data.naarAanleidingVan.0.datumTijd", "gisteren", "document-ongeldig"),
        ("source", "https://politie.example", "document-ongeldig"),
        ("ontvanger", None, "document-ongeldig"),
        ("type", "uitwisselen-melding.melding-ingezien", "document-onbekend"),
    ],
)
def test_a_wrong_document_is_refused_and_no_value_told(path: str, value: Any, code: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        SOH.parse(at(example("Melding"), path, value))

    assert code == caught.value.code
    assert not value or len(value) < 5 or value not in caught.value.reason()
    assert isinstance(caught.value, UnknownCode) == (value == "9")


def test_a_second_incident_is_refused_and_not_dropped() -> None:
    event = example("Melding")
    event["data"]["naarAanleidingVan"] *= 2
    with pytest.raises(InvalidDocument) as caught:
        SOH.parse(orjson.dumps(event))

    assert "$.data.naarAanleidingVan" == caught.value.path


def test_a_field_the_schema_does_not_know_is_accounted_for_without_its_name() -> None:
    parsed = SOH.parse(at(example("Melding"), "data.heeftBetrekkingOp.0.Jansen", "x"))
    (entry,) = [entry for entry in parsed.loss if entry.path.endswith("?")]

    assert ("data/heeftBetrekkingOp/?", "vrije-tekst") == (entry.path, entry.category)


@pytest.mark.parametrize(
    ("path", "value", "place", "found"),
    [
        ("data.heeftBetrekkingOp.0.adres.huisnummer", 12.0, f"{ADDRESS}.huisnummer", "12"),
        ("data.heeftBetrekkingOp.0.adres.postcode", "4811\tAB", f"{ADDRESS}.postcode", "4811AB"),
        ("data.datumTijd", "2026-03-03t10:15:30.1234567z", "data.gemeldOp", "2026-03-03T10:15:30.123Z"),
        ("id", "urn:uuid:550e8400-e29b-41d4-a716-446655440000", "id", "550e8400-e29b-41d4-a716-446655440000"),
        ("type", "nl.soh.uitwisselen-melding.melding-geregistreerd.v1", "type", "nl.zvh.melding.v1"),
        ("source", "urn:nld:oin:00000099000000006000:systeem:a%2Fb", "data.afzender.applicatie", "a/b"),
        ("ontvanger", "urn:nld:oin:00000099000000002000:systeem:ZVH", "data.ontvanger.organisatie", "00000099000000002000"),
    ],
)  # fmt: skip
def test_other_spellings_mean_the_same(path: str, value: Any, place: str, found: str) -> None:
    here: Any = schrijf(SOH.parse(at(example("Melding"), path, value)).bericht)
    for step in place.split("."):
        here = here[int(step) if step.isdigit() else step]

    assert found == here


# --- our schemas and the published ones


def theirs(name: str) -> dict[str, Any]:
    found: dict[str, Any] = read((SHARED / f"{name}.yaml").read_text("utf-8"))
    return dict(found["components"]["schemas"])


def plain(schema: Any) -> Any:
    """A schema as its rules: OpenAPI 3.0 said as JSON Schema, without texts and our own keywords."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {k: plain(v) for k, v in schema.items() if isinstance(v, dict) or not _about(k)}
    if out.get("format") == "int32":
        del out["format"]
        out |= {"minimum": -(2**31), "maximum": 2**31 - 1}
    if schema.get("nullable"):
        out["type"] = [out["type"], "null"]
    if "$ref" in out:
        out["$ref"] = out["$ref"].rpartition("/")[2]
    return out | ({"required": sorted(out["required"])} if "required" in out else {})


def _about(keyword: str) -> bool:
    return keyword in ("description", "readOnly", "nullable", "$comment") or keyword[:2] == "x-"


def ours(name: str) -> dict[str, Any]:
    path = folder("schemas") / "soh" / "0.1" / f"{name}.json"
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


@published
@pytest.mark.parametrize(
    ("file", "root"), [("Melding", "Melding"), ("UitkomstOverleg", "Casusoverleg")]
)
def test_our_components_are_the_published_ones(file: str, root: str) -> None:
    expected = {n: c for n, c in theirs(file).items() if not n.startswith("Gepagineerd")}
    found = ours(root)["$defs"]

    assert expected.keys() == found.keys()
    for name, component in expected.items():
        assert plain(component) == plain(found[name]), name


@published
def test_our_events_are_the_published_ones_and_say_who_they_are_for() -> None:
    expected, found = (
        plain(theirs("AsynchroneInteracties")["CloudEvent"]),
        plain(ours("cloudevent")),
    )
    for name in ("source", "time", "data"):  # narrower: the spelling, and the content
        expected["properties"][name].pop("examples", None)
    for name in ("id", "source"):
        found["properties"][name].pop("pattern")
    extra = set(found["properties"]) - set(expected["properties"])

    assert {"ontvanger", "huis", "conversatieid", "antwoordop", "traceparent"} == extra - {
        "datacontenttype", "dataschema"  # in CloudEvents.md only
    }  # fmt: skip
    assert sorted([*expected["required"], "ontvanger"]) == found["required"]
    for name, schema in expected["properties"].items():
        assert schema == found["properties"][name], name


@published
def test_our_announcement_is_the_published_one() -> None:
    file = SHARED / "uitkomst-overleg.json"
    expected = orjson.loads(file.read_bytes())["$defs"]["uitkomst-beschikbaar-gesteld"]
    found = ours("aankondiging")

    assert sorted(expected.pop("required")) == sorted(found["required"])
    for name in ("type", "properties", "additionalProperties"):
        assert expected[name] == found[name]
