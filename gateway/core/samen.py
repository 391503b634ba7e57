"""
One question, several systems, one answer: while a house is in transition both its case systems answer.

Each answer is accepted and stored by itself. Its delivery waits until the last one is there, or for
`samen-uren` of its kind; the newest answer then carries all of them, and the others are `vervallen`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.core.parts import Parts
from gateway.model.bekendheid import ExtraElement
from gateway.model.envelop import Bericht
from gateway.ports import DeliveryRecord, MessageRecord, State

DEEL = ExtraElement(naam="deelantwoord", waarde="ja")
"""Says in the answer itself that not every system that was asked has answered."""


@dataclass(frozen=True, slots=True)
class Stand:
    """How far the answers to one question are."""

    answers: tuple[MessageRecord, ...]  # oldest first
    complete: bool


def hours(parts: Parts, kind: str) -> float | None:
    """How long an answer of this kind waits for the others; None when it goes alone."""
    row = parts.policy.soort.get(kind)
    return row.samen_uren if row else None


def stand(parts: Parts, question: MessageRecord, sender: str = "") -> Stand:
    """The answers that are stored, and whether those and one of `sender` are all that were asked."""
    given = parts.store.answers_to(question)
    there = {answer.sender for answer in given} | {sender}
    return Stand(
        tuple(given), parts.store.receivers_of(question.signer_oin, question.message_id) <= there
    )


def held_until(
    parts: Parts, kind: str, asked: MessageRecord | None, sender: str, now: datetime
) -> datetime | None:
    """Until when an answer waits for others; None when it need not."""
    if asked is None or (term := hours(parts, kind)) is None:
        return None
    if stand(parts, asked, sender).complete:
        return None
    return asked.received_at + timedelta(hours=term)


def others(parts: Parts, record: DeliveryRecord) -> tuple[list[DeliveryRecord], bool] | None:
    """
    The deliveries of the other answers that this one carries, and whether all systems answered.

    None when a newer answer carries this one.
    """
    answer = record.message
    question = parts.store.question_from(answer.answers or "", answered_by=answer.sender)
    if question is None or hours(parts, answer.kind) is None:
        return [], True
    now = stand(parts, question)
    if now.answers and now.answers[-1].id != answer.id:
        return None
    found = [
        delivery
        for other in now.answers
        if other.id != answer.id
        for delivery in parts.store.deliveries_of(other.id)
        if delivery.receiver == record.receiver and delivery.state is not State.AFGELEVERD
    ]
    return found, now.complete


def joined(first: Bericht, rest: list[Bericht], *, complete: bool) -> Bericht:
    """One answer of all; partial ones say so in each of their parts."""
    name = first.data.antwoorden
    parts = tuple(part for bericht in (*rest, first) for part in getattr(bericht.data, name))
    if not complete:
        parts = tuple(p.model_copy(update={"extra": (*p.extra, DEEL)}) for p in parts)
    data = first.data.model_copy(update={name: parts})
    return first.model_copy(update={"data": data})
