"""What can be asked of the store. Every question is one transaction that locks nobody out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Row, Select, exists, func, select, tuple_, union

from gateway.errors import NotFound
from gateway.ports import (
    Bodies,
    DeliveryRecord,
    Event,
    MessageRecord,
    Query,
    State,
    StoredReceipt,
)
from gateway.store.engine import translated
from gateway.store.tables import attempt, body, delivery, event, message, receipt, rendered

M, D = message.c, delivery.c
MESSAGE = [M[field.name] for field in fields(MessageRecord)]
DELIVERY = [D[field.name] for field in fields(DeliveryRecord) if field.name != "message"]
ATTEMPT = [c for c in attempt.c if c.name != "delivery"]
BODIES = [body.c.wrapped_key, body.c.sealed_jws, body.c.sealed_document, body.c.sealed_canonical]


class Reader:
    """The half of the store that only reads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def _all(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        with translated(), self._engine.begin() as sql:
            return sql.execute(statement).all()

    def _first(self, statement: Select[Any]) -> Row[Any] | None:
        return next(iter(self._all(statement.limit(1))), None)

    def _messages(self, statement: Select[Any]) -> list[MessageRecord]:
        return [_message(row) for row in self._all(statement)]

    def _deliveries(self, statement: Select[Any]) -> list[DeliveryRecord]:
        return [
            DeliveryRecord(message=_message(row), **{c.name: row._mapping[c] for c in DELIVERY})
            for row in self._all(statement)
        ]

    def find_receipt(self, signer_oin: str, message_id: str) -> StoredReceipt | None:
        row = self._first(
            select(M.id, M.digest, receipt.c.receipt)
            .join_from(message, receipt)
            .where(M.message_id == message_id, M.signer_oin == signer_oin)
        )
        return StoredReceipt(*row) if row else None

    def question_from(self, message_id: str, *, answered_by: str) -> MessageRecord | None:
        asked = exists().where(D.message == M.id, D.receiver == answered_by)
        questions = select(*MESSAGE).where(M.message_id == message_id, asked)
        return next(iter(self._messages(questions.order_by(M.received_at.desc()).limit(1))), None)

    def delivery(self, delivery_id: str) -> DeliveryRecord | None:
        return next(iter(self._deliveries(_select_deliveries().where(D.id == delivery_id))), None)

    def message(self, internal_id: str) -> MessageRecord | None:
        return next(iter(self._messages(select(*MESSAGE).where(M.id == internal_id))), None)

    def find(self, any_id: str) -> list[MessageRecord]:
        ids = union(
            *(select(M.id).where(column == any_id) for column in (M.id, M.message_id)),
            select(M.id).where(M.conversation == any_id),
            select(D.message).where(D.id == any_id),
        )
        return self._messages(select(*MESSAGE).where(M.id.in_(ids)).order_by(M.received_at, M.id))

    def bodies(self, delivery_id: str) -> Bodies:
        joined = delivery.join(body, D.message == body.c.message).outerjoin(rendered)
        statement = select(*BODIES, rendered.c.sealed).select_from(joined)
        row = self._first(statement.where(D.id == delivery_id))
        return Bodies(*_found(row))

    def message_bodies(self, internal_id: str) -> Bodies:
        row = self._first(select(*BODIES).where(body.c.message == internal_id))
        return Bodies(*_found(row), sealed_rendered=None)

    def in_postbus(self, partner: str, *, limit: int) -> list[DeliveryRecord]:
        lying = _select_deliveries().where(
            D.receiver == partner, D.state == State.ONDERWEG, D.due.is_(None)
        )
        return self._deliveries(lying.order_by(D.created_at, D.id).limit(limit))

    def deliveries_of(self, internal_id: str) -> list[DeliveryRecord]:
        return self._deliveries(_select_deliveries().where(D.message == internal_id).order_by(D.id))

    def deliveries(self, *, state: State | None, limit: int) -> list[DeliveryRecord]:
        """Newest first. (`received_at` is the same moment as `created_at`, on another index.)"""
        newest = _select_deliveries().order_by(D.created_at if state else M.received_at)
        newest = newest.where(D.state == state) if state else newest
        return self._deliveries(newest.limit(limit))

    def attempts_of(self, delivery_id: str) -> list[dict[str, Any]]:
        made = select(*ATTEMPT).where(attempt.c.delivery == delivery_id)
        return [dict(row._mapping) for row in self._all(made.order_by(attempt.c.number))]

    def events_of(self, internal_id: str) -> list[Event]:
        columns = [event.c[field.name] for field in fields(Event)]
        steps = select(*columns).where(event.c.message == internal_id).order_by(event.c.id)
        return [Event(*row) for row in self._all(steps)]

    def receipt_of(self, internal_id: str) -> bytes | None:
        row = self._first(select(receipt.c.receipt).where(receipt.c.message == internal_id))
        return row[0] if row else None

    def search(self, query: Query) -> list[MessageRecord]:
        found = select(*MESSAGE).order_by(M.received_at.desc(), M.id.desc()).limit(query.limit)
        for name in ("sender", "kind", "message_id", "conversation"):
            if (value := getattr(query, name)) is not None:
                found = found.where(M[name] == value)
        if query.since is not None:
            found = found.where(M.received_at >= query.since)
        if query.after is not None:
            last = message.alias()
            edge = select(last.c.received_at, last.c.id).where(last.c.id == query.after)
            found = found.where(tuple_(M.received_at, M.id) < edge.scalar_subquery())
        if query.state is not None or query.receiver is not None:
            wanted = [
                column == value
                for column, value in ((D.receiver, query.receiver), (D.state, query.state))
                if value is not None
            ]
            # Nearly all deliveries are `afgeleverd`: walk the messages from the newest and look
            # at each. Those in any other state are few: start from them.
            if query.state in (None, State.AFGELEVERD):
                found = found.where(exists().where(D.message == M.id, *wanted))
            else:
                found = found.where(M.id.in_(select(D.message).where(*wanted)))
        return self._messages(found)

    def counts(self) -> dict[tuple[str, str], int]:
        per = select(D.receiver, D.state, func.count()).group_by(D.receiver, D.state)
        return {(receiver, str(state)): number for receiver, state, number in self._all(per)}

    def oldest_due(self) -> datetime | None:
        waiting = D.due.is_not(None), D.state.in_((State.KLAAR, State.WACHT))
        row = self._first(select(D.due).where(*waiting).order_by(D.due))
        return row[0] if row else None

    def ping(self) -> None:
        self._first(select(M.id))

    def close(self) -> None:
        self._engine.dispose()


def _select_deliveries() -> Select[Any]:
    return select(*DELIVERY, *MESSAGE).join_from(delivery, message)


def _message(row: Row[Any]) -> MessageRecord:
    return MessageRecord(*(row._mapping[column] for column in MESSAGE))


def _found(row: Row[Any] | None) -> Row[Any]:
    if row is None:
        raise NotFound("Er is geen bericht of levering met dit id.")
    return row
