"""
Lanes: the deliveries of one casus to one receiver, strictly in order.

In a lane only the head, its lowest delivery that is not final, may be due, under way or dead; what
comes after it is `geparkeerd`. The deadline runs from the moment a delivery becomes head.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, Text, cast, insert, select, update

from gateway.errors import NotFound
from gateway.ports import FINAL, NewDelivery, NewMessage, State
from gateway.store.engine import holding, upsert
from gateway.store.tables import Step, delivery, event, lane, message

D = delivery.c
OPEN = tuple(state for state in State if state not in FINAL)


def enqueue(sql: Connection, new: NewDelivery, *, of: str, now: datetime) -> None:
    """Put a new delivery at the end of its lane; it is due at once when nothing is before it."""
    place = upsert(sql, lane).values(key=new.lane, last=1).returning(lane.c.last)
    place = place.on_conflict_do_update(index_elements=["key"], set_={"last": lane.c.last + 1})
    row = {"lane_seq": sql.scalar(place), "message": of, "created_at": now, "changed_at": now}
    row |= {
        "attempts": 0,
        "begun": 0,
        "code": "",
        "digest": "",
        "root": "",
        "content_type": "",
        "loss": (),
    }
    queue = select(D.id).where(*_open(new.lane)).order_by(D.lane_seq.desc())
    before = sql.scalar(queue.limit(1))
    if before is None:
        row |= _head(new.deadline_hours, now, new.not_before)
    else:
        row |= {"state": State.GEPARKEERD, "reason": f"wacht op levering {before}"}
    sql.execute(insert(delivery), values(new, delivery) | row)
    if before is not None:
        log(sql, Step.GEPARKEERD, now, message=of, delivery=new.id, detail=before)


def lock(sql: Connection, delivery_id: str) -> Any:
    """A delivery, with its lane held until the commit. Raises NotFound."""
    # The lane first, as everybody does; and only then is the delivery what it is.
    mine = D.id == delivery_id
    place = select(lane).join(delivery, lane.c.key == D.lane).where(mine)
    sql.execute(holding(place, of=lane))
    if (row := sql.execute(holding(select(delivery).where(mine))).first()) is None:
        raise NotFound("Er is geen levering met dit id.")
    return row


def in_order(sql: Connection, ids: Sequence[str]) -> list[Any]:
    """Some deliveries, with their lanes held, in the order of the lanes. Raises NotFound."""
    if len(ids) > 1:
        hold(sql, sql.scalars(select(D.lane).where(D.id.in_(ids))))
    return [lock(sql, id) for id in ids]


def hold(sql: Connection, keys: Iterable[str]) -> None:
    """Hold lanes until the commit, also those that are new, in the order in which everybody does."""
    for key in sorted(keys):
        place = upsert(sql, lane).values(key=key, last=0)
        sql.execute(place.on_conflict_do_update(index_elements=["key"], set_={"last": lane.c.last}))


def release(sql: Connection, key: str, *, now: datetime) -> list[str]:
    """Make the head of a lane due if it is still parked; returns what became due."""
    queue = select(delivery).where(*_open(key)).order_by(D.lane_seq)
    head = sql.execute(queue.limit(1)).first()
    if head is None or head.state is not State.GEPARKEERD:
        return []
    change(sql, head, Step.VRIJGEGEVEN, now, **_head(head.deadline_hours, now, head.not_before))
    return [head.id]


def change(sql: Connection, row: Any, step: Step, now: datetime, **new: Any) -> None:
    """Write new values of a delivery, and the event that tells it (with `detail`)."""
    detail = new.pop("detail", "")
    sql.execute(update(delivery).where(D.id == row.id).values(changed_at=now, **new))
    log(sql, step, now, message=row.message, delivery=row.id, detail=detail)


def log(sql: Connection, step: Step, now: datetime, *, detail: str, **ids: str) -> None:
    """Write an event, in the transaction of the change it tells of."""
    sql.execute(insert(event), {"at": now, "name": step, "detail": detail, **ids})


def values(record: Any, table: Table) -> dict[str, Any]:
    """The columns of a table that the record has under the same name."""
    return {c.name: getattr(record, c.name) for c in table.c if hasattr(record, c.name)}


def supersede(sql: Connection, new: NewMessage) -> None:
    """
    What was not delivered of a message that no longer holds is not delivered any more.

    A delivery that is with a worker or lies in the postbus goes on: it may have arrived.
    """
    of = (message.c.message_id == new.replaces, message.c.signer_oin == new.signer_oin)
    found = sql.execute(select(D.id, D.lane).join_from(delivery, message).where(*of)).all()
    hold(sql, {row.lane for row in found} | {one.lane for one in new.deliveries})
    for row in (lock(sql, row.id) for row in found):
        if row.state not in (State.ONDERWEG, *FINAL):
            by = new.message_id
            retire(sql, row, f"vervangen door bericht {by}", by, new.received_at)


def retire(sql: Connection, row: Any, reason: str, by: str, now: datetime) -> None:
    """A delivery is not needed any more; the next of its lane may go."""
    gone = {"state": State.VERVALLEN, "reason": reason, "due": None}
    change(sql, row, Step.VERVALLEN, now, detail=by, **gone)
    release(sql, row.lane, now=now)


def _open(key: str) -> tuple[ColumnElement[bool], ...]:
    # No index has the text with nothing after it. So the database does not start with all that is
    # open in any lane: usually next to nothing, but not on the day that a partner is down.
    return D.lane == key, cast(D.state, Text).concat("").in_(OPEN)


def _head(hours: float, now: datetime, not_before: datetime | None = None) -> dict[str, Any]:
    start = max(now, not_before or now)
    waits = {"state": State.KLAAR, "reason": "aan de beurt"}
    if start > now:
        waits = {
            "state": State.WACHT,
            "reason": f"wordt vastgehouden tot {start:%Y-%m-%d %H:%M} UTC",
        }
    return {**waits, "due": start, "deadline": start + timedelta(hours=hours)}
