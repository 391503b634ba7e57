"""The writing half of the store: accepting messages, and the life of their deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from gateway.errors import DeadlinePassed, StoreUnavailable
from gateway.ports import FINAL, Loss, NewMessage, Outcome, State, StoredReceipt
from gateway.store import lanes
from gateway.store.engine import translated, writer
from gateway.store.reader import Reader
from gateway.store.tables import Step, attempt, body, delivery, message, receipt, rendered

D = delivery.c

STEPS = {
    State.ONDERWEG: Step.IN_POSTBUS,
    State.WACHT: Step.WACHT,
    State.DOOD: Step.DOOD,
    State.AFGELEVERD: Step.AFGELEVERD,
    State.VERVALLEN: Step.VERVALLEN,
    State.INGETROKKEN: Step.INGETROKKEN,
}
"""What a try of a delivery can come to, and the event that tells it."""


class SqlStore(Reader):
    """The Store port on a relational database."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._writer = writer(engine)

    def accept(self, message: NewMessage) -> StoredReceipt | None:
        try:
            with translated(), self._writer.begin() as sql:
                _insert(sql, message)
        except StoreUnavailable as error:
            first = None
            if isinstance(error.__cause__, IntegrityError):
                first = self.find_receipt(message.signer_oin, message.message_id)
            if first is None:
                raise
            return first
        return None

    def refused(self, *, sender: str, code: str, digest: str, at: datetime) -> None:
        detail = f"{code} afzender={sender} digest={digest}"
        with translated(), self._writer.begin() as sql:
            lanes.log(sql, Step.GEWEIGERD, at, detail=detail)

    def claim(self, *, limit: int, lease_s: float, now: datetime) -> list[str]:
        due = select(D.id, D.message).where(D.due <= now).order_by(D.due).limit(limit)
        with translated(), self._writer.begin() as sql:
            rows = sql.execute(due.with_for_update(skip_locked=True)).all()
            until = now + timedelta(seconds=lease_s)
            for row in rows:
                lanes.change(sql, row.id, now, state=State.ONDERWEG, due=until)
                lanes.log(sql, Step.AANGEBODEN, now, message=row.message, delivery=row.id)
        return [row.id for row in rows]

    def unclaim(self, ids: Sequence[str], *, now: datetime) -> None:
        claimed = D.id.in_(ids), D.state == State.ONDERWEG, D.due.is_not(None)
        with translated(), self._writer.begin() as sql:
            for row in sql.execute(select(D.id, D.message).where(*claimed)).all():
                lanes.change(sql, row.id, now, state=State.KLAAR, due=now)
                lanes.log(sql, Step.TERUGGEGEVEN, now, message=row.message, delivery=row.id)

    def renew(self, delivery_id: str, *, lease_s: float, now: datetime) -> bool:
        offered = D.id == delivery_id, D.state == State.ONDERWEG, D.due.is_not(None)
        lease = update(delivery).where(*offered).values(due=now + timedelta(seconds=lease_s))
        with translated(), self._writer.begin() as sql:
            return sql.execute(lease).rowcount == 1

    def save_rendered(
        self,
        delivery_id: str,
        *,
        sealed: bytes,
        digest: str,
        root: str,
        content_type: str,
        loss: tuple[Loss, ...],
        now: datetime,
    ) -> None:
        about = {"digest": digest, "root": root, "content_type": content_type, "loss": loss}
        with translated(), self._writer.begin() as sql:
            row = lanes.lock(sql, delivery_id)
            if row.digest:
                raise ValueError("a delivery is rendered once")
            lanes.change(sql, delivery_id, now, **about)
            sql.execute(insert(rendered), {"delivery": delivery_id, "sealed": sealed})
            lanes.log(sql, Step.GERENDERD, now, message=row.message, delivery=delivery_id)

    def settle(self, delivery_id: str, outcome: Outcome, *, now: datetime) -> list[str]:
        step = STEPS[outcome.state]
        with translated(), self._writer.begin() as sql:
            row = lanes.lock(sql, delivery_id)
            if step is Step.IN_POSTBUS and not row.pull:
                raise ValueError("only a pull delivery lies in the postbus")
            tries = row.attempts + 1
            made = {"delivery": delivery_id, "number": tries, "at": now, "outcome": outcome.state}
            sql.execute(insert(attempt), _values(outcome, attempt) | made)
            if row.state in FINAL:
                lanes.change(sql, delivery_id, now, attempts=tries)
                return []
            due = (outcome.due or now) if outcome.state is State.WACHT else None
            new = {"state": outcome.state, "reason": outcome.reason, "due": due, "attempts": tries}
            lanes.change(sql, delivery_id, now, **new)
            ids = {"message": row.message, "delivery": delivery_id}
            lanes.log(sql, step, now, **ids, detail=outcome.code)
            return lanes.release(sql, row.lane, now=now) if outcome.state in FINAL else []

    def requeue(self, delivery_id: str, *, actor: str, now: datetime) -> bool:
        with translated(), self._writer.begin() as sql:
            row = lanes.lock(sql, delivery_id)
            if row.state is not State.DOOD:
                return False
            ids = {"message": row.message, "delivery": delivery_id}
            lanes.log(sql, Step.OPNIEUW_AANGEBODEN, now, **ids, detail=actor)
            lanes.change(
                sql, delivery_id, now, state=State.GEPARKEERD, reason="wacht op zijn beurt"
            )
            lanes.release(sql, row.lane, now=now)  # nearly always itself: the dead one was the head
            return True

    def expire(self, *, now: datetime) -> list[str]:
        lying = D.state == State.ONDERWEG, D.due.is_(None), D.deadline <= now
        passed = DeadlinePassed("Niet binnen de termijn uit de postbus gehaald.")
        with translated(), self._writer.begin() as sql:
            rows = sql.execute(select(D.id, D.message).where(*lying)).all()
            for row in rows:
                lanes.change(sql, row.id, now, state=State.DOOD, reason=passed.reason())
                ids = {"message": row.message, "delivery": row.id}
                lanes.log(sql, Step.DOOD, now, **ids, detail=passed.code)
        return [row.id for row in rows]


def _insert(sql: Connection, new: NewMessage) -> None:
    owner = {"message": new.id}
    sql.execute(insert(message), _values(new, message))
    sql.execute(insert(body), _values(new, body) | owner)
    sql.execute(insert(receipt), _values(new, receipt) | owner)
    lanes.log(sql, Step.AANGENOMEN, new.received_at, **owner, detail=new.kind)
    for one in sorted(new.deliveries, key=lambda delivery: delivery.lane):
        # In the order of the lanes' keys: two messages that share lanes never wait in a circle.
        lanes.enqueue(sql, one, message=new.id, now=new.received_at)


def _values(record: Any, table: Table) -> dict[str, Any]:
    """The columns of a table that the record has under the same name."""
    return {c.name: getattr(record, c.name) for c in table.c if hasattr(record, c.name)}
