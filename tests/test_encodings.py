"""A document is read in any encoding that XML allows, by whatever way it comes; disguises are not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.core.accept import Accepted
from gateway.formats.stufjz import STUF_JZ
from gateway.formats.xmldoc import MAX_MARKUP
from gateway.model import media

from .world import World

VCOB = (Path(__file__).parent / "examples" / "stuf-jz" / "valid" / "vcobDi01.xml").read_text()
BODY = VCOB.partition("?>")[2].lstrip()
NAME = "Zoë"


def written(codec: str, declared: str = "", *, before: str = "", body: str = BODY) -> bytes:
    """The document about Zoë in a codec of Python, with an XML declaration if one is given."""
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    name = f">{NAME}<".encode(codec, "xmlcharrefreplace").decode(codec)
    return (before + head + body.replace(">Test<", name)).encode(codec)


BOM = "\ufeff"
READ = {
    "utf-8": written("utf-8", "UTF-8"),
    "nothing said": written("utf-8"),
    "utf-8, marked": written("utf-8", "UTF-8", before=BOM),
    "utf-8, marked, white space first": written("utf-8", before=f"{BOM} \n"),
    "utf-16, little end first, marked": written("utf-16-le", "UTF-16", before=BOM),
    "utf-16, big end first, marked": written("utf-16-be", "UTF-16", before=BOM),
    "utf-16, marked, nothing said": written("utf-16-be", before=f"{BOM}\n"),
    "utf-16, little end first": written("utf-16-le", "UTF-16LE"),
    "utf-16, big end first": written("utf-16-be", "UTF-16BE"),
    "utf-32": written("utf-32-be", "UTF-32", before=BOM),
    "latin-1": written("iso-8859-1", "ISO-8859-1"),
    "latin-9": written("iso-8859-15", "iso-8859-15"),
    "windows-1252": written("windows-1252", "windows-1252"),
    "ascii": written("us-ascii", "US-ASCII"),
    "shift-jis": written("us-ascii", "Shift_JIS"),
}
LOL = '<!DOCTYPE a [<!ENTITY a "b">]>'
SEVEN = b'<?xml version="1.0" encoding="UTF-7"?>'
REFUSED = {
    "a doctype in utf-16": ("dtd-verboden", written("utf-16", "UTF-16", body=LOL + BODY)),
    "a doctype in utf-16, no mark": (
        "dtd-verboden",
        written("utf-16-be", "UTF-16", body=LOL + BODY),
    ),
    "a doctype in utf-7": ("document-ongeldig", SEVEN + written("utf-7", body=LOL + BODY)),
    "utf-7": ("document-ongeldig", SEVEN + BODY.encode("utf-7")),
    "utf-7 by another name": (
        "document-ongeldig",
        written("utf-8", "csUnicode11UTF7"),
    ),
    "escapes for an encoding": ("document-ongeldig", written("utf-8", "JAVA")),
    "utf-7, nothing said": ("document-onbekend", BODY.replace("<", "+ADw-").encode()),
    "too many elements in utf-16": (
        "bericht-te-groot",
        f"<a>{'<b/>' * (MAX_MARKUP + 1)}</a>".encode("utf-16"),
    ),
    "utf-16 under another name": ("document-ongeldig", written("utf-8", "UTF-16")),
    "half a character of utf-16": ("document-ongeldig", READ["utf-16, little end first"][:-1]),
    "bytes that ascii has not": ("document-ongeldig", written("iso-8859-1", "US-ASCII")),
    "an encoding nobody knows": ("document-ongeldig", written("utf-8", "klingon")),
    "ebcdic": ("document-onbekend", written("cp500", "IBM500")),
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """ZSM writes StUF-JZ here, and the national system JSON."""
    world = World(tmp_path)
    world.wire_up(dialects={world.adapter.name: world.adapter, STUF_JZ.name: STUF_JZ})
    world.partners["zsm"] = replace(world.partner("zsm"), dialects={"*": STUF_JZ.name})
    return world


def sent(world: World, document: bytes, media_type: str = "application/xml") -> Accepted:
    """Sealed, with what ZSM knows of its own document."""
    about = orjson.loads(STUF_JZ.parse(READ["utf-8"]).bericht.model_dump_json(by_alias=True))
    return world.send(about, body=document, datacontenttype=media_type)


def code(accepted: Accepted) -> str:
    return accepted.error.code if accepted.error else ""


@pytest.mark.parametrize("name", READ)
def test_a_sealed_document_in_any_encoding_is_taken_and_means_the_same(
    world: World, name: str
) -> None:
    accepted = sent(world, READ[name])
    assert "" == code(accepted)
    world.run()
    (document,) = world.wire.documents.values()
    assert NAME == orjson.loads(document)["data"]["verzoek"]["persoon"]["geslachtsnaam"]


@pytest.mark.parametrize("name", READ)
def test_a_file_in_any_encoding_is_taken(world: World, name: str) -> None:
    assert "" == code(world.acceptor.accept_file(READ[name], partner=world.partner("zsm")))


@pytest.mark.parametrize("name", REFUSED)
def test_what_hides_in_an_encoding_is_refused_for_its_own_reason(world: World, name: str) -> None:
    expected, document = REFUSED[name]
    assert expected == code(sent(world, document))
    assert expected == code(world.acceptor.accept_file(document, partner=world.partner("zsm")))


def test_check_says_the_same_of_files(tmp_path: Path) -> None:
    for number, document in enumerate(READ.values()):
        (tmp_path / f"{number:02}.xml").write_bytes(document)
    result = CliRunner().invoke(app, ["check", "--json", str(tmp_path)])
    lines = [json.loads(line) for line in result.stdout.splitlines()]

    assert [(STUF_JZ.name, None)] * len(READ) == [(one["dialect"], one["code"]) for one in lines]


@pytest.mark.parametrize(
    "named", ["text/xml", "application/xml; charset=utf-16", "Application/SOAP+XML"]
)
def test_any_media_type_of_xml_goes_with_a_document_of_xml(world: World, named: str) -> None:
    assert "" == code(sent(world, READ["utf-16, big end first"], named))


@pytest.mark.parametrize("named", ["application/json", "application/zip", "text/plain", "xml"])
def test_no_other_media_type_goes_with_it(world: World, named: str) -> None:
    assert "envelop-wijkt-af" == code(sent(world, READ["utf-16, big end first"], named))


def test_the_media_type_follows_from_how_a_document_begins() -> None:
    assert {media.XML} == {media.media_type(document) for document in READ.values()}
    assert media.ZIP == media.media_type(b"PK\3\4")
    assert media.JSON == media.media_type(b' {"id": "<"}') == media.media_type(b"")
