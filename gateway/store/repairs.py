"""Repairs of dead deliveries: what they are about, and how far they are."""

import math
import operator
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, func, insert, literal, select, update

from gateway.core.repair import Act, Group, Repair, Selection, Stage
from gateway.ports import DeliveryRecord, State
from gateway.store.engine import holding, writing
from gateway.store.lanes import change, in_order, log, release
from gateway.store.reader import Reader
from gateway.store.tables import Step, delivery, message, repair, repair_item

D, R, I = delivery.c, repair.c, repair_item.c
REQUEUED = {"state": State.GEPARKEERD, "reason": "wacht op zijn beurt", "code": ""}


class RepairStore(Reader):
    """The half of the store that mends."""

    def dead_groups(self, selection: Selection) -> list[Group]:
        what = (D.receiver, message.c.kind, D.code)
        counted = select(*what, func.count(), func.min(D.changed_at)).select_from(
            delivery.join(message)
        )
        counted = counted.where(_chosen(selection)).group_by(*what)
        return [Group(*row) for row in self._all(counted.order_by(func.count().desc(), *what))]

    def dead(self, selection: Selection, *, limit: int) -> list[DeliveryRecord]:
        return self._newest(_chosen(selection), limit)

    def add_repair(self, new: Repair, selection: Selection, *, alone: int) -> Repair | None:
        columns = {c.name for c in repair.c}
        row = {key: value for key, value in asdict(new).items() if key in columns}
        chosen = select(literal(new.id), D.id).select_from(delivery.join(message))
        with writing(self._engine) as sql:
            sql.execute(insert(repair), {**row, "next_at": new.created_at})
            found = insert(repair_item).from_select(
                ["repair", "delivery"], chosen.where(_chosen(selection))
            )
            sql.execute(found)
            count = sql.scalar(select(func.count()).where(I.repair == new.id)) or 0
            if not count:
                sql.rollback()
                return None
            # By what was fixed just now, not by a count from before.
            kept = replace(new, stage=Stage.RUNNING if count <= alone else new.stage, total=count)
            sql.execute(update(repair).where(R.id == new.id).values(stage=kept.stage))
            _told(sql, new.id, kept.stage, new.asked_by, new.created_at)
        return kept

    def repairs(self, *, limit: int) -> list[Repair]:
        def of(*more: Any) -> Any:
            return select(func.count()).where(I.repair == R.id, *more).scalar_subquery()

        names = [repair.c[name] for name in Repair.__slots__ if name in repair.c]
        found = select(*names, of(), of(I.done_at.is_not(None))).order_by(R.created_at.desc())
        return [Repair(*row) for row in self._all(found.limit(limit))]

    def move_repair(
        self, id: str, stage: Stage, *, of: Sequence[Stage], by: str, now: datetime
    ) -> bool:
        new: dict[str, Any] = {"stage": stage, "next_at": now}
        if Stage.PROPOSED in of and stage is Stage.RUNNING:
            new["approved_by"] = by
        moved = update(repair).where(R.id == id, R.stage.in_(of)).values(new)
        with writing(self._engine) as sql:
            if not sql.execute(moved).rowcount:
                return False
            _told(sql, id, stage, by, now)
        return True

    def advance_repair(self, *, seconds: float, now: datetime) -> int:
        running = select(repair).where(R.stage == Stage.RUNNING, R.next_at <= now)
        with writing(self._engine) as sql:
            first = holding(running.order_by(R.next_at).limit(1), free=True)
            one = sql.execute(first).first()
            if one is None:
                return 0
            many = math.ceil(one.per_minute * seconds / 60)
            left = (I.repair == one.id, I.done_at.is_(None))
            todo = select(I.delivery).join(delivery).where(*left).order_by(D.lane, D.lane_seq)
            found = list(sql.scalars(todo.limit(many)))
            actor = f"herstel {one.id}: {one.asked_by}" + (
                f", akkoord {one.approved_by}" if one.approved_by else ""
            )
            for row in in_order(sql, found):
                if one.act is Act.REQUEUE:
                    revive(sql, row, actor, now)
                else:
                    withdraw(sql, row, actor, one.motive, now)
                done = update(repair_item).where(I.repair == one.id, I.delivery == row.id)
                sql.execute(done.values(done_at=now))
            new: dict[str, Any] = {"next_at": now + timedelta(minutes=len(found) / one.per_minute)}
            if len(found) < many:
                new["stage"] = Stage.DONE
                _told(sql, one.id, Stage.DONE, "de gateway", now)
            sql.execute(update(repair).where(R.id == one.id).values(new))
        return len(found)


def revive(sql: Connection, row: Any, actor: str, now: datetime) -> bool:
    """A dead delivery waits for its turn again, and has it when nothing is before it."""
    if row.state is not State.DOOD:
        return False
    change(sql, row, Step.OPNIEUW_AANGEBODEN, now, detail=actor, **REQUEUED)
    release(sql, row.lane, now=now)  # nearly always itself: a dead one is the head
    return True


def withdraw(sql: Connection, row: Any, actor: str, motive: str, now: datetime) -> bool:
    """A dead delivery is given up for good; the next of its lane may go."""
    if row.state is not State.DOOD:
        return False
    gone = {"state": State.VERVALLEN, "reason": f"opgegeven: {motive}", "due": None}
    change(sql, row, Step.VERVALLEN, now, detail=actor, **gone)
    release(sql, row.lane, now=now)
    return True


def _chosen(selection: Selection) -> Any:
    wanted = (
        (D.receiver, operator.eq, selection.receiver),
        (message.c.kind, operator.eq, selection.kind),
        (D.code, operator.eq, selection.code),
        (D.changed_at, operator.ge, selection.since),
        (D.changed_at, operator.le, selection.until),
    )
    narrow = (test(column, value) for column, test, value in wanted if value is not None)
    return and_(D.state == State.DOOD, *narrow)


def _told(sql: Connection, id: str, stage: Stage, by: str, now: datetime) -> None:
    log(sql, Step.HERSTEL, now, detail=f"{id} {stage} door {by}")
