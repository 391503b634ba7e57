"""
Traps of translation that real systems fell into: each a test, named after it.

What belongs to SOH (a postcode with a space, huisletters without a place, persons without BSN) is
tested with that dialect.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.errors import GatewayError, InvalidBsn, InvalidDocument, InvalidValue, NotExpressible
from gateway.formats import codes, stuf
from gateway.formats.stufjz import STUF_JZ
from gateway.model import lees, schrijf
from gateway.model.waarden import GeenWaarde
from gateway.ports import Rendered

EXAMPLES = Path(__file__).parent / "examples" / "stuf-jz" / "valid"
CODES = codes.tables()


def example(root: str) -> bytes:
    return (EXAMPLES / f"{root}.xml").read_bytes()


def read(document: bytes) -> dict[str, Any]:
    return schrijf(STUF_JZ.parse(document).bericht)


def written(event: dict[str, Any], root: str) -> Rendered:
    return STUF_JZ.render(lees(event), root)


def melding(**persoon: Any) -> dict[str, Any]:
    """A meldingGeneriek about one person, who lives at one address."""
    event = read(example("meldingGeneriekDi01"))
    event["data"]["betrokkenen"] = [
        {"positie": "onderwerp", "hoedanigheid": "verdachte", "persoon": persoon}
    ]
    return event


def at(**binnenland: str) -> dict[str, Any]:
    return melding(adressen=[{"soort": "woon-verblijf", "binnenland": binnenland}])


def home(event: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = event["data"]["betrokkenen"][0]["persoon"]["adressen"][0]["binnenland"]
    return found


def test_a_postcode_without_space_is_carried() -> None:
    rendered = written(at(woonplaats="Breda", postcode="4811AB"), "meldingGeneriekDi01")

    assert b">4811AB<" in rendered.document
    assert "4811AB" == home(read(rendered.document))["postcode"]


def test_a_postcode_with_space_is_refused_and_pointed_out() -> None:
    rendered = written(at(woonplaats="Breda", postcode="4811AB"), "meldingGeneriekDi01")
    with pytest.raises(InvalidDocument) as caught:
        STUF_JZ.parse(rendered.document.replace(b"4811AB", b"4811 AB"))

    assert (caught.value.path or "").endswith("BG:aoa.postcode")


def test_a_street_of_eighty_characters_is_carried_and_never_cut_off() -> None:
    street = "Burgemeester van Sonsbeeckstraat aan de Mark " + "x" * 35
    assert 80 == len(street)
    rendered = written(at(woonplaats="Breda", straat=street), "meldingGeneriekDi01")

    assert street == home(read(rendered.document))["straat"]
    with pytest.raises(GatewayError) as caught:
        written(at(woonplaats="Breda", straat=street + "y"), "meldingGeneriekDi01")
    assert "niet-uitdrukbaar" == caught.value.code
    assert "openbareRuimteNaam" in (caught.value.path or "")


@pytest.mark.parametrize(
    "name",
    [
        *("Çelik-Ağaoğlu", "Ørsted", "Đorđević", "D'Æth", "Şîrîn ß", "Łukasiewicz"),
        *("\u0132sbrand", "e\u0301e\u0301n", "\ufb01jn", "Ω\U00020bb7"),
    ],
)
def test_a_name_keeps_its_diacritics_and_ligatures(name: str) -> None:
    """As it was typed: a name that is composed anew is another name to who compares bytes."""
    rendered = written(melding(geslachtsnaam=name), "meldingGeneriekDi01")
    (betrokkene,) = read(rendered.document)["data"]["betrokkenen"]

    assert name == betrokkene["persoon"]["geslachtsnaam"]
    assert () == rendered.loss


def test_of_several_addresses_each_keeps_its_kind() -> None:
    homes = [
        {"soort": kind, "binnenland": {"woonplaats": town}}
        for kind, town in (("post", "Breda"), ("woon-verblijf", "Tilburg"), ("post", "Goes"))
    ]
    rendered = written(melding(adressen=homes), "meldingGeneriekDi01")
    (betrokkene,) = read(rendered.document)["data"]["betrokkenen"]

    assert homes == betrokkene["persoon"]["adressen"]
    assert () == rendered.loss


def test_a_huisletter_and_an_addition_are_not_lost() -> None:
    house = {"woonplaats": "Breda", "huisnummer": "12", "huisletter": "b", "toevoeging": "bis"}
    rendered = written(at(**house), "meldingGeneriekDi01")

    assert () == rendered.loss
    assert house == home(read(rendered.document))


def test_a_bsn_keeps_its_leading_zero() -> None:
    rendered = written(melding(bsn="012345672"), "meldingGeneriekDi01")
    (betrokkene,) = read(rendered.document)["data"]["betrokkenen"]

    assert "012345672" == betrokkene["persoon"]["bsn"]


def test_the_test_bsn_123456789_is_no_bsn() -> None:
    with pytest.raises(InvalidBsn):
        STUF_JZ.parse(example("vcobDi01").replace(b"999990342", b"123456789"))


def test_a_person_may_have_no_bsn() -> None:
    person = {"geslachtsnaam": "Testpersoon", "geboortedatum": "1985"}
    rendered = written(melding(**person), "meldingGeneriekDi01")
    (betrokkene,) = read(rendered.document)["data"]["betrokkenen"]

    assert person == betrokkene["persoon"]
    assert () == rendered.loss


@pytest.mark.parametrize("number", ["0000012345", "12345678901234567"])
def test_a_vnummer_of_ten_or_seventeen_digits_is_carried(number: str) -> None:
    rendered = written(melding(vnummer=number), "meldingGeneriekDi01")
    (betrokkene,) = read(rendered.document)["data"]["betrokkenen"]

    assert number == betrokkene["persoon"]["vnummer"]


@pytest.mark.parametrize("number", ["0000012345", "12345678901234567"])
def test_a_vnummer_in_a_check_on_bekendheid_is_lost_with_an_entry(number: str) -> None:
    """The published schema demands ten and seventeen digits at once."""
    event = read(example("vcobDi01"))
    event["data"]["verzoek"]["persoon"]["vnummer"] = number
    for with_bsn in (True, False):
        if not with_bsn:
            del event["data"]["verzoek"]["persoon"]["bsn"]
        rendered = written(event, "vcobDi01")
        assert ["data.verzoek.persoon.vnummer"] == [loss.path for loss in rendered.loss]
        assert rendered.loss[0].reason


@pytest.mark.parametrize(
    ("converter", "yes", "no", "wrong"),
    [("stuf-indic", "Ja", "Nee", "J"), ("stuf-indicatie", "J", "N", "Ja")],
)
def test_each_spelling_of_yes_and_no_stays_in_its_place(
    converter: str, yes: str, no: str, wrong: str
) -> None:
    spelling = stuf.CONVERTERS[converter]

    assert [True, False] == [spelling.parse(yes, {}), spelling.parse(no, {})]
    assert [yes, no] == [spelling.render(True), spelling.render(False)]
    for other in (wrong, "true", "1", yes.lower()):
        with pytest.raises(GatewayError):
            spelling.parse(other, {})


def test_yes_and_no_in_an_extra_element_stay_text() -> None:
    event = read(example("vcobDi01"))
    event["data"]["verzoek"]["extra"] = [{"naam": "akkoord", "waarde": "true"}]

    back = read(written(event, "vcobDi01").document)
    assert event["data"]["verzoek"]["extra"] == back["data"]["verzoek"]["extra"]


def _in_melding(*betrokkenen: dict[str, Any]) -> list[dict[str, Any]]:
    event = read(example("vtMeldingDi01"))
    event["data"]["betrokkenen"] = [{"positie": "betrokken", **one} for one in betrokkenen]
    back: list[dict[str, Any]] = read(written(event, "vtMeldingDi01").document)["data"][
        "betrokkenen"
    ]
    return back


def test_an_unborn_child_is_lost_as_such_but_not_as_a_person() -> None:
    event = read(example("vtMeldingDi01"))
    event["data"]["betrokkenen"] = [
        {
            "positie": "betrokken",
            "rol": "kind",
            "persoon": {"geslachtsnaam": "Ongeboren", "ongeboren": True},
        }
    ]
    rendered = written(event, "vtMeldingDi01")

    assert ["data.betrokkenen[0].persoon.ongeboren"] == [loss.path for loss in rendered.loss]
    assert b"Ongeboren" in rendered.document


def test_twins_are_two_children() -> None:
    child = {"geslachtsnaam": "Test", "geboortedatum": "2020-02-29"}
    twins = [{"rol": "kind", "persoon": {**child, "voornamen": name}} for name in ("Bo", "Cas")]

    assert ["Bo", "Cas"] == [one["persoon"]["voornamen"] for one in _in_melding(*twins)]


def test_one_person_in_two_roles_stands_there_twice() -> None:
    person = {"bsn": "999990342", "geslachtsnaam": "Test"}
    roles = ["ouder met gezag", "melder"]
    words = [stuf_word(role) for role in roles]
    back = _in_melding(*({"rol": word, "persoon": person} for word in words))

    assert words == [one["rol"] for one in back]
    assert [person, person] == [one["persoon"] for one in back]


def stuf_word(text: str) -> Any:
    return CODES["code jeugdrol"].parse(text, {})


def test_a_child_entered_as_parent_is_carried_as_it_was_said() -> None:
    """Nobody can mend it on the way: it arrives as it was sent, without being guessed at."""
    parent = stuf_word("ouder met gezag")
    (back,) = _in_melding({"rol": parent, "persoon": {"geboortedatum": "2022"}})

    assert (parent, "2022") == (back["rol"], back["persoon"]["geboortedatum"])


@pytest.mark.parametrize("name", [b"BG:voornamen", b"BG:voorvoegselGeslachtsnaam"])
def test_an_empty_optional_element_does_not_become_a_missing_one(name: bytes) -> None:
    text = example("vcobDi01")
    start = text.find(b"<" + name + b">")
    assert start > 0
    end = text.index(b"</" + name + b">")
    parsed = STUF_JZ.parse(text[:start] + b"<" + name + b">" + text[end:])
    rendered = STUF_JZ.render(parsed.bericht)

    assert () == parsed.loss == rendered.loss
    assert b"<" + name not in rendered.document


def test_sender_and_receiver_with_one_application_are_refused() -> None:
    """Answers find their way back by it."""
    text = example("vcobDi01")
    event = read(text)
    sender, receiver = event["data"]["afzender"], event["data"]["ontvanger"]
    same = text.replace(
        f"<StUF:applicatie>{receiver['applicatie']}<".encode(),
        f"<StUF:applicatie>{sender['applicatie']}<".encode(),
    )
    with pytest.raises(InvalidValue) as caught:
        STUF_JZ.parse(same)

    assert (caught.value.path or "").endswith("StUF:ontvanger/StUF:applicatie")
    receiver["applicatie"] = sender["applicatie"]
    with pytest.raises(NotExpressible):
        written(event, "vcobDi01")


@pytest.mark.parametrize(
    ("digits", "known", "meant"),
    [
        (b"19850000", b"M", "1985"),
        (b"19850400", b"D", "1985-04"),
        (b"19850412", b"V", "1985-04-12"),
    ],
)
def test_an_incomplete_date_of_birth_keeps_what_is_known(
    digits: bytes, known: bytes, meant: str
) -> None:
    text = example("vcobDi01")
    start = text.index(b"<BG:geboortedatum")
    end = text.index(b"</BG:geboortedatum>")
    date = b'<BG:geboortedatum StUF:indOnvolledigeDatum="' + known + b'">' + digits
    event = read(text[:start] + date + text[end:])

    assert meant == event["data"]["verzoek"]["persoon"]["geboortedatum"]
    assert digits in written(event, "vcobDi01").document


def test_a_date_of_birth_that_is_unknown_says_so() -> None:
    text = example("vcobDi01")
    start = text.index(b"<BG:geboortedatum")
    end = text.index(b"</BG:geboortedatum>")
    date = b'<BG:geboortedatum StUF:indOnvolledigeDatum="J">19850412'
    person = read(text[:start] + date + text[end:])["data"]["verzoek"]["persoon"]

    assert GeenWaarde.WAARDE_ONBEKEND == person["geenWaarde"]["geboortedatum"]


@pytest.mark.parametrize(
    "digits",
    ["20250301", "2025030110", "202503011015", "20250301101500"]
    + [f"20250301101500{'123'[:n]}" for n in (1, 2, 3)]
    + ["20251026023000", "20250330023000", "20250330030000", "20251026030000"],
)
def test_a_tijdstip_keeps_its_precision_also_around_summer_time(digits: str) -> None:
    text = example("meldingGeneriekDi01")
    start = text.index(b"<JZ:datumTijdMelding>") + len(b"<JZ:datumTijdMelding>")
    end = text.index(b"</JZ:datumTijdMelding>")
    rendered = written(read(text[:start] + digits.encode() + text[end:]), "meldingGeneriekDi01")

    assert b"<JZ:datumTijdMelding>" + digits.encode() + b"<" in rendered.document


# --- Veilig Thuis: the same melding and outcome in the generic message and in its own ------------


@pytest.mark.parametrize("number", range(1, 7))
def test_an_answer_to_a_question_is_an_element_of_vtmelding_and_back(number: int) -> None:
    code = f"VT-00{number}"
    event = read(example("meldingGeneriekDi01"))
    event["data"]["vragen"] = [{"code": code, "antwoord": f"antwoord {number}"}]
    event["data"]["sashIngevuld"] = False
    own = written(event, "vtMeldingDi01")
    there = read(own.document)

    assert event["data"]["vragen"] == there["data"]["vragen"]
    assert code.encode() not in own.document
    there["data"] |= {key: event["data"][key] for key in ("bestemming", "reden", "initiator")}
    there["data"]["betrokkenen"] = event["data"]["betrokkenen"]
    back = written(there, "meldingGeneriekDi01")
    assert event["data"]["vragen"] == read(back.document)["data"]["vragen"]
    assert code.encode() in back.document


def test_an_answer_that_vtmelding_has_no_element_for_is_lost_with_an_entry() -> None:
    event = read(example("meldingGeneriekDi01"))
    event["data"]["vragen"] = [{"code": "VT-007", "antwoord": "ja"}]
    event["data"]["sashIngevuld"] = False

    lost = {loss.path for loss in written(event, "vtMeldingDi01").loss}
    assert "data.vragen[0]" in lost


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        ("VT-00", "melding niet ontvankelijk", None),
        ("VT-01-01", "uitkomst veiligheidsbeoordeling", "vervolgstappen belegd bij VT"),
        ("VT-01-02", "uitkomst veiligheidsbeoordeling", "overdracht"),
        ("VT-01-03", "uitkomst veiligheidsbeoordeling", "geen vervolgstappen nodig"),
        ("VT-01-04", "uitkomst veiligheidsbeoordeling", "inzet regionaal maatwerk VT"),
        ("VT-02", "overdracht", None),
        ("VT-03", "afsluiting zonder overdracht", None),
        ("VT-99", "Melding onjuist geadresseerd", None),
    ],
)
def test_a_status_code_is_a_text_in_the_terugkoppeling_and_back(
    code: str, status: str, outcome: str | None
) -> None:
    event = read(example("uitkomstMeldingGeneriekDi01"))
    event["data"]["resultaat"] = CODES["code meldingstatus"].parse(code, {})
    event["data"]["uitvoerende"] = {"naam": "Veilig Thuis Test"}
    own = written(event, "vtTerugkoppelingDi01")
    back = read(own.document)
    event["data"]["resultaat"] = back["data"]["resultaat"]
    generic = written(event, "uitkomstMeldingGeneriekDi01")

    assert f">{status}<".encode() in own.document
    assert outcome is None or f"<ZKN:uitkomst>{outcome}<".encode() in own.document
    assert f"<JZ:statuscode>{code}<".encode() in generic.document
