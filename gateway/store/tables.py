"""The tables of the store, and the types that carry our values through SQL."""

from __future__ import annotations

import json
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from gateway.ports import Loss, State

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Step(StrEnum):
    """The names of events: every change in the life of a message is one of these."""

    AANGENOMEN = "aangenomen"
    GEWEIGERD = "geweigerd"
    GEPARKEERD = "geparkeerd"
    VRIJGEGEVEN = "vrijgegeven"
    AANGEBODEN = "aangeboden"
    TERUGGEGEVEN = "teruggegeven"  # offered, but the bus did not take it
    GERENDERD = "gerenderd"
    IN_POSTBUS = "in-postbus"
    AFGELEVERD = "afgeleverd"
    WACHT = "wacht"
    DOOD = "dood"
    OPNIEUW_AANGEBODEN = "opnieuw-aangeboden"
    VERVALLEN = "vervallen"
    INGETROKKEN = "ingetrokken"


class Instant(TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970 UTC: exact, and in order on every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> int | None:
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Any) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


class Losses(TypeDecorator[tuple[Loss, ...]]):
    """A loss account as JSON: a list of `[path, category, how, reason]`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[Loss, ...] | None, dialect: Any) -> str:
        return json.dumps([astuple(loss) for loss in value or ()])

    def process_result_value(self, value: str | None, dialect: Any) -> tuple[Loss, ...]:
        return tuple(Loss(*loss) for loss in json.loads(value or "[]"))


class StateText(TypeDecorator[State]):
    """A state by its name."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Any) -> State | None:
        return None if value is None else State(value)


def _columns(kind: Any, *names: str, nullable: bool = False) -> list[Column[Any]]:
    return [Column(name, kind, nullable=nullable) for name in names]


def _owner(table: str, *, primary_key: bool = False, nullable: bool = False) -> Column[Any]:
    return Column(table, ForeignKey(f"{table}.id"), primary_key=primary_key, nullable=nullable)


metadata = MetaData()

message = Table(
    "message",
    metadata,
    Column("id", Text, primary_key=True),
    *_columns(Text, "message_id", "signer_oin", "sender", "digest", "kind", "dialect", "root"),
    *_columns(Text, "conversation", "source", "grounds"),
    *_columns(Text, "house", "answers", nullable=True),
    *_columns(Instant, "received_at"),
    *_columns(Date, "destroy_by"),
    *_columns(Losses, "loss"),
    # The sender's id comes first: it also serves searches that do not know the signer.
    UniqueConstraint("message_id", "signer_oin", name="message_once"),
    Index("message_conversation", "conversation"),
    Index("message_newest", "received_at", "id"),
    Index("message_sender", "sender", "received_at", "id"),
    Index("message_kind", "kind", "received_at", "id"),
)

# Sealed bodies stand apart, so that the rows that workers and searches pass over stay small.
body = Table(
    "body",
    metadata,
    _owner("message", primary_key=True),
    *_columns(LargeBinary, "wrapped_key", "sealed_jws", "sealed_document", "sealed_canonical"),
)

receipt = Table(
    "receipt", metadata, _owner("message", primary_key=True), *_columns(LargeBinary, "receipt")
)

# One row a lane: its last sequence number, and the lock under which a lane changes.
lane = Table("lane", metadata, Column("key", Text, primary_key=True), *_columns(Integer, "last"))

delivery = Table(
    "delivery",
    metadata,
    Column("id", Text, primary_key=True),
    _owner("message"),
    *_columns(Text, "receiver", "dialect", "lane", "reason", "digest", "root", "content_type"),
    *_columns(Integer, "lane_seq", "attempts"),
    *_columns(StateText, "state"),
    # When a worker may take it (again); for `onderweg` the end of its lease. Null: never by itself.
    *_columns(Instant, "due", "deadline", nullable=True),
    *_columns(Float, "deadline_hours"),
    *_columns(Boolean, "pull"),
    *_columns(Losses, "loss", "removed"),
    *_columns(Instant, "created_at", "changed_at"),
    Index("delivery_message", "message"),
    Index("delivery_lane", "lane", "state", "lane_seq"),
    Index("delivery_due", "due"),
    Index("delivery_state", "state", "created_at"),
    Index("delivery_receiver", "receiver", "state", "created_at"),
)

rendered = Table(
    "rendered", metadata, _owner("delivery", primary_key=True), *_columns(LargeBinary, "sealed")
)

attempt = Table(
    "attempt",
    metadata,
    _owner("delivery", primary_key=True),
    Column("number", Integer, primary_key=True),
    *_columns(Instant, "at"),
    *_columns(Text, "outcome", "code", "reason"),
    *_columns(Integer, "status", nullable=True),
    *_columns(Float, "duration_ms"),
    *_columns(LargeBinary, "receipt", nullable=True),
)

event = Table(
    "event",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    *_columns(Instant, "at"),
    *_columns(Text, "name", "detail"),
    _owner("message", nullable=True),  # null: a refusal, of which nothing is stored
    _owner("delivery", nullable=True),
    Index("event_message", "message", "id"),
)
