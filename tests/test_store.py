"""The store keeps what it accepted, once, and answers what is asked."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy.exc

from gateway.core.repair import Selection
from gateway.errors import NotFound, StoreUnavailable
from gateway.ports import Loss, Outcome, Query, Rendered, State, StoredReceipt
from gateway.store.engine import connect, reading
from gateway.store.sql import SqlStore
from gateway.store.tables import Step

from .records import DEAD, DELIVERED, LATER, NOW, OIN, a_message, at_once, python, steps

# --- accept ---------------------------------------------------------------------------------------


def test_what_was_accepted_is_there_as_it_was_given(store: SqlStore) -> None:
    given = a_message(1)

    assert store.accept(given) is None

    found = store.message("m1")
    assert found is not None
    assert all(getattr(given, name) == getattr(found, name) for name in found.__slots__)
    assert store.find_receipt(OIN, "s1") == StoredReceipt("m1", "digest-1", b"receipt-1")
    assert store.receipt_of("m1") == b"receipt-1"
    bodies = store.bodies("d1")
    assert (bodies.sealed_document, bodies.sealed_rendered) == (b"document", None)
    record = store.delivery("d1")
    assert record is not None
    assert (record.message, record.removed) == (found, given.deliveries[0].removed)
    assert (record.state, record.due) == (State.KLAAR, NOW)
    assert record.deadline == NOW + timedelta(hours=72)
    assert steps(store, "m1") == [Step.AANGENOMEN]


def test_racing_requests_with_one_id_store_it_once(store: SqlStore) -> None:
    def request(number: int) -> Callable[[], StoredReceipt | None]:
        return lambda: store.accept(a_message(number, message_id="one"))

    answers = at_once(*(request(number) for number in range(8)))

    assert answers.count(None) == 1
    first = store.find_receipt(OIN, "one")
    assert {answer for answer in answers if answer} == {first}
    assert len(store.search(Query())) == 1
    assert store.counts() == {("landelijk", "klaar"): 1}


def test_another_name_leads_to_the_message_and_stays_with_its_first(store: SqlStore) -> None:
    given = replace(a_message(1), names=("inhoud",))
    assert store.accept(given) is None
    first = StoredReceipt("m1", "digest-1", b"receipt-1")

    assert first == store.find_named(OIN, "inhoud")
    assert first == store.accept(replace(a_message(2), names=("inhoud",)))
    assert store.message("m2") is None
    store.add_name(OIN, "later", "m1")
    store.accept(a_message(3))
    store.add_name(OIN, "later", "m3")
    assert first == store.find_named(OIN, "later")
    assert store.find_named("00000099000000009000", "later") is None


def test_a_reading_is_an_event(store: SqlStore) -> None:
    store.accept(a_message(1))
    record = store.delivery("d1")
    assert record
    store.note_reading(record, how="opgehaald", now=NOW)
    last = store.events_of("m1")[-1]

    assert (Step.GELEZEN, "d1", "landelijk: opgehaald") == (last.name, last.delivery, last.detail)


def test_another_digest_under_the_same_id_returns_what_is_stored(store: SqlStore) -> None:
    store.accept(a_message(1))

    answer = store.accept(a_message(2, message_id="s1", digest="another"))

    assert answer == StoredReceipt("m1", "digest-1", b"receipt-1")
    assert store.message("m2") is None


def test_another_signer_may_use_the_same_id(store: SqlStore) -> None:
    store.accept(a_message(1))

    assert store.accept(a_message(2, message_id="s1", signer_oin="00000099000000020000")) is None
    assert [found.id for found in store.find("s1")] == ["m1", "m2"]


def test_a_text_may_hold_whatever_a_sender_wrote(store: SqlStore) -> None:
    odd = "a\0b\n\x7f\u202e\U0001f600"

    assert store.accept(a_message(1, conversation=odd, house=odd, names=(odd,))) is None
    store.settle("d1", Outcome(State.DOOD, odd, code=odd), now=NOW)

    (found,) = store.search(Query(conversation=odd))
    assert found.conversation == odd.replace("\0", "\ufffd")
    assert store.find(odd) == [found]
    assert store.find_named(OIN, odd)


def test_another_broken_rule_is_not_taken_for_a_duplicate(store: SqlStore) -> None:
    store.accept(a_message(1))

    with pytest.raises(StoreUnavailable):
        store.accept(a_message(1, message_id="not seen before"))


def test_a_refusal_is_an_event_without_a_message(store: SqlStore) -> None:
    store.refused(sender="zsm", code="bsn-ongeldig", digest="abc", at=NOW)

    with reading(store._engine) as sql:
        told = sql.exec_driver_sql("SELECT name, message, delivery, detail FROM event")
        rows = [tuple(row) for row in told]
    assert rows == [(Step.GEWEIGERD, None, None, "bsn-ongeldig afzender=zsm digest=abc")]


def test_kill_9_leaves_exactly_what_was_committed(url: str) -> None:
    code = """
import sys
from dataclasses import replace
from gateway.store import open_store
from gateway.ports import *
from datetime import *
store, number = open_store(sys.argv[1]), 0
delivery = NewDelivery("", "landelijk", "l", "", 72, False)
while True:
    number += 1
    print("begin", number, flush=True)
    store.accept(NewMessage(f"m{number}", f"s{number}", "o", "zsm", "d", "k", "x", "r", None, "c",
        None, "u", datetime.now(UTC), date(2030, 1, 1), (), "", b"", b"", bytes(9000), b"", b"r",
        tuple(replace(delivery, id=f"d{number}-{i}", lane=f"{number}-{i}") for i in range(3))))
    print("stored", number, flush=True)
"""
    with python(code, url) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(120)]
        writer.send_signal(signal.SIGKILL)
        told += writer.stdout.readlines()
    stored = sum(line.startswith("stored") for line in told)

    with closing(SqlStore(connect(url))) as store:
        messages = len(store.search(Query(limit=10_000)))
        assert messages in (stored, stored + 1)  # killed between commit and telling
        assert store.counts() == {("landelijk", "klaar"): 3 * messages}
        if url.startswith("sqlite"):
            with reading(store._engine) as sql:
                assert sql.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


# --- attempts and rendering -----------------------------------------------------------------------


def test_every_try_is_recorded_and_a_final_state_stays(store: SqlStore) -> None:
    store.accept(a_message(1))
    wait = Outcome(State.WACHT, "503", code="partner-onbereikbaar", due=LATER, status=503)

    store.settle("d1", wait, now=NOW)
    store.settle("d1", DELIVERED, now=LATER)
    assert store.settle("d1", wait, now=LATER) == []  # a second worker, later than the first

    record = store.delivery("d1")
    assert record is not None
    assert (record.state, record.attempts, record.due) == (State.AFGELEVERD, 3, None)
    tries = store.attempts_of("d1")
    assert [t["number"] for t in tries] == [1, 2, 3]
    assert tries[1] == {
        "at": LATER,
        "number": 2,
        "outcome": "afgeleverd",
        "code": "",
        "reason": "ontvangen",
        "status": 202,
        "duration_ms": 0.0,
        "receipt": b"their receipt",
    }


def test_a_delivery_is_rendered_once(store: SqlStore) -> None:
    store.accept(a_message(1))
    loss = (Loss("document.datum", "geen", "afgerond", "dag ontbreekt"),)
    made = Rendered("landelijk/1.0", "Zaak", "application/json", b"", loss)

    store.save_rendered("d1", made, sealed=b"first", digest="abc", now=NOW)
    with pytest.raises(ValueError, match="once"):
        store.save_rendered("d1", made, sealed=b"second", digest="def", now=NOW)

    record = store.delivery("d1")
    assert record is not None
    assert (record.digest, record.root, record.loss) == ("abc", "Zaak", loss)
    assert store.bodies("d1").sealed_rendered == b"first"


# --- questions ------------------------------------------------------------------------------------


def test_a_message_is_found_by_each_of_its_ids(store: SqlStore) -> None:
    store.accept(a_message(1, conversation="talk"))
    store.accept(a_message(2, conversation="talk", received_at=LATER))

    for any_id, expected in (("m1", [1]), ("s1", [1]), ("d2", [2]), ("talk", [1, 2]), ("x", [])):
        assert [m.id for m in store.find(any_id)] == [f"m{n}" for n in expected], any_id
    assert [d.id for d in store.deliveries_of("m1")] == ["d1"]


def test_the_question_behind_an_answer_was_delivered_to_who_answers(store: SqlStore) -> None:
    store.accept(a_message(1, message_id="q"))
    store.accept(a_message(2, message_id="q", signer_oin="00000099000000020000", received_at=LATER))

    newest = store.question_from("q", answered_by="landelijk")

    assert newest is not None
    assert newest.id == "m2"
    assert store.question_from("q", answered_by="vt") is None


def test_search_narrows_and_pages_newest_first(store: SqlStore) -> None:
    for number in range(10):
        sender = "zsm" if number % 2 else "vt"
        at = NOW + timedelta(minutes=number // 2)  # two of each moment: the id decides
        store.accept(a_message(number, sender=sender, received_at=at))
    store.settle("d3", DEAD, now=NOW)
    store.settle("d4", DELIVERED, now=NOW)

    def found(**query: Any) -> str:
        return "".join(m.id[1:] for m in store.search(Query(**query)))

    pages, after = [], None
    while page := store.search(Query(limit=3, after=after)):
        pages.append("".join(m.id[1:] for m in page))
        after = page[-1].id

    assert pages == ["987", "654", "321", "0"]
    assert found(sender="zsm", after="m5") == "31"
    assert found(since=NOW + timedelta(minutes=4)) == "98"
    assert found(state=State.DOOD) == "3"
    assert found(state=State.AFGELEVERD) == "4"
    assert found(limit=2) == "98"
    assert found(sender="landelijk") == found(kind="casus") == found(message_id="c3") == ""
    assert found(message_id="s3") == found(conversation="c3") == "3"
    assert {d.id for d in store.deliveries(state=State.KLAAR, limit=2)} == {"d8", "d9"}


def test_a_narrow_list_of_the_dead_looks_beyond_the_newest(store: SqlStore) -> None:
    for number in range(5):
        store.accept(a_message(number, lane=f"m{number}"))
    old, *newer = sorted(store.claim(limit=9, lease_s=60, now=NOW))
    store.settle(old, DEAD, now=NOW)
    for id in newer:
        store.settle(id, replace(DEAD, code="another"), now=NOW)
    dead = store.delivery(old)
    assert dead

    def found(**words: Any) -> list[str]:
        return [d.id for d in store.dead(Selection(**words), limit=1)]

    assert found(receiver=dead.receiver, kind=dead.message.kind, code=dead.code) == [old]
    assert found(code="another") == found() == [newer[-1]]
    assert found(kind="casus") == found(receiver="zsm") == []


def test_what_is_not_there_is_said_so(store: SqlStore) -> None:
    assert store.find_receipt(OIN, "x") is None
    assert store.delivery("x") is None
    assert store.message("x") is None
    assert store.receipt_of("x") is None
    with pytest.raises(NotFound):
        store.bodies("x")
    with pytest.raises(NotFound):
        store.settle("x", DELIVERED, now=NOW)


def test_a_time_without_zone_is_refused_and_any_zone_becomes_utc(store: SqlStore) -> None:
    with pytest.raises(sqlalchemy.exc.StatementError):
        store.accept(a_message(1, received_at=NOW.replace(tzinfo=None)))

    store.accept(a_message(2, received_at=NOW.astimezone(timezone(timedelta(hours=2)))))

    found = store.message("m2")
    assert found is not None
    assert (found.received_at, found.received_at.tzinfo) == (NOW, UTC)
