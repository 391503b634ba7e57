"""The writing half of the store: accepting messages, and the life of their deliveries."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from gateway.errors import DeadlinePassed, StoreUnavailable
from gateway.ports import (
    FINAL,
    DeliveryRecord,
    NewMessage,
    Outcome,
    Rendered,
    Standing,
    State,
    StoredReceipt,
)
from gateway.store.claims import WAITING, alive, due_now, keep, left_alone
from gateway.store.engine import holding, upsert, writing
from gateway.store.lanes import (
    change,
    enqueue,
    in_order,
    lock,
    log,
    release,
    retire,
    supersede,
    values,
)
from gateway.store.reader import IN_POSTBUS, Rows
from gateway.store.repairs import RepairStore, revive, withdraw
from gateway.store.tables import Step, alias, attempt, body, delivery, message, receipt, rendered

D = delivery.c
LEASED = (D.state == State.ONDERWEG, D.due.is_not(None))


class SqlStore(RepairStore):
    """The Store port on a relational database."""

    def accept(self, message: NewMessage) -> StoredReceipt | None:
        try:
            with writing(self._engine) as sql:
                _insert(sql, message)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, IntegrityError):
                known = (self.find_named(message.signer_oin, name) for name in message.names)
                first = self.find_receipt(message.signer_oin, message.message_id)
                if first := first or next(filter(None, known), None):
                    return first
            raise  # unless the rule that was broken is "an id is used once"
        return None

    def add_name(self, oin: str, name: str, message: str) -> None:
        with writing(self._engine) as sql:
            row = upsert(sql, alias).values(oin=oin, name=name, message=message)
            sql.execute(row.on_conflict_do_nothing())

    def refused(self, *, sender: str, code: str, digest: str, at: datetime) -> None:
        with writing(self._engine) as sql:
            log(sql, Step.GEWEIGERD, at, detail=f"{code} afzender={sender} digest={digest}")

    def claim(self, *, limit: int, lease_s: float, now: datetime) -> list[str]:
        until = now + timedelta(seconds=lease_s)
        with writing(self._engine) as sql:
            rows = due_now(sql, limit=limit, until=until, now=now)
            for row in rows:
                change(sql, row, Step.AANGEBODEN, now, state=State.ONDERWEG, due=until)
        return [row.id for row in rows]

    def unclaim(self, ids: Sequence[str], *, now: datetime) -> None:
        held = select(D.id, D.message).where(D.id.in_(ids), *LEASED)
        self._change_all(held, Step.TERUGGEGEVEN, now, state=State.KLAAR, due=now)

    def renew(self, ids: Sequence[str], *, lease_s: float, now: datetime) -> bool:
        lease = update(delivery).values(due=now + timedelta(seconds=lease_s))
        mine: tuple[Any, ...] = (D.id.in_(ids), *LEASED)
        if len(ids) > 1:  # who holds one of them may want another that is held here
            mine = (D.id.in_(holding(select(D.id).where(*mine), free=True)),)
        with writing(self._engine) as sql:
            return sql.execute(lease.where(*mine)).rowcount == len(ids)

    def begin(self, delivery_id: str, *, lease_s: float, now: datetime) -> int:
        mine = (D.id == delivery_id, *LEASED)
        lease = {"due": now + timedelta(seconds=lease_s), "begun": D.begun + 1}
        taken = update(delivery).values(lease).where(*mine, ~left_alone()).returning(D.begun)
        with writing(self._engine) as sql:
            begun: int | None = sql.scalar(taken)
            if begun is None:  # gone on, or to wait for its receiver
                back = select(D.id, D.message).where(*mine)
                self._change_all_in(sql, back, Step.TERUGGEGEVEN, now, state=State.KLAAR, due=now)
        return begun or 0

    def put_standing(self, standing: Standing) -> None:
        with writing(self._engine) as sql:
            keep(sql, standing)

    def save_rendered(
        self,
        delivery_id: str,
        made: Rendered,
        *,
        sealed: bytes,
        digest: str,
        now: datetime,
        carries: Sequence[str] = (),
    ) -> bool:
        with writing(self._engine) as sql:
            row, *carried = in_order(sql, (delivery_id, *carries))
            if row.digest:
                raise ValueError("a delivery is rendered once")
            if any(other.state in FINAL or other.digest for other in (row, *carried)):
                return False
            change(sql, row, Step.GERENDERD, now, digest=digest, **values(made, delivery))
            sql.execute(insert(rendered), {"delivery": delivery_id, "sealed": sealed})
            for other in carried:
                retire(sql, other, f"samengevoegd met levering {delivery_id}", delivery_id, now)
        return True

    def settle(self, delivery_id: str, outcome: Outcome, *, now: datetime) -> list[str]:
        state = outcome.state
        step = Step.IN_POSTBUS if state is State.ONDERWEG else Step(state)
        with writing(self._engine) as sql:
            row = lock(sql, delivery_id)
            if step is Step.IN_POSTBUS and not row.pull:
                raise ValueError("only a pull delivery lies in the postbus")
            tries = row.attempts + 1
            made = {"delivery": delivery_id, "number": tries, "at": now, "outcome": state}
            sql.execute(insert(attempt), made | values(outcome, attempt))
            made_up = update(delivery).where(D.id == delivery_id)
            sql.execute(made_up.values(attempts=tries, begun=0))
            if outcome.status is not None:
                alive(sql, row.receiver, now)
            if row.state in FINAL:
                return []
            change(sql, row, step, now, detail=outcome.code, **values(outcome, delivery))
            return release(sql, row.lane, now=now) if state in FINAL else []

    def note_reading(self, record: DeliveryRecord, *, how: str, now: datetime) -> None:
        with writing(self._engine) as sql:
            ids = {"message": record.message.id, "delivery": record.id}
            log(sql, Step.GELEZEN, now, detail=f"{record.receiver}: {how}", **ids)

    def requeue(self, delivery_id: str, *, actor: str, now: datetime) -> bool:
        with writing(self._engine) as sql:
            return revive(sql, lock(sql, delivery_id), actor, now)

    def drop(self, delivery_id: str, *, actor: str, motive: str, now: datetime) -> bool:
        with writing(self._engine) as sql:
            return withdraw(sql, lock(sql, delivery_id), actor, motive, now)

    def expire(self, *, now: datetime) -> list[str]:
        passed = DeadlinePassed("Binnen de termijn niet afgeleverd of opgehaald.")
        dead = {"state": State.DOOD, "reason": passed.reason(), "code": passed.code}
        untried = or_(and_(*IN_POSTBUS), and_(D.state.in_(WAITING), left_alone()))
        late = select(D.id, D.message).where(D.deadline <= now, untried)
        return self._change_all(late, Step.DOOD, now, detail=passed.code, **dead)

    def _change_all(self, rows: Rows, step: Step, now: datetime, **new: Any) -> list[str]:
        """Change what is found and nobody else is changing; returns the ids."""
        with writing(self._engine) as sql:
            return self._change_all_in(sql, rows, step, now, **new)

    @staticmethod
    def _change_all_in(
        sql: Connection, rows: Rows, step: Step, now: datetime, **new: Any
    ) -> list[str]:
        found = sql.execute(holding(rows, free=True)).all()
        for row in found:
            change(sql, row, step, now, **new)
        return [row.id for row in found]


def _insert(sql: Connection, new: NewMessage) -> None:
    sql.execute(insert(message), values(new, message))
    for table in (body, receipt):
        sql.execute(insert(table), {"message": new.id, **values(new, table)})
    for name in sorted(new.names):  # as with lanes: nobody then waits in a circle
        sql.execute(insert(alias), {"oin": new.signer_oin, "name": name, "message": new.id})
    log(sql, Step.AANGENOMEN, new.received_at, message=new.id, detail=new.kind)
    if new.replaces:
        supersede(sql, new)
    # In the order of the lanes: two messages that share lanes then never wait in a circle.
    for one in sorted(new.deliveries, key=lambda one: one.lane):
        enqueue(sql, one, of=new.id, now=new.received_at)
