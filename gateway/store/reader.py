"""The reading half of the store: every question is one transaction, and locks nobody out."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Exists, Select, Text, cast, exists, func, select, tuple_, union

from gateway.errors import NotFound
from gateway.ports import (
    Bodies,
    DeliveryRecord,
    Event,
    MessageRecord,
    Query,
    Standing,
    State,
    StoredReceipt,
)
from gateway.store.engine import reading
from gateway.store.tables import (
    alias,
    attempt,
    body,
    delivery,
    event,
    message,
    receipt,
    rendered,
    standing,
)

M, D = message.c, delivery.c
MESSAGE = [M[field.name] for field in fields(MessageRecord)]
DELIVERY = [D[field.name] for field in fields(DeliveryRecord) if field.name != "message"]
EVENT = [event.c[field.name] for field in fields(Event)]
ATTEMPT = [column for column in attempt.c if column.name != "delivery"]
Rows = Select[*tuple[Any, ...]]
SEALED = [column for column in body.c if column.name != "message"]
IN_POSTBUS = (D.state == State.ONDERWEG, D.due.is_(None))


class Reader:
    """What can be asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _all(self, statement: Rows) -> Sequence[Any]:
        with reading(self._engine) as sql:
            return sql.execute(statement).all()

    def _one(self, statement: Rows) -> Any:
        return next(iter(self._all(statement.limit(1))), None)

    def _messages(self, statement: Rows) -> list[MessageRecord]:
        return [MessageRecord(*row) for row in self._all(statement)]

    def _deliveries(self, statement: Rows) -> list[DeliveryRecord]:
        rows, cut = self._all(statement), len(DELIVERY)
        return [DeliveryRecord(row[0], MessageRecord(*row[cut:]), *row[1:cut]) for row in rows]

    def _newest(self, wanted: Any, limit: int) -> list[DeliveryRecord]:
        found = _deliveries().where(wanted).order_by(D.created_at.desc())
        return self._deliveries(found.limit(limit))

    def find_receipt(self, signer_oin: str, message_id: str) -> StoredReceipt | None:
        stored = select(M.id, M.digest, receipt.c.receipt).join_from(message, receipt)
        row = self._one(stored.where(M.message_id == message_id, M.signer_oin == signer_oin))
        return StoredReceipt(*row) if row else None

    def find_named(self, oin: str, name: str) -> StoredReceipt | None:
        stored = select(M.id, M.digest, receipt.c.receipt).select_from(message.join(receipt))
        stored = stored.join(alias, alias.c.message == M.id)
        row = self._one(stored.where(alias.c.oin == oin, alias.c.name == name))
        return StoredReceipt(*row) if row else None

    def question_from(self, message_id: str, *, answered_by: str) -> MessageRecord | None:
        questions = select(*MESSAGE).where(
            M.message_id == message_id, _delivered(D.receiver, answered_by)
        )
        return next(iter(self._messages(questions.order_by(M.received_at.desc()).limit(1))), None)

    def receivers_of(self, signer_oin: str, message_id: str) -> set[str]:
        of = select(D.receiver).join_from(delivery, message)
        known = of.where(M.signer_oin == signer_oin, M.message_id == message_id)
        return {row.receiver for row in self._all(known)}

    def answers_to(self, question: MessageRecord) -> list[MessageRecord]:
        same = (M.answers == question.message_id, M.conversation == question.conversation)
        return self._messages(select(*MESSAGE).where(*same).order_by(M.received_at, M.id))

    def newest_in(self, lanes: Sequence[str]) -> MessageRecord | None:
        found = select(*MESSAGE).where(M.id.in_(select(D.message).where(D.lane.in_(lanes))))
        return next(iter(self._messages(found.order_by(M.received_at.desc()).limit(1))), None)

    def delivery(self, delivery_id: str) -> DeliveryRecord | None:
        return next(iter(self._deliveries(_deliveries().where(D.id == delivery_id))), None)

    def message(self, internal_id: str) -> MessageRecord | None:
        return next(iter(self._messages(select(*MESSAGE).where(M.id == internal_id))), None)

    def find(self, any_id: str) -> list[MessageRecord]:
        # Apart, as PostgreSQL finds no index for an "or" of these.
        names = (M.id, M.message_id, M.conversation)
        ways = (select(M.id).where(name == any_id) for name in names)
        found = union(*ways, select(D.message).where(D.id == any_id))
        return self._messages(select(*MESSAGE).where(M.id.in_(found)).order_by(M.received_at, M.id))

    def bodies(self, delivery_id: str) -> Bodies:
        joined = delivery.join(body, D.message == body.c.message).outerjoin(rendered)
        sealed = select(*SEALED, rendered.c.sealed).select_from(joined)
        if (row := self._one(sealed.where(D.id == delivery_id))) is None:
            raise NotFound("Er is geen levering met dit id.")
        return Bodies(*row)

    def in_postbus(self, partner: str, *, limit: int) -> list[DeliveryRecord]:
        lying = _deliveries().where(D.receiver == partner, *IN_POSTBUS)
        return self._deliveries(lying.order_by(D.created_at, D.id).limit(limit))

    def deliveries_of(self, internal_id: str) -> list[DeliveryRecord]:
        return self._deliveries(_deliveries().where(D.message == internal_id).order_by(D.id))

    def deliveries(self, *, state: State, limit: int) -> list[DeliveryRecord]:
        return self._newest(D.state == state, limit)

    def attempts_of(self, delivery_id: str) -> list[dict[str, Any]]:
        made = select(*ATTEMPT).where(attempt.c.delivery == delivery_id)
        return [dict(row._mapping) for row in self._all(made.order_by(attempt.c.number))]

    def events_of(self, internal_id: str) -> list[Event]:
        steps = select(*EVENT).where(event.c.message == internal_id).order_by(event.c.id)
        return [Event(*row) for row in self._all(steps)]

    def receipt_of(self, internal_id: str) -> bytes | None:
        row = self._one(select(receipt.c.receipt).where(receipt.c.message == internal_id))
        return row.receipt if row else None

    def search(self, query: Query) -> list[MessageRecord]:
        found = select(*MESSAGE).order_by(M.received_at.desc(), M.id.desc())
        for name in ("sender", "kind", "message_id", "conversation"):
            if (value := getattr(query, name)) is not None:
                found = found.where(M[name] == value)
        if query.since is not None:
            found = found.where(M.received_at >= query.since)
        if query.after is not None:
            last = message.alias()
            edge = select(last.c.received_at, last.c.id).where(last.c.id == query.after)
            found = found.where(tuple_(M.received_at, M.id) < edge.scalar_subquery())
        if query.state is State.AFGELEVERD:  # many, so look at each message from the newest
            found = found.where(_delivered(D.state, query.state))
        elif query.state is not None:  # few, so begin with them: no index has this order
            found = found.where(M.id.in_(select(D.message).where(D.state == query.state)))
            found = found.order_by(None).order_by(-M.received_at, M.id.desc())
        return self._messages(found.limit(query.limit))

    def counts(self) -> dict[tuple[str, str], int]:
        groups = select(D.receiver, D.state, func.count()).group_by(D.receiver, D.state)
        return {(row[0], str(row[1])): row[2] for row in self._all(groups)}

    def oldest_due(self) -> datetime | None:
        first: datetime | None = self._one(select(func.min(D.due)))[0]
        return first

    def standings(self) -> dict[str, Standing]:
        return {row.partner: Standing(*row) for row in self._all(select(standing))}

    def ping(self) -> None:
        self._one(select(M.id))

    def close(self) -> None:
        self._engine.dispose()


def _deliveries() -> Rows:
    return select(*DELIVERY, *MESSAGE).join_from(delivery, message)


def _delivered(column: Any, value: str) -> Exists:
    # The cast keeps SQLite from starting with all deliveries of a receiver or in a state, instead of
    # with the one or two of the message at hand. PostgreSQL sees through it, and counts.
    return exists().where(D.message == M.id, cast(column, Text) == value)
