"""Which deliveries are taken next: the oldest due, but none for a partner that is left alone."""

import random
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, or_, select, update

from gateway.ports import Standing, State
from gateway.store.engine import holding, upsert
from gateway.store.tables import delivery, standing

D, S = delivery.c, standing.c
WAITING = (State.KLAAR, State.WACHT)
FAILED = and_(D.state == State.WACHT, D.attempts > 0)  # what is held for its day was never tried
Rows = list[Any]


def due_now(sql: Connection, *, limit: int, until: datetime, now: datetime) -> Rows:
    """At most `limit` due deliveries, locked, that nobody else is taking."""
    alone = {
        row.partner: row for row in sql.execute(select(standing).where(S.open_until.is_not(None)))
    }
    all_of = select(D.id, D.message).order_by(D.due)
    if not alone:
        return _locked(sql, all_of.where(D.due <= now), limit)
    # Each partner apart: what is due for those left alone may be all there is, and is passed over.
    found: Rows = []
    for partner in _shuffled(sql):
        of = all_of.where(D.receiver == partner, D.due.is_not(None))
        if partner not in alone:
            found += _locked(sql, of.where(D.due <= now), limit - len(found))
        elif alone[partner].open_until <= now:
            found += _probe(sql, of.where(or_(D.due <= now, FAILED)), partner, until)
        if len(found) >= limit:
            break
    return found


def _locked(sql: Connection, due: Any, limit: int) -> Rows:
    return list(sql.execute(holding(due.limit(limit), free=True)))


def _probe(sql: Connection, due: Any, partner: str, until: datetime) -> Rows:
    """
    One delivery to ask with: one that failed little, as it may not be the partner that is ill.

    It may be one whose next try lies hours ahead: the partner may be back long before.
    """
    mine = select(S.partner).where(S.partner == partner)
    if sql.scalar(holding(mine, free=True)) is None:
        return []
    rows = _locked(sql, due.order_by(None).order_by(D.attempts, D.due), 1)
    for row in rows:
        asked = {"probe": row.id, "open_until": until}
        sql.execute(update(standing).where(S.partner == partner).values(asked))
    return rows


def _shuffled(sql: Connection) -> list[str]:
    """The partners there are deliveries for, by skipping through the index; in any order."""
    found = list(_receivers(sql))
    random.shuffle(found)  # so that no partner is always first
    return found


def _receivers(sql: Connection) -> Iterator[str]:
    last = ""
    while (following := sql.scalar(_after(last))) is not None:
        yield following
        last = following


def _after(name: str) -> Any:
    return (
        select(D.receiver)
        .where(D.receiver > name, D.due.is_not(None))
        .order_by(D.receiver)
        .limit(1)
    )


def left_alone() -> ColumnElement[bool]:
    """Whether a delivery must not be tried now, as its receiver is left alone."""
    return exists().where(
        S.partner == D.receiver, S.open_until.is_not(None), S.probe.is_distinct_from(D.id)
    )


def keep(sql: Connection, new: Standing) -> None:
    """Write how a partner stands."""
    row = asdict(new)
    statement = upsert(sql, standing).values(row)
    sql.execute(statement.on_conflict_do_update(index_elements=["partner"], set_=row))


def alive(sql: Connection, partner: str, now: datetime) -> None:
    """A partner answered: what waits because it failed may go at once."""
    gone = delete(standing).where(S.partner == partner).returning(S.open_until)
    if sql.execute(gone).scalar() is None:
        return
    # What another holds is changing already, and its holder may want one that is held here.
    failed = holding(select(D.id).where(D.receiver == partner, FAILED, D.due > now), free=True)
    sql.execute(update(delivery).where(D.id.in_(failed)).values(due=now))
