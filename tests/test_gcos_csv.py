"""gcos-csv/1: the same casus as in XML, and no zip that does harm."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from adapters.gcos import GCOS_1 as XML
from adapters.gcos import GCOS_CSV_1 as CSV
from gateway.errors import Empty, InvalidDocument, NotExpressible, Refused, TooLarge
from gateway.formats import csvzip
from gateway.model import lees, schrijf

from .berichten import erase
from .gcos import EXAMPLES, document, messages

CASUSSEN = sorted(EXAMPLES.glob("casus*.xml"))
CASUSSEN = [path for path in CASUSSEN if "informatie" not in path.stem]
Files = dict[str, bytes]


def zipped(files: Files, **how: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content, **how)
    return out.getvalue()


def unzipped(document: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(document)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def files() -> Files:
    """The files of the example casus."""
    return unzipped(CSV.render(XML.parse((EXAMPLES / "casus.xml").read_bytes()).bericht).document)


# --- the same casus -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CASUSSEN, ids=lambda path: path.stem)
def test_xml_and_csv_of_one_casus_are_one_message(path: Any) -> None:
    from_xml = XML.parse(path.read_bytes())
    made = CSV.render(from_xml.bericht)
    from_csv = CSV.parse(made.document)

    assert ("gcos-csv/1", "casus", ()) == (from_csv.dialect, from_csv.root, from_csv.loss)
    assert () == made.loss
    assert from_xml.bericht == from_csv.bericht
    assert XML.render(from_csv.bericht).document == XML.render(from_xml.bericht).document


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_document_in_xml_means_the_same_in_csv(seed: int) -> None:
    from_xml = XML.parse(etree.tostring(document("GCOS:casus", seed)))
    made = CSV.render(from_xml.bericht).document

    assert from_xml.bericht == CSV.parse(made).bericht
    assert made == CSV.render(CSV.parse(made).bericht).document  # render(parse(d)) == d


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(sent=messages("casus"))
def test_what_comes_back_is_what_was_sent_without_the_loss_account(sent: dict[str, Any]) -> None:
    """(d, loss) = render(m) implies parse(d) == erase(m, loss), with the same account as in XML."""
    bericht = lees(sent)
    made, in_xml = CSV.render(bericht), XML.render(bericht)
    back = CSV.parse(made.document)
    expected, found = schrijf(lees(erase(sent, list(made.loss)))), schrijf(back.bericht)
    for one in (expected, found):
        for elsewhere in ("source", "conversatieid"):
            one.pop(elsewhere, None)

    assert in_xml.loss == made.loss
    assert expected == found
    assert XML.parse(in_xml.document).bericht == back.bericht


def test_every_file_is_there_with_its_columns(files: Files) -> None:
    assert set(CSV.layout.files) == set(files)
    assert files["casussen.csv"].startswith(b"\xef\xbb\xbfcasusNr;thema;status;")
    assert b"casusNr;persoonNr;soort;binnenland;binnenland_straat;" in files["adressen.csv"]


# --- what partners write differently --------------------------------------------------------------


def test_a_file_that_is_not_known_is_refused(files: Files) -> None:
    with pytest.raises(InvalidDocument):
        CSV.parse(zipped({**files, "notulen.csv": b"casusNr\r\n"}))


def changed(files: Files, name: str, old: str, new: str, times: int = -1) -> Files:
    assert old.encode() in files[name]
    return {**files, name: files[name].replace(old.encode(), new.encode(), times)}


@pytest.mark.parametrize(
    "other",
    [
        lambda files: {name: text.removeprefix(b"\xef\xbb\xbf") for name, text in files.items()},
        lambda files: {name: text.replace(b"\r\n", b"\n") for name, text in files.items()},
        lambda files: {name: text + b"\r\n\r\n" for name, text in files.items()},
        lambda files: dict(reversed(files.items())),
        lambda files: {name: text for name, text in files.items() if name != "isd.csv"},
        lambda files: changed(files, "personen.csv", "BAR-2024-0815;1;", '"BAR-2024-0815";"1";'),
        lambda files: changed(files, "adressen.csv", "4811 AB", "4811AB"),
    ],
    ids=["no BOM", "line feeds", "blank lines", "other order", "no file", "quotes", "postcode"],
)
def test_other_spellings_mean_the_same(files: Files, other: Callable[[Files], Files]) -> None:
    expected = CSV.parse(zipped(files)).bericht
    assert expected == CSV.parse(zipped(other(files))).bericht


def test_a_zero_that_a_spreadsheet_dropped_is_put_back(files: Files) -> None:
    short = changed(files, "personen.csv", "999990342", "12345672")

    (first, *_) = schrijf(CSV.parse(zipped(short)).bericht)["data"]["leden"]
    assert "012345672" == first["persoon"]["bsn"]


def test_columns_may_stand_in_another_order_or_be_left_out(files: Files) -> None:
    rows = [line.split(";") for line in files["isd.csv"].decode("utf-8-sig").split("\r\n") if line]
    rows.append(["BAR-2024-0815", "A", "01-02-2024", ""])
    turned = "\n".join(";".join(reversed(row[:3])) for row in rows)
    parsed = CSV.parse(zipped({**files, "isd.csv": turned.encode()}))

    assert [{"fase": "aanloop", "begin": "2024-02-01"}] == schrijf(parsed.bericht)["data"]["isd"]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "old", "new", "place"),
    [
        ("personen.csv", "999990342", "999990343", "personen.csv, kolom persoon_bsn"),
        ("personen.csv", "12-04-1985", "31-02-1985", "personen.csv: rij 1, kolom persoon_gebDatum"),
        ("personen.csv", ";GEZ;028;", ";XX;028;", "personen.csv: rij 2, kolom rol"),
        ("casussen.csv", ";HG;", ";XX;", "casussen.csv, kolom thema"),
        ("casussen.csv", ";HG;", ";;", "casussen.csv, kolom thema"),
        ("casussen.csv", ";J;POL-ZWB", ";Q;POL-ZWB", "casussen.csv: rij 1, kolom aanmelder"),
        ("casussen.csv", "casusNr;", "nummer;", "casussen.csv"),
        ("casussen.csv", "casusNr;", "thema;", "casussen.csv"),
        ("adressen.csv", "BAR-2024-0815;2;", "BAR-2024-0815;9;", "adressen.csv: rij 3"),
        ("adressen.csv", "BAR-2024-0815;2;", "BAR-1;2;", "adressen.csv: rij 3"),
        ("personen.csv", "BAR-2024-0815;2;", "BAR-2024-0815;1;", "personen.csv: rij 2"),
        ("besluiten.csv", ";O2;", ";O2;;;;;", "besluiten.csv: rij 1"),
    ],
)
def test_a_fault_is_pointed_out_by_file_row_and_column(
    files: Files, name: str, old: str, new: str, place: str
) -> None:
    wrong = changed(files, name, old, new, 1)
    with pytest.raises(InvalidDocument) as caught:
        CSV.parse(zipped(wrong))

    assert place == caught.value.path
    assert "XX" not in caught.value.reason()


@pytest.mark.parametrize("name", ["casussen.csv", "bericht.csv"])
def test_what_a_casus_cannot_do_without_must_be_there(files: Files, name: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        CSV.parse(zipped({n: text for n, text in files.items() if n != name}))
    assert (caught.value.path or "").startswith(name)


def test_two_casussen_in_one_zip_are_refused(files: Files) -> None:
    header, row, *_ = files["casussen.csv"].split(b"\r\n", 1)
    with pytest.raises(InvalidDocument):
        CSV.parse(zipped({**files, "casussen.csv": header + b"\r\n" + row + row}))


def test_only_a_casus_goes_out_as_csv() -> None:
    other = XML.parse((EXAMPLES / "aanmelding.xml").read_bytes()).bericht
    with pytest.raises(NotExpressible):
        CSV.render(other)


def test_text_stays_text_whatever_it_holds(files: Files) -> None:
    odd = 'a;b"c"\r\nd\re\tf  =1+1'
    bericht = CSV.parse(zipped(files)).bericht
    event = schrijf(bericht)
    event["data"]["casus"]["samenvatting"] = odd

    back = CSV.parse(CSV.render(lees(event)).document).bericht
    assert odd == schrijf(back)["data"]["casus"]["samenvatting"]


# --- hostile zips ---------------------------------------------------------------------------------


def _bomb(files: Files) -> bytes:
    return zipped({**files, "historie.csv": b"casusNr;tijdstip\n" + b"x" * 200_000_000})


def _cells(files: Files) -> bytes:
    return zipped({**files, "historie.csv": b";" * 30_000_000})


def _many(files: Files) -> bytes:
    return zipped({**files, **{f"{n}.csv": b"" for n in range(70_000)}})


def _lying(files: Files) -> bytes:
    """Says that a file is three bytes long."""
    document = bytearray(zipped({**files, "isd.csv": b"casusNr;fase\n" + b"z" * 100_000_000}))
    for mark, size in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        at = -1
        while (at := document.find(mark, at + 1)) >= 0:
            if b"isd.csv" in document[at : at + 60]:
                document[at + size : at + size + 4] = struct.pack("<L", 3)
    return bytes(document)


def _encrypted(files: Files) -> bytes:
    document = bytearray(zipped(files))
    for mark, flags in ((b"PK\1\2", 8), (b"PK\3\4", 6)):
        document[document.find(mark) + flags] |= 1
    return bytes(document)


def _twice(files: Files) -> bytes:
    return zipped({**files, "ISD.csv": b"casusNr"}).replace(b"ISD.csv", b"isd.csv")


@pytest.mark.parametrize(
    "hostile",
    [
        _bomb,
        _cells,
        _many,
        _lying,
        _encrypted,
        _twice,
        lambda files: zipped({**files, "../../etc/cron.d/x": b"x"}),
        lambda files: zipped({**files, "/etc/passwd": b"x"}),
        lambda files: zipped({**files, "map/isd.csv": b"x"}),
        lambda files: zipped({**files, "isd.csv": b"casusNr;fase\r\n\xff\xfe"}),
        lambda files: zipped({**files, "isd.csv": "casusNr;fase".encode("utf-16")}),
        lambda files: zipped({**files, "isd.csv": b'casusNr;fase\r\n"BAR;A'}),
        lambda files: zipped({**files, "isd.csv": b'casusNr;fase\r\n"BAR"x;A'}),
        lambda files: zipped({**files, "isd.csv": b"casusNr;fase\r\nBAR-2024-0815;\0"}),
        lambda files: zipped({**files, "casussen.csv": b""}),
        lambda files: zipped(files)[:-30],
        lambda files: zipped(files) + b"comment",
        lambda files: b"PK\3\4" + bytes(100),
        lambda files: zipped({}),
        lambda files: b"PK",
        lambda files: bytes(3) + zipped(files)[3:],
        lambda files: zipped(files).replace(b"PK\3\4", b"PK\3\5"),
        lambda files: zipped(files)[:2000] + bytes(50) + zipped(files)[2050:],
    ],
)
def test_a_hostile_zip_is_refused_in_bounded_memory(
    files: Files, hostile: Callable[[Files], bytes]
) -> None:
    document = hostile(files)
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            CSV.parse(document)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * csvzip.MAX_BYTES


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_broken_zip_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    document = bytearray(_sound())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(document) - 1))
        document[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Refused):
        CSV.parse(bytes(document))


def _sound() -> bytes:
    return CSV.render(XML.parse((EXAMPLES / "casus-isd.xml").read_bytes()).bericht).document


def test_a_large_document_inside_a_casus_passes(files: Files) -> None:
    event = schrijf(CSV.parse(zipped(files)).bericht)
    event["data"]["documenten"][0]["inhoud"] = "QUJD" * 1_000_000
    back = CSV.parse(CSV.render(lees(event)).document).bericht

    assert event == schrijf(back)


def test_only_a_zip_is_recognised() -> None:
    assert "casus" == CSV.recognises(_sound())
    assert None is CSV.recognises(b"<x/>") is CSV.recognises(b"")
    assert None is XML.recognises(_sound())
    with pytest.raises((InvalidDocument, Empty, TooLarge)):
        CSV.parse(b"")
