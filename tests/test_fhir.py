"""fhir/4.0: message Bundles, carried both ways without loss, valid for two judges."""

from __future__ import annotations

import copy
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.national.fhir import FHIR_4
from gateway.errors import (
    GatewayError,
    InvalidDocument,
    InvalidValue,
    NotExpressible,
    TooDeep,
    TooLarge,
    UnknownCode,
)
from gateway.formats.fhir.forms import ABSENT, url, value_key
from gateway.model import lees, schrijf

from .berichten import erase
from .eigen import SPECIAL
from .fhir import CODE_SYSTEMS, EXAMPLES, code_systems, example, issues, resources, written
from .kinds import kinds

BSN = "http://fhir.nl/fhir/NamingSystem/bsn"
ORDER = {
    "betrokkenen": ("positie", ("onderwerp", "betrokken", "overig")),
    "leden": ("rol", ("hoofdpersoon", "gezinslid", "kring")),
}


def parse(bundle: Any) -> Any:
    return FHIR_4.parse(orjson.dumps(bundle))


def event(name: str) -> dict[str, Any]:
    return schrijf(parse(example(name)).bericht)


@pytest.mark.parametrize("kind", FHIR_4.kinds)
def test_a_mapping_speaks_of_every_leaf_of_both_sides(kind: str) -> None:
    FHIR_4.load()

    assert [] == FHIR_4.mappings[kind].unmapped()


def test_every_kind_has_an_example() -> None:
    assert set(FHIR_4.kinds) == {FHIR_4.recognises(path.read_bytes()) for path in EXAMPLES}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_carried_without_loss_and_comes_back_the_same(path: Path) -> None:
    parsed = FHIR_4.parse(path.read_bytes())
    rendered = FHIR_4.render(lees(schrijf(parsed.bericht)))

    assert () == parsed.loss == rendered.loss
    assert json.loads(path.read_bytes()) == json.loads(rendered.document)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_second_judge_accepts_an_example(path: Path) -> None:
    assert [] == issues(path.read_bytes())


def test_the_second_judge_judges() -> None:
    """It is of another maker, and knows R4 itself where our models know R4B."""
    broken = example("melding")
    del resources(broken, "ServiceRequest")[0]["status"]
    resources(broken, "Patient")[0]["birthDate"] = "12-4-1985"

    assert 2 == len(issues(orjson.dumps(broken)))


def visible(value: Any) -> Any:
    """The same with a sign in every text: FHIR has no texts of white space only."""
    if isinstance(value, dict):
        return {key: visible(one) for key, one in value.items()}
    if isinstance(value, list):
        return [visible(one) for one in value]
    return value if not isinstance(value, str) or value.strip() else f"{value}x"


def ordered(event: dict[str, Any]) -> dict[str, Any]:
    """Lists fed by several elements follow the order of the document."""
    for name, (key, words) in ORDER.items():
        if name in event["data"]:
            event["data"][name].sort(key=lambda one: words.index(one[key]))
    return event


@cache
def _messages(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    given_or_not = SPECIAL | {
        "mediatype": lambda _: st.sampled_from(["application/pdf", "text/plain; charset=utf-8"]),
        "link": lambda _: st.sampled_from(["https://zvh.example/doc/1", "urn:oid:1.2.3"]),
        "inhoud": lambda values: values if kind == "bij-melding" else st.just("JVBERi0xLjQK"),
    }
    return kinds(kind, given_or_not).map(visible)


@pytest.mark.parametrize("kind", FHIR_4.kinds)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_comes_back_is_what_was_sent_without_the_loss_account(
    kind: str, data: st.DataObject
) -> None:
    """(d, loss) = render(m) implies parse(d) == erase(m, loss); render(parse(d)) == d."""
    sent = data.draw(_messages(kind))
    rendered = FHIR_4.render(lees(sent))
    back = FHIR_4.parse(rendered.document)
    again = FHIR_4.render(back.bericht)
    gone = [entry for entry in rendered.loss if entry.how == "weg"]
    rounded = [entry for entry in rendered.loss if entry.how == "afgerond"]  # hours, minutes
    expected, found = schrijf(lees(erase(sent, gone))), schrijf(back.bericht)
    for one in (expected, found):
        ordered(one)
        for elsewhere in ("source", "conversatieid"):
            one.pop(elsewhere, None)

    assert [] == issues(rendered.document)
    assert () == back.loss
    assert erase(expected, rounded) == erase(found, rounded)
    assert rendered.document == again.document


# -- what stands where


def test_persons_are_written_as_nl_core_wants_them() -> None:
    patient = resources(example("casus"), "Patient")[0]

    assert {"system": BSN, "value": "999990342"} in patient["identifier"]
    assert "1985-04" == patient["birthDate"]
    assert "van Voorbeeld" == patient["name"][0]["family"]
    assert ["Jan Piet", "J.P."] == patient["name"][0]["given"]
    assert ["Dorpsstraat 12 a"] == patient["address"][0]["line"]


def test_a_reason_why_there_is_no_value_is_said_the_way_of_fhir() -> None:
    related = resources(example("casus"), "RelatedPerson")
    absent = [
        one["_value"]["extension"][0]
        for person in related
        for one in person.get("identifier", [])
        if "_value" in one
    ]

    assert [{"url": ABSENT, "valueCode": "unknown"}] == absent


def test_a_casus_tells_its_status_in_words_of_fhir_too() -> None:
    (casus,) = resources(example("casus"), "EpisodeOfCare")
    (task,) = resources(example("casus"), "Task")

    assert ("active", "completed") == (casus["status"], task["status"])


def test_of_who_says_only_the_status_of_fhir_the_nearest_word_is_taken() -> None:
    bundle = example("casus")
    (casus,) = resources(bundle, "EpisodeOfCare")
    casus["extension"] = [e for e in casus["extension"] if not e["url"].endswith("/casusstatus")]
    casus["status"] = "finished"

    assert "gesloten" == schrijf(parse(bundle).bericht)["data"]["casus"]["status"]


@pytest.mark.parametrize("extension", [True, False], ids=["our way", "the way of FHIR"])
def test_an_answer_names_the_message_it_answers(extension: bool) -> None:
    sent = event("meldinguitkomst") | {"antwoordop": "b7e1-melding-1"}
    bundle = json.loads(FHIR_4.render(lees(sent)).document)
    (header,) = resources(bundle, "MessageHeader")
    if not extension:
        del header["extension"]

    assert {"identifier": "b7e1-melding-1", "code": "ok"} == header["response"]
    assert "b7e1-melding-1" == parse(bundle).bericht.antwoordop
    header["response"]["code"] = "fatal-error"
    with pytest.raises(InvalidDocument):
        parse(bundle)


def test_names_of_resources_tell_nothing_of_a_person() -> None:
    """The same message with another person in it has the same names."""
    one, other = event("dr-plan"), event("dr-plan")
    other["data"]["persoon"]["bsn"] = "999993653"
    other["data"]["persoon"]["geslachtsnaam"] = "Anders"
    names = [
        [entry["fullUrl"] for entry in json.loads(FHIR_4.render(lees(m)).document)["entry"]]
        for m in (one, other)
    ]

    assert names[0] == names[1]
    assert len(names[0]) == len(set(names[0]))


def test_an_skn_in_the_message_is_left_out_and_accounted_for() -> None:
    sent = event("bij-melding")
    sent["data"]["melding"]["persoon"]["skn"] = "7654321"
    rendered = FHIR_4.render(lees(sent))

    (entry,) = rendered.loss
    assert ("data.melding.persoon.skn", "justitie") == (entry.path, entry.category)
    assert b"7654321" not in rendered.document


@pytest.mark.parametrize(
    ("place", "value"), [("naam", "\u00a0"), ("link", "https://a b"), ("inhoud", "AAA")]
)
def test_a_value_that_fhir_cannot_hold_is_not_sent_in_another_form(place: str, value: str) -> None:
    sent = event("casus")
    sent["data"]["documenten"][0][place] = value
    with pytest.raises(NotExpressible) as raised:
        FHIR_4.render(lees(sent))

    assert raised.value.path
    assert value not in str(raised.value)


def test_an_extension_holds_one_type_of_value_wherever_it_stands() -> None:
    found: dict[str, set[str]] = defaultdict(set)

    def walk(schema: Any) -> None:
        for name, one in schema.get("properties", {}).items():
            inner = one.get("items", one)
            if schema.get("fhir") == "extensions":
                found[url(name, one, nested=False)].add(value_key(inner))
            walk(inner)

    for each in FHIR_4.kinds:
        walk(FHIR_4.schemas[each])

    assert {} == {name: kinds for name, kinds in found.items() if len(kinds) > 1}


def test_the_code_systems_hold_the_words_of_the_tables() -> None:
    """`python -m tests.fhir` writes them anew."""
    assert written(code_systems()) == CODE_SYSTEMS.read_text("utf-8")
    assert [] == issues(CODE_SYSTEMS.read_bytes())


# -- what others write


def foreign() -> Any:
    """The melding as another system writes it: on a server, with a narrative and more than we ask."""
    bundle = example("melding")
    bundle["meta"] = {"lastUpdated": "2026-11-02T09:30:00Z"}
    names = {}
    for number, entry in enumerate(bundle["entry"]):
        kind = entry["resource"]["resourceType"]
        names[entry["fullUrl"]] = f"{kind}/{number}"
        entry["fullUrl"] = f"https://epd.example/fhir/{kind}/{number}"
        entry["resource"]["id"] = str(number)
    text = json.dumps(bundle)
    for old, new in names.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    return json.loads(text)


def test_a_bundle_of_a_server_says_the_same() -> None:
    ours, theirs = parse(example("melding")), parse(foreign())

    assert ours.bericht == theirs.bericht
    assert ["meta"] == [entry.path for entry in theirs.loss]


def test_what_we_do_not_understand_is_accounted_for_with_its_place() -> None:
    bundle = foreign()
    del bundle["meta"]
    patient = resources(bundle, "Patient")[0]
    patient["text"] = {"status": "generated", "div": "<div xmlns='http://www.w3.org/1999/xhtml'/>"}
    patient.setdefault("identifier", []).append({"system": "https://epd.example/nr", "value": "7"})
    patient["extension"] = [{"url": "https://epd.example/x", "valueString": "y"}]
    bundle["entry"].append(
        {"fullUrl": "urn:uuid:0", "resource": {"resourceType": "Flag", "id": "1"}}
    )
    bundle["entry"][-1]["resource"] |= {"status": "active", "code": {"text": "x"}}
    bundle["entry"][-1]["resource"]["subject"] = {"display": "x"}
    number = next(n for n, e in enumerate(bundle["entry"]) if e["resource"] is patient)
    last = len(patient["identifier"]) - 1

    assert {
        f"entry[{number}].resource.text",
        f"entry[{number}].resource.identifier[{last}]",
        f"entry[{number}].resource.extension[0]",
        f"entry[{len(bundle['entry']) - 1}].resource",
    } == {entry.path for entry in parse(bundle).loss}


def test_a_contained_resource_is_read_like_any_other() -> None:
    bundle = example("dr-plan")
    (plan,) = resources(bundle, "CarePlan")
    (at,) = [
        n for n, e in enumerate(bundle["entry"]) if e["fullUrl"] == plan["author"]["reference"]
    ]
    inside = bundle["entry"].pop(at)["resource"]
    plan["contained"] = [inside | {"id": "a"}]
    plan["author"] = {"reference": "#a"}
    parsed = parse(bundle)

    assert () == parsed.loss
    assert event("dr-plan") == schrijf(parsed.bericht)


# -- what nobody should write


def _first(bundle: Any, kind: str) -> Any:
    return resources(bundle, kind)[0]


def _contained_bomb(bundle: Any) -> None:
    inner: dict[str, Any] = {"resourceType": "Patient", "id": "a"}
    for _ in range(20):
        inner = {"resourceType": "Patient", "id": "a", "contained": [copy.deepcopy(inner)] * 2}
        if len(json.dumps(inner)) > 100_000:
            break
    _first(bundle, "CarePlan")["contained"] = [inner]


def _set(kind: str, **fields: Any) -> Callable[[Any], None]:
    return lambda bundle: _first(bundle, kind).update(fields)


def _entry(number: int, **fields: Any) -> Callable[[Any], None]:
    return lambda bundle: bundle["entry"][number].update(fields)


HOSTILE: dict[str, tuple[Callable[[Any], None], type[GatewayError], str]] = {
    "unknown type": (_set("Patient", resourceType="Pirate"), InvalidDocument, "entry["),
    "a list as type": (_set("Patient", resourceType=["Patient"]), InvalidDocument, "entry["),
    "a type we do not speak": (_set("Flag", resourceType="Medication"), InvalidDocument, "entry["),
    "an empty resource": (_entry(2, resource={}), InvalidDocument, "entry[2]"),
    "nothing but a type": (_entry(2, resource={"resourceType": "Patient"}), InvalidDocument, "entry[2]"),
    "no resource": (_entry(2, resource=None), InvalidDocument, "entry[2]"),
    "a dangling reference": (
        _set("CarePlan", subject={"reference": "urn:uuid:nobody"}), InvalidDocument, "subject",
    ),
    "a name twice": (
        lambda b: b["entry"].append(copy.deepcopy(b["entry"][2])), InvalidDocument, "fullUrl",
    ),
    "a modifier": (
        _set("CarePlan", modifierExtension=[{"url": "https://a.example", "valueBoolean": True}]),
        InvalidDocument, "modifierExtension",
    ),
    "another status": (_set("CarePlan", status="revoked"), InvalidDocument, "status"),
    "a gender of no list": (_set("Patient", gender="M"), UnknownCode, "gender"),
    "a date that is none": (_set("Patient", birthDate="1985-13-45"), InvalidDocument, "birthDate"),
    "a wrong BSN": (
        _set("Patient", identifier=[{"system": BSN, "value": "999990343"}]), InvalidValue, "bsn",
    ),
    "contained in contained": (_contained_bomb, InvalidDocument, "contained"),
    "an unknown field": (_set("Patient", geheim="x"), InvalidDocument, "entry["),
    "too many entries": (lambda b: b["entry"].extend([b["entry"][2]] * 2001), TooLarge, "entry"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_bundle_is_refused_with_its_place_and_quickly(name: str) -> None:
    bundle = example("dr-plan") if name != "a type we do not speak" else example("bij-melding")
    change, expected, place = HOSTILE[name]
    change(bundle)
    started = time.monotonic()
    with pytest.raises(expected) as raised:
        parse(bundle)

    assert time.monotonic() - started < 5
    assert place in (raised.value.path or "")
    assert "geheim" not in f"{raised.value}{raised.value.path}"


def test_a_person_whose_relative_is_a_relative_of_that_person_is_read_once() -> None:
    """RelatedPerson.patient goes back to the Patient that refers to it: a circle FHIR asks for."""
    bundle = example("casus")
    patient, related = resources(bundle, "Patient")[0], resources(bundle, "RelatedPerson")
    (name,) = [e["fullUrl"] for e in bundle["entry"] if e["resource"] is patient]

    assert {name} == {person["patient"]["reference"] for person in related}
    assert 1 == len(event("casus")["data"]["leden"][0]["persoon"]["relaties"])


@pytest.mark.parametrize(
    ("kind", "field", "place"),
    [("MessageHeader", "focus", "focus"), ("CarePlan", "subject", "subject")],
)
def test_a_resource_that_refers_to_itself_is_refused_with_its_place(
    kind: str, field: str, place: str
) -> None:
    bundle = example("dr-plan")
    (at,) = [e for e in bundle["entry"] if e["resource"]["resourceType"] == kind]
    itself = {"reference": at["fullUrl"]}
    at["resource"][field] = [itself] if field == "focus" else itself
    with pytest.raises(InvalidDocument) as raised:
        parse(bundle)

    assert place in (raised.value.path or "")


def test_one_large_resource_referred_to_many_times_costs_no_more_than_its_limit() -> None:
    bundle = example("casus")
    patient = _first(bundle, "Patient")
    patient["telecom"] = [{"system": "phone", "value": "1"}] * 2_000
    (team,) = resources(bundle, "CareTeam")
    team["participant"] = [team["participant"][0]] * 2_000
    started = time.monotonic()
    with pytest.raises(TooLarge):
        parse(bundle)

    assert time.monotonic() - started < 20


def test_a_bundle_that_is_too_deep_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooDeep):
        FHIR_4.recognises(b'{"entry":' + b"[" * 5_000 + b"]" * 5_000 + b"}")


@pytest.mark.parametrize("document", [b"[]", b"{}", b'{"resourceType":"Bundle","entry":{}}'])
def test_other_json_is_not_recognised(document: bytes) -> None:
    assert FHIR_4.recognises(document) is None


JUNK: list[Any] = [
    *(None, 0, -1, True, "", " ", "x", [], {}, [[]], [{}], [None], 1.5, "urn:uuid:x"),
    *({"extension": 1}, {"extension": [None]}, {"extension": [{"url": 1}]}, {"a": "b"}),
    *({"reference": 1}, {"reference": ""}),
]
ANYWHERE = ["extension", "contained", "_given", "fullUrl", "id", "valueCoding", "meta", "entry"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_change_of_a_bundle_raises_anything_but_our_errors(path: Path) -> None:
    chance = random.Random(11)
    whole = json.loads(path.read_bytes())
    for _ in range(200):
        bundle = copy.deepcopy(whole)
        holder: Any = bundle
        while True:
            steps = list(holder) if isinstance(holder, dict) else range(len(holder))
            key: Any = chance.choice(steps)
            below = holder[key]
            if not isinstance(below, dict | list) or not below or chance.random() < 0.15:
                break
            holder = below
        how = chance.random()
        if how < 0.2:
            del holder[key]
        elif how < 0.4 and isinstance(holder, dict):
            holder[f"_{key}"] = chance.choice(JUNK)
        elif how < 0.6 and isinstance(holder, dict):
            holder[chance.choice(ANYWHERE)] = chance.choice(JUNK)
        else:
            holder[key] = chance.choice(JUNK)
        document = orjson.dumps(bundle)
        try:
            if FHIR_4.recognises(document):
                FHIR_4.render(FHIR_4.parse(document).bericht)
        except GatewayError:
            continue
