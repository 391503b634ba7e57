"""
Everything a sender can do wrong has its own code, in a signed refusal and a Dutch problem document,
and nothing of what was sent is repeated, logged or kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .process import Process, world
from .test_stranger import ENVELOPE, VCOB, Stranger

MARK = b"Geheimenaam"  # stands in every document below
GOOD = VCOB.read_bytes().replace(b">Test<", b">" + MARK + b"<")
PERSONAL = ("Geheimenaam", "999990342", "999990343", "1985", "VVZ-2025-000123")


def _swap(old: bytes, new: bytes) -> Callable[[], bytes]:
    assert old in GOOD
    return lambda: GOOD.replace(old, new)


def _dtd(declarations: bytes, use: bytes) -> Callable[[], bytes]:
    head, body = GOOD.split(b"?>", 1)
    dtd = b"<!DOCTYPE x [" + declarations + b"]>"
    return lambda: head + b"?>" + dtd + body.replace(MARK, use)


_LOL = b"".join(
    b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10 if n else b"lol") for n in range(10)
)

DOCUMENTS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a dtd": ("dtd-verboden", _dtd(b"", MARK)),
    "an entity bomb": ("dtd-verboden", _dtd(_LOL, b"&a9;")),
    "an external entity": (
        "dtd-verboden",
        _dtd(b'<!ENTITY e SYSTEM "file:///etc/passwd">', b"&e;"),
    ),
    "deep nesting": ("te-diep-genest", lambda: b"<a>" * 100_000 + MARK + b"</a>" * 100_000),
    "not well-formed": ("document-ongeldig", lambda: GOOD[:-20]),
    "an element missing": (
        "document-ongeldig",
        _swap(b"<JZ:identificatie>VVZ-2025-000123</JZ:identificatie>", b""),
    ),
    "an unknown code": ("document-ongeldig", _swap(b">06</JZ:code>", b">99</JZ:code>")),
    "a bsn that fails the 11-proef": ("bsn-ongeldig", _swap(b"999990342", b"999990343")),
    "a day that does not exist": ("waarde-ongeldig", _swap(b">19850412<", b">19850231<")),
    "another root": ("document-onbekend", lambda: b"<x>" + MARK + b"</x>"),
    "no xml and no json": ("document-onbekend", lambda: b"Geachte heer, " + MARK),
    "duplicate keys": ("dubbele-sleutel", lambda: b'{"type":"a","type":"%s"}' % MARK),
    "deep json": ("te-diep-genest", lambda: b'{"%s":' % MARK + b"[" * 1_000_000),
    "another id than the envelope": ("envelop-wijkt-af", _swap(b"1a7b0c1d2e3f", b"1a7b0c1d2e30")),
    "another writer": (
        "envelop-wijkt-af",
        _swap(b"<StUF:organisatie>00000099000000001000", b"<StUF:organisatie>00000099000000009000"),
    ),
    "a house nobody works for": (
        "geen-ontvanger",
        _swap(b"<StUF:organisatie>00000099000000002000", b"<StUF:organisatie>00000099000000009000"),
    ),
    "an empty document": ("bericht-leeg", lambda: b""),
}

ENVELOPES: dict[str, tuple[str, dict[str, Any]]] = {
    "another audience": ("verkeerde-ontvanger", {"aud": "00000099000000009999"}),
    "a signature of last week": ("bericht-verlopen", {"iat": int(time.time()) - 7 * 86400}),
    "a signature of tomorrow": ("bericht-uit-de-toekomst", {"iat": int(time.time()) + 86400}),
    "a digest of something else": ("handtekening-ongeldig", {"datadigest": "A" * 43}),
    "another kind": ("envelop-wijkt-af", {"type": "nl.zvh.bekendheidsuitslag.v1"}),
    "a member of the wrong type": ("zegel-ongeldig", {"iat": "gisteren"}),
}

BODIES: dict[str, tuple[str, str]] = {
    "no jose at all": ("zegel-ongeldig", "Geheimenaam"),
    "five empty parts": ("zegel-ongeldig", "...."),
    "only white space": ("bericht-leeg", "  \n"),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stranger, Process]]:
    folder = tmp_path_factory.mktemp("bad")
    with world(folder / "w") as (settings, process):
        process.start()
        url = f"https://127.0.0.1:{settings.port}"
        yield Stranger(settings.directory / "pki", url, folder), process


def _refused(running: tuple[Stranger, Process], body: str, code: str) -> None:
    zsm, process = running
    status, text = zsm.curl("/v1/berichten", body=body)
    problem = json.loads(text)
    proof = zsm.verify(problem["ontvangstbewijs"])
    log = (process.settings.directory / "gateway.log").read_text()

    assert 400 <= status < 500, text
    assert code == problem["code"] == proof["code"], problem["detail"]
    assert "geweigerd" == proof["uitkomst"]
    assert status == problem["status"]
    assert problem["advies"]
    for said in (text, json.dumps(proof), log):
        assert not [word for word in PERSONAL if word in said]


@pytest.mark.xdist_group("bad-input")
@pytest.mark.parametrize("what", DOCUMENTS)
def test_a_bad_document_is_refused_for_its_own_reason(
    running: tuple[Stranger, Process], what: str
) -> None:
    code, document = DOCUMENTS[what]
    json_like = what in ("duplicate keys", "deep json")
    envelope = {**ENVELOPE, "datacontenttype": "application/json"} if json_like else ENVELOPE
    _refused(running, running[0].seal(document(), envelope), code)


@pytest.mark.xdist_group("bad-input")
@pytest.mark.parametrize("what", ENVELOPES)
def test_a_bad_envelope_is_refused_for_its_own_reason(
    running: tuple[Stranger, Process], what: str
) -> None:
    code, change = ENVELOPES[what]
    _refused(running, running[0].seal(GOOD, ENVELOPE, **change), code)


@pytest.mark.xdist_group("bad-input")
@pytest.mark.parametrize("what", BODIES)
def test_a_bad_body_is_refused_for_its_own_reason(
    running: tuple[Stranger, Process], what: str
) -> None:
    code, body = BODIES[what]
    _refused(running, body, code)


@pytest.mark.xdist_group("bad-input")
def test_a_body_over_the_limit_is_refused(running: tuple[Stranger, Process]) -> None:
    _refused(running, "A" * (65 * 1024 * 1024), "bericht-te-groot")


@pytest.mark.xdist_group("bad-input")
def test_after_all_that_a_good_question_is_still_taken(
    running: tuple[Stranger, Process],
) -> None:
    """A refused id leaves no trace that counts."""
    status, receipt = running[0].curl("/v1/berichten", body=running[0].seal(GOOD, ENVELOPE))

    assert 202 == status
    assert "geaccepteerd" == running[0].verify(receipt)["uitkomst"]
