"""What an examiner found: each would have held up messages, or told a partner too little."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from gateway import ports
from gateway.api import mtls
from gateway.bootstrap import load_dialects
from gateway.cli import app
from gateway.errors import DtdForbidden, InvalidDocument, NotExpressible, TooDeep
from gateway.formats import jsondialect, xmldoc
from gateway.formats.jsondoc import JsonSchema
from gateway.model.partner import Partner
from gateway.ports import Parsed, Rendered, State

from .edge import Running, client_context
from .world import HOUSE, World

EXAMPLES = Path(__file__).parent / "examples"
DIALECTS = load_dialects()


# --- one document must not hold up others ---------------------------------------------------------


def test_a_moment_in_a_zone_that_cannot_be_is_refused() -> None:
    text = (EXAMPLES / "gcos" / "casus.xml").read_text()
    moment = text[text.index("<GCOS:aangemaakt>") : text.index("</GCOS:aangemaakt>")]
    changed = text.replace(moment, "<GCOS:aangemaakt>27-11-2026 10:00:00+99:00")
    with pytest.raises(InvalidDocument) as refused:
        DIALECTS["gcos/1.0"].parse(changed.encode())
    assert refused.value.code == "waarde-ongeldig"


def test_what_no_reader_foresaw_is_refused_with_a_receipt_and_leaks_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """By folder it would come back for ever, before all files behind it."""

    def reader(document: bytes) -> Parsed:
        raise ZeroDivisionError("999990342 Testpersoon")

    world.adapter.parse = reader  # type: ignore[method-assign]  # a bug of ours
    refused = world.send()
    assert refused.error and refused.error.code == "document-ongeldig"
    assert world.receipt(refused).outcome == "geweigerd"
    by_folder = world.acceptor.accept_file(b"{}", partner=world.partner("zsm"))
    assert by_folder.error and by_folder.error.code == "document-ongeldig"
    assert "Testpersoon" not in capsys.readouterr().out


def test_a_document_over_the_limit_is_refused_before_it_is_ours(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it was accepted, and no receiver could ever fetch it."""
    event = world.question()
    large = orjson.dumps(event) + b" " * ports.MAX_DOCUMENT
    monkeypatch.setattr("gateway.security.seal.MAX_DOCUMENT", len(large) + 1)
    body = world.seal(event, body=large)
    refused = world.acceptor.accept(body, tls_oin=world.partner("zsm").oin)
    assert refused.error and refused.error.code == "bericht-te-groot"


def test_what_grows_beyond_the_limit_in_translation_is_not_sent(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = world.send()
    monkeypatch.setattr(ports, "MAX_DOCUMENT", 100)
    world.run()
    delivery = world.delivery(accepted)
    assert (delivery.state, delivery.code) == (State.DOOD, "niet-uitdrukbaar")
    assert "te groot" in delivery.reason


def test_the_reason_of_a_dead_delivery_is_that_of_the_dialect_that_was_meant(world: World) -> None:
    def fails(name: str) -> Any:
        class Unable:
            def render(self, bericht: Any, root: str = "") -> Rendered:
                raise NotExpressible(f"{name} kan dit niet zeggen.")

        return Unable()

    landelijk = world.partners["landelijk"]
    both = Partner(**{**vars_of(landelijk), "dialects": {"*": "eerste/1 tweede/1"}})
    accepted = world.send()
    world.partners["landelijk"] = both
    world.wire_up(dialects={n: fails(n) for n in ("eerste/1", "tweede/1", "json/1")})
    world.run()
    assert "json/1 kan dit niet zeggen" in world.delivery(accepted).reason


def vars_of(partner: Partner) -> dict[str, Any]:
    return {name: getattr(partner, name) for name in partner.__slots__}


# --- large attachments ----------------------------------------------------------------------------


def test_an_attachment_of_many_megabytes_is_one_text_and_is_read() -> None:
    """libxml2 stops at ten; attachments of 21 MB occur."""
    root = xmldoc.read(b"<a><b>" + b"QUJD" * 5_000_000 + b"</b></a>")
    assert len(root[0].text or "") == 20_000_000


def test_a_large_vto_goes_through_and_comes_back() -> None:
    dialect = DIALECTS["stuf-jz/1.0.9"]
    document = (EXAMPLES / "stuf-jz" / "valid" / "uciDi01.xml").read_text()
    start = document.index(">", document.index("<ZKN:inhoud")) + 1
    end = document.index("<", start)
    content = base64.b64encode(b"x" * 9_000_000).decode()
    large = (document[:start] + content + document[end:]).encode()
    parsed = dialect.parse(large)
    made = dialect.render(parsed.bericht, "uciDi01")
    assert content.encode() in made.document


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (
            b'<!DOCTYPE a [<!ENTITY e "'
            + b"x" * 1000
            + b'">]><a b="'
            + b"&e;" * 10_000
            + b'">'
            + b"y" * 10_000_001
            + b"</a>",
            (DtdForbidden, InvalidDocument),
        ),
        (b"<a>" * 1900 + b"x" * 10_000_001 + b"</a>" * 1900, (TooDeep,)),
        (b"<a>" * 3000 + b"x" * 10_000_001 + b"</a>" * 3000, (TooDeep,)),
    ],
    ids=["entities", "deep", "deeper"],
)
def test_large_and_hostile_is_refused_all_the_same(
    document: bytes, error: tuple[type[Exception], ...]
) -> None:
    began = time.monotonic()
    with pytest.raises(error):
        xmldoc.read(document)
    assert time.monotonic() - began < 5


# --- telling what is wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"persoon": {"postcode": "12"}}, "$.persoon.postcode"),
        ({"persoon": {"bsn": 123}}, "$.persoon.bsn"),
        ({"persoon": {"adres": {"nummer": "x"}}}, "$.persoon.adres.nummer"),
        ({"persoon": 7}, "$.persoon"),
    ],
)
def test_a_fault_inside_what_is_optional_is_told_at_its_own_place(
    value: dict[str, Any], path: str
) -> None:
    def optional(schema: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": [schema, {"type": "null"}]}

    adres = {"type": "object", "properties": {"nummer": optional({"type": "integer"})}}
    persoon = {
        "type": "object",
        "properties": {
            "postcode": optional({"type": "string", "pattern": "^[0-9]{4}[A-Z]{2}$"}),
            "bsn": optional({"type": "string"}),
            "adres": optional({"$ref": "#/$defs/adres"}),
        },
    }
    schema = JsonSchema({"properties": {"persoon": optional(persoon)}, "$defs": {"adres": adres}})
    with pytest.raises(InvalidDocument) as refused:
        schema.validate(value)
    assert refused.value.path == path
    assert "anyOf" not in refused.value.detail


def test_check_says_which_rule_was_broken(tmp_path: Path) -> None:
    bad = tmp_path / "bad.xml"
    bad.write_text("<a")
    result = CliRunner().invoke(app, ["check", str(bad), "--json"])
    line = json.loads(result.stdout)
    assert line["code"] == "document-ongeldig"
    assert "welgevormd" in line["detail"]
    assert "welgevormd" in CliRunner().invoke(app, ["check", str(bad)]).stdout


def test_a_zip_is_translated_to_a_zip_and_shown_in_base64(tmp_path: Path) -> None:
    casus = str(EXAMPLES / "gcos" / "casus.xml")
    shown = CliRunner().invoke(app, ["translate", casus, "--to", "gcos-csv/1", "--json"])
    assert base64.b64decode(json.loads(shown.stdout)["document"]).startswith(b"PK")
    CliRunner().invoke(app, ["translate", casus, "--to", "gcos-csv/1", "--out", str(tmp_path)])
    assert (tmp_path / "casus.zip").read_bytes().startswith(b"PK")


def test_an_address_without_all_its_parts_is_not_expressible() -> None:
    schema = {"type": "string", "pattern": "^/oin/(?<oin>[^/]+)/systeem/(?<naam>[^/]+)$"}
    spec = jsondialect.shape("source", schema)
    assert jsondialect.to_json({"oin": "1", "naam": "x"}, spec, "s") == "/oin/1/systeem/x"
    with pytest.raises(NotExpressible) as told:
        jsondialect.to_json({"naam": "x"}, spec, "s")
    assert (told.value.path or "").endswith("/oin")


# --- who gets it, and who keeps a connection -------------------------------------------------------


def test_a_melding_without_destination_is_for_the_house_it_names_only(world: World) -> None:
    from gateway.core import routing

    class Melding:
        def rollen(self) -> None:
            return None

        def gemeenten(self) -> tuple[str, ...]:
            return ()

    class Bericht:
        soort, data = "melding", Melding()

    vt = Partner(**{**vars_of(world.partners["landelijk"]), "role": "veilig-thuis"})
    day = world.clock.now().date()
    parts = world.acceptor.parts
    assert routing._there(parts, world.partners["landelijk"], Bericht(), [HOUSE], day)  # type: ignore[arg-type]
    assert not routing._there(parts, vt, Bericht(), [HOUSE], day)  # type: ignore[arg-type]


def test_a_connection_that_asks_nothing_is_ended(
    edge: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mtls, "HEAD_S", 0.3)
    tcp = socket.create_connection(("127.0.0.1", edge.api.port), timeout=20)
    with client_context(edge.pki, "zsm").wrap_socket(tcp, server_hostname="127.0.0.1") as tls:
        tls.sendall(b"GET /v1/ping HT")  # and no more
        with suppress(ConnectionError, ssl.SSLError):  # or hung up on
            assert tls.recv(100) == b""
