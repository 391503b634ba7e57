"""
Lanes: the deliveries of one casus to one receiver, strictly in order.

In a lane only the head, its lowest delivery that is not final, may be due, under way or dead; what
comes after it is `geparkeerd`. The deadline runs from the moment a delivery becomes head.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gateway.errors import NotFound
from gateway.ports import FINAL, NewDelivery, State
from gateway.store.engine import upsert
from gateway.store.tables import Step, delivery, event, lane

D = delivery.c
OPEN = tuple(state for state in State if state not in FINAL)


def enqueue(sql: Connection, new: NewDelivery, *, message: str, now: datetime) -> None:
    """Put a new delivery at the end of its lane; it is due at once when the lane is empty."""
    place = upsert(sql, lane).values(key=new.lane, last=1).returning(lane.c.last)
    place = place.on_conflict_do_update(index_elements=["key"], set_={"last": lane.c.last + 1})
    sequence = sql.execute(place).scalar_one()  # and the lane is ours until the commit
    before = sql.scalar(
        select(D.id)
        .where(D.lane == new.lane, D.state.in_(OPEN))
        .order_by(D.lane_seq.desc())
        .limit(1)
    )
    rest = {"message": message, "lane_seq": sequence, "attempts": 0, "loss": ()}
    rest |= {"digest": "", "root": "", "content_type": "", "created_at": now, "changed_at": now}
    parked = {"state": State.GEPARKEERD, "reason": f"wacht op levering {before}"}
    here = _head(new.deadline_hours, now) if before is None else parked
    sql.execute(insert(delivery).values(asdict(new) | {"removed": new.removed} | rest | here))
    if before is not None:
        log(sql, Step.GEPARKEERD, now, message=message, delivery=new.id, detail=before)


def lock(sql: Connection, delivery_id: str) -> Row[Any]:
    """A delivery, with its lane held until the commit. Raises NotFound."""
    held = select(delivery).join(lane, lane.c.key == D.lane).where(D.id == delivery_id)
    row = sql.execute(held.with_for_update()).first()
    if row is None:
        raise NotFound("Er is geen levering met dit id.")
    return row


def release(sql: Connection, key: str, *, now: datetime) -> list[str]:
    """Make the head of a lane due if it is still parked; returns what became due."""
    open_ones = select(delivery).where(D.lane == key, D.state.in_(OPEN))
    head = sql.execute(open_ones.order_by(D.lane_seq).limit(1)).first()
    if head is None or head.state is not State.GEPARKEERD:
        return []
    change(sql, head.id, now, **_head(head.deadline_hours, now))
    log(sql, Step.VRIJGEGEVEN, now, message=head.message, delivery=head.id)
    return [head.id]


def change(sql: Connection, delivery_id: str, now: datetime, **values: Any) -> None:
    """Write new values of a delivery."""
    sql.execute(update(delivery).where(D.id == delivery_id).values(changed_at=now, **values))


def log(
    sql: Connection,
    step: Step,
    now: datetime,
    *,
    message: str | None = None,
    delivery: str | None = None,
    detail: str = "",
) -> None:
    """Write an event in the transaction of the change it tells of."""
    row = {"at": now, "name": step, "message": message, "delivery": delivery, "detail": detail}
    sql.execute(insert(event), row)


def _head(hours: float, now: datetime) -> dict[str, Any]:
    until = now + timedelta(hours=hours)
    return {"state": State.KLAAR, "reason": "aan de beurt", "due": now, "deadline": until}
