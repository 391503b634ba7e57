"""One message of each kind from each sender to each receiver that may have it, over the real thing."""

from __future__ import annotations

import re
import uuid
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.bootstrap import load_dialects
from gateway.client import RefusedByGateway, Sent
from gateway.core.ids import instant
from gateway.core.policy import Policy
from gateway.errors import GatewayError
from gateway.formats.dialect import Mapped
from gateway.model import lees, schrijf
from gateway.model.envelop import Bericht, Systeem, source_of
from gateway.ports import Dialect
from gateway.resources import folder
from gateway.security.tls import client_context
from gateway.settings import Settings, load
from gateway.simulators.gcos import Gcos
from gateway.simulators.party import Party

from .process import until, world

EXAMPLES = Path(__file__).parent / "examples"
DIALECTS = load_dialects()
POLICY = Policy.read((folder("mappings") / "doelbinding.toml").read_text("utf-8"))
ROUTES = (
    ("zsm", "vcobDi01", {"landelijk"}),
    ("veilig-thuis", "vcobDi01", {"landelijk"}),
    ("zsm", "vciDi01", {"landelijk"}),
    ("veilig-thuis", "vciDi01", {"landelijk"}),
    ("zsm", "meldingGeneriekDi01", {"landelijk"}),
    ("veilig-thuis", "meldingGeneriekDi01", {"landelijk"}),
    ("politie", "meldingGeneriekDi01", {"landelijk"}),
    ("gemeente", "meldingGeneriekDi01", {"landelijk"}),
    ("reclassering", "meldingGeneriekDi01", {"landelijk"}),
    ("politie", "vtMeldingDi01", {"veilig-thuis"}),
    ("zsm", "vtMeldingDi01", {"veilig-thuis"}),
    ("veilig-thuis", "vtoDi01", {"rvdk"}),
    ("gcos", "casus", {"landelijk"}),
    ("landelijk", "casus", {"gcos"}),
    ("gcos", "overlegverslag", {"landelijk", "reclassering", "zsm"}),
    ("landelijk", "overlegverslag", {"gcos", "reclassering", "zsm"}),
    ("zsm", "afdoeningsbeslissing", {"landelijk"}),
    ("dji", "bijMelding", {"gemeente", "zvh", "landelijk"}),
    ("dji", "correctie", {"gemeente", "zvh", "landelijk"}),
    ("dji", "intrekking", {"gemeente", "zvh", "landelijk"}),
    ("dji", "detentiegegevens", {"gemeente", "landelijk"}),
    ("dji", "drPlan", {"gemeente", "reclassering"}),
    ("dji", "risicoInformatie", {"gemeente", "politie", "reclassering", "zsm"}),
)
ANSWERS = (
    ("zsm", "vcobDi01", "landelijk", "ucobDi01"),
    ("veilig-thuis", "vcobDi01", "landelijk", "ucobDi01"),
    ("zsm", "vciDi01", "landelijk", "uciDi01"),
    ("reclassering", "meldingGeneriekDi01", "landelijk", "uitkomstMeldingGeneriekDi01"),
    ("zsm", "meldingGeneriekDi01", "landelijk", "uitkomstMeldingGeneriekDi01"),
    ("veilig-thuis", "vciDi01", "landelijk", "uciDi01"),
    ("veilig-thuis", "meldingGeneriekDi01", "landelijk", "uitkomstMeldingGeneriekDi01"),
    ("politie", "meldingGeneriekDi01", "landelijk", "uitkomstMeldingGeneriekDi01"),
    ("gemeente", "meldingGeneriekDi01", "landelijk", "uitkomstMeldingGeneriekDi01"),
    ("politie", "vtMeldingDi01", "veilig-thuis", "vtTerugkoppelingDi01"),
    ("zsm", "vtMeldingDi01", "veilig-thuis", "vtTerugkoppelingDi01"),
    ("veilig-thuis", "vtoDi01", "rvdk", "notificatieDi01"),
    ("dji", "bijMelding", "gemeente", "bijWeging"),
    ("dji", "bijMelding", "zvh", "bijWeging"),
    ("dji", "bijMelding", "landelijk", "bijWeging"),
)
"""Who asks what, who answers, with what."""

NAMED = {"vtMeldingDi01": "veilig-thuis", "vtoDi01": "rvdk"}
"""Documents that name their receiver; the others go to the house."""

PROCESSED = ("Bv01Bericht", "Fo01Bericht")


def _examples() -> dict[str, Bericht]:
    found: dict[str, Bericht] = {}
    for file in sorted(EXAMPLES.glob("*/*.xml")) + sorted(EXAMPLES.glob("stuf-jz/valid/*.xml")):
        for dialect in DIALECTS.values():
            if file.parent.name in ("bij", "zsm", "gcos", "valid") and dialect.recognises(
                file.read_bytes()
            ):
                parsed = dialect.parse(file.read_bytes())
                if file.stem == parsed.root:
                    found[parsed.root] = parsed.bericht
    return found


CANON = _examples()


class Chain:
    """All partners of the configuration with their certificates, and a gateway between them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.partners = {entry.name: entry for entry in settings.partner}
        sealed = [entry.name for entry in settings.partner if entry.enc_certificate]
        self.parties = {name: Party(settings, name) for name in sealed}
        self.gcos, self._taken = Gcos(settings), set[Path]()

    def message(self, sender: str, root: str, to: str = "", **members: Any) -> Bericht:
        """The example with this root, as if this partner had written it now."""
        example, own = CANON[root], self.partners[sender]
        house = self.settings.huis[0].oin
        names = {
            "afzender": Systeem(organisatie=own.oin, applicatie=own.systeem),
            "ontvanger": Systeem(
                organisatie=self.partners[to].oin if to else house, applicatie="ontvanger"
            ),
        }
        data = example.data.model_copy(update=names)
        source = source_of(own.oin, own.systeem)
        about = {"id": str(uuid.uuid4()), "time": instant(datetime.now(UTC)), "source": source}
        return example.model_copy(
            update={**about, "data": data, "huis": None, "antwoordop": None, **members}
        )

    def send(self, sender: str, bericht: Bericht, root: str) -> str:
        if sender == self.gcos.name:
            made = self.speaks(sender, root).render(bericht, root)
            self.gcos.put(f"{bericht.id}.xml", made.document)
        else:
            self.offered(sender, bericht, root)
        return bericht.id

    def speaks(self, sender: str, root: str) -> Dialect:
        spoken = [DIALECTS[name] for name in sorted(self.partners[sender].spoken, reverse=True)]
        return next(dialect for dialect in spoken if _says(dialect, root))

    def offered(self, sender: str, bericht: Bericht, root: str) -> Sent:
        made = self.speaks(sender, root).render(bericht, root)
        return self.parties[sender].client.send(
            made.document,
            message_id=bericht.id,
            kind=bericht.soort,
            content_type=made.content_type,
        )

    def status(self, sender: str, location: str) -> Any:
        """What the API tells the sender."""
        with httpx2.Client(verify=client_context(self.parties[sender].tls)) as client:
            url = f"https://{self.settings.host}:{self.settings.port}{location}"
            return client.get(url).raise_for_status().json()

    def metrics(self) -> bytes:
        return httpx2.get(f"http://127.0.0.1:{self.settings.management_port}/metrics").content

    def arrived(self, receiver: str) -> list[bytes]:
        """What lies in a postbus or folder; fetched, opened, and signed for."""
        if receiver == self.gcos.name:
            self.gcos.take()
            taken = list((self.gcos.folder / "uit" / "opgehaald").glob("*.xml"))
            fresh = [file for file in taken if file not in self._taken]
            self._taken.update(fresh)
            return [file.read_bytes() for file in fresh]
        client, found = self.parties[receiver].client, list[bytes]()
        for row in client.inbox():
            unsealed = client.fetch(row["id"])
            client.confirm(row["id"], unsealed.digest)
            found.append(unsealed.document)
        return found

    def everybody_got(self, receivers: set[str]) -> dict[str, Bericht]:
        got: dict[str, Bericht] = {}

        def all_there() -> bool:
            for name in self.partners:
                for document in self.arrived(name):
                    assert name not in got, name
                    got[name] = _read(document)
            return got.keys() >= receivers

        until(all_there, f"{receivers} have it", patience=15)
        assert receivers == got.keys()
        return got

    def processed(self, receiver: str, sent: Bericht, sender: str) -> None:
        """The receiver tells later that it processed a message, and that it could not."""
        for root in PROCESSED:
            kind = CANON[root].soort
            if self.may(receiver, kind, sender):
                told = self.message(receiver, root, sender, antwoordop=sent.id)
                self.send(receiver, told, root)
                (found,) = self.everybody_got({sender}).values()
                assert (kind, sent.id) == (found.soort, found.antwoordop)

    def may(self, sender: str, kind: str, receiver: str) -> bool:
        """Whether agreements and rules allow it."""
        of, to = self.partners[sender], self.partners[receiver]
        rules = (r for r in POLICY.regel if kind in r.soort and of.role in r.van)
        agreed = sender != receiver and kind in of.sends and kind in to.receives
        return agreed and any(to.role in rule.naar for rule in rules)


def _says(dialect: Dialect, root: str) -> bool:
    if not isinstance(dialect, Mapped):
        return True
    return root in {known.rpartition(":")[2] for known in dialect.mappings}


def _read(document: bytes) -> Bericht:
    dialect = next(d for d in DIALECTS.values() if d.recognises(document))
    return dialect.parse(document).bericht


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("routes") / "w"
    with world(folder) as (_, process):
        file = folder / "gateway.toml"  # who is pushed to, fetches instead: nobody need listen
        text = file.read_text("utf-8").replace('"push"', '"postbus"')
        lines = text.replace('"events"', '"postbus"').splitlines()
        file.write_text("\n".join(line for line in lines if not line.startswith("url =")), "utf-8")
        settings = load(folder)
        process.settings = settings
        process.start()
        chain = Chain(settings)
        yield chain
        for party in chain.parties.values():
            party.client.close()


@pytest.mark.parametrize(("sender", "root", "receivers"), ROUTES)
def test_a_message_goes_to_everybody_who_may_have_it_and_to_nobody_else(
    chain: Chain, sender: str, root: str, receivers: set[str]
) -> None:
    sent = chain.message(sender, root, NAMED.get(root, ""))
    if root == "intrekking":  # goes to those who got what it withdraws
        first = chain.send(sender, chain.message(sender, "bijMelding"), "bijMelding")
        chain.everybody_got(receivers)
        about = sent.data.betreft.model_copy(update={"berichtid": first})  # type: ignore[attr-defined]
        sent = sent.model_copy(update={"data": sent.data.model_copy(update={"betreft": about})})
    chain.send(sender, sent, root)
    got = chain.everybody_got(receivers)

    assert {sent.soort} == {bericht.soort for bericht in got.values()}
    for name, bericht in got.items():
        assert sent.data.zaak() == bericht.data.zaak()
        if (name, root) != ("reclassering", "overlegverslag"):  # SOH numbers persons its own way
            assert _facts(bericht) <= _facts(sent)


@pytest.mark.parametrize(("asker", "question", "answerer", "answer"), ANSWERS)
def test_an_answer_goes_to_the_one_who_asked(
    chain: Chain, asker: str, question: str, answerer: str, answer: str
) -> None:
    asked = chain.message(asker, question, NAMED.get(question, ""))
    chain.send(asker, asked, question)
    chain.everybody_got(next(r for s, q, r in ROUTES if (s, q) == (asker, question)))
    chain.processed(answerer, asked, asker)
    reference = asked.id if answer in ("ucobDi01", "uciDi01") else None
    told = chain.message(answerer, answer, asker, antwoordop=reference)
    chain.send(answerer, told, answer)
    got = chain.everybody_got({asker})

    assert told.soort == got[asker].soort
    assert _facts(got[asker]) <= _facts(told)
    chain.processed(asker, told, answerer)


ADDRESSED = (
    "afzender",
    "ontvanger",
    "geenWaarde",
    "betreft",
    "identificatie",
    "casusnummer",
    "sleutel",
)
INDEX = re.compile(r"\[\d+\]")
MARKED = [
    ("zsm", "vcobDi01"),
    ("zsm", "vciDi01"),
    ("zsm", "meldingGeneriekDi01"),
    ("politie", "vtMeldingDi01"),
    ("veilig-thuis", "vtoDi01"),
    ("zsm", "afdoeningsbeslissing"),
    ("dji", "bijMelding"),
    ("dji", "detentiegegevens"),
    ("dji", "drPlan"),
    ("dji", "risicoInformatie"),
    ("landelijk", "overlegverslag"),
]


@pytest.mark.parametrize(("sender", "root"), MARKED)
def test_every_text_arrives_or_is_accounted_for_and_stands_in_no_log(
    chain: Chain, sender: str, root: str
) -> None:
    receivers = next(r for s, q, r in ROUTES if (s, q) == (sender, root))
    dialect = chain.speaks(sender, root)
    sent, marks = _marked(chain.message(sender, root, NAMED.get(root, "")), dialect, root)
    offered = chain.offered(sender, sent, root)
    assert len(marks) > 1
    arrived: dict[str, bytes] = {}

    def all_there() -> bool:
        for name in chain.partners:
            arrived.update((name, document) for document in chain.arrived(name))
        return arrived.keys() >= receivers

    until(all_there, f"{receivers} have it", patience=15)
    told = chain.status(sender, offered.location)
    for delivery in told["afleveringen"]:
        document = arrived[delivery["ontvanger"]].decode("utf-8", "replace")
        lost = [*delivery["weggelaten"], *delivery["verlies"]]
        gone = tuple(f"{re.sub(INDEX, '', entry['pad'])}." for entry in lost)
        for mark, path in marks.items():
            assert mark in document or f"{path}.".startswith(gone), (delivery["ontvanger"], path)
        assert not any(mark in str(lost) for mark in marks)
    kept = [path for path in chain.settings.directory.glob("gateway.*") if path.is_file()]
    assert {"gateway.log", "gateway.db"} <= {path.name for path in kept}
    seen = [*(path.read_bytes() for path in kept), chain.metrics()]
    assert [mark for mark in marks if any(mark.encode() in text for text in seen)] == []


def _marked(bericht: Bericht, dialect: Dialect, root: str) -> tuple[Bericht, dict[str, str]]:
    """The message with a mark in every text that its document lets be any text; their places."""
    event, marks = schrijf(bericht), dict[str, str]()

    def walk(part: Any, at: str) -> None:
        for key, value in list(part.items() if isinstance(part, dict) else enumerate(part)):
            here = at if isinstance(part, list) else f"{at}.{key}"
            if isinstance(value, dict | list) and key not in ADDRESSED:
                walk(value, here)
            elif isinstance(value, str) and key not in ADDRESSED:
                part[key] = mark = f"Z{len(marks):03}Q"
                try:
                    assert mark.encode() in dialect.render(lees(event), root).document
                    marks[mark] = here
                except (AssertionError, GatewayError):
                    part[key] = value

    walk(event["data"], "data")
    return lees(event), marks


def test_a_stuf_document_gets_its_bv03_or_fo03_inside_the_signed_receipt(chain: Chain) -> None:
    client, stuf = chain.parties["zsm"].client, DIALECTS["stuf-jz/1.0.9"]
    asked = chain.message("zsm", "vcobDi01")
    document = stuf.render(asked).document
    about = {"message_id": asked.id, "kind": asked.soort, "content_type": "application/xml"}

    def answered(antwoord: str, root: str) -> Bericht:
        parsed = stuf.parse(b64decode(antwoord))
        assert root == parsed.root
        assert asked.id == parsed.bericht.antwoordop
        return parsed.bericht

    answered(client.send(document, **about).receipt.antwoord, "Bv03Bericht")
    other = document.replace(b"Jan", b"Piet")
    for sent, code in (
        (other, "id-hergebruikt"),
        (b"<" + document[1:].replace(b">02<", b">99<"), ""),
    ):
        with pytest.raises(RefusedByGateway) as caught:
            client.send(sent, **about)
        assert caught.value.refusal
        told = answered(caught.value.refusal.antwoord, "Fo03Bericht")
        if code:
            assert code == caught.value.code
            assert "id-hergebruikt" in str(schrijf(told)["data"])
    chain.everybody_got({"landelijk"})


def test_every_way_that_is_allowed_is_in_the_tables(chain: Chain) -> None:
    told = {(s, CANON[root].soort, to) for s, root, all_ in ROUTES for to in all_}
    told |= {(who, CANON[answer].soort, asker) for asker, _, who, answer in ANSWERS}
    asked = {(asker, CANON[question].soort, who) for asker, question, who, _ in ANSWERS}
    for asker, _, who, _ in ANSWERS:  # what `processed` does with each
        for kind in ("bevestiging", "foutbericht"):
            told |= {way for way in ((asker, kind, who), (who, kind, asker)) if chain.may(*way)}
    allowed = {
        (sender, kind, to)
        for sender, entry in chain.partners.items()
        for kind in entry.sends
        for to in chain.partners
        if chain.may(sender, kind, to)
    }
    answers = POLICY.answers
    never_asked = {
        (sender, kind, to)
        for sender, kind, to in allowed
        if kind in answers
        and not any(
            way[0] == to and way[2] == sender and answers[kind] in ("*", way[1])
            for way in told | asked
        )
    }

    assert set() == allowed - told - never_asked
    assert {"bevestiging", "foutbericht"} == {kind for _, kind, _ in never_asked}


def test_what_no_rule_allows_is_refused(chain: Chain) -> None:
    told = chain.message("politie", "bijMelding")

    with pytest.raises(RefusedByGateway) as caught:
        chain.parties["politie"].client.send(
            DIALECTS["bij/1.0"].render(told).document,
            message_id=told.id,
            kind=told.soort,
            content_type="application/xml",
        )
    assert caught.value.code == "niet-toegestaan"


def _facts(bericht: Bericht) -> set[tuple[str, str]]:
    """Every value of a message with its place, but for who wrote it to whom."""
    found: set[tuple[str, str]] = set()

    def walk(value: Any, at: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                if key not in ("afzender", "ontvanger", "geenWaarde"):
                    walk(inner, f"{at}.{key}")
        elif isinstance(value, list):
            for inner in value:
                walk(inner, at)
        else:
            found.add((at, str(value)))

    walk(schrijf(bericht)["data"], "data")
    return found
