"""The tables of the store, and the types that carry our values through SQL."""

import json
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from gateway.core.repair import Act, Stage
from gateway.ports import Loss, State

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Step(StrEnum):
    """The names of events: every change in the life of a message is one of these."""

    AANGENOMEN = "aangenomen"
    GEWEIGERD = "geweigerd"
    GEPARKEERD = "geparkeerd"
    VRIJGEGEVEN = "vrijgegeven"
    AANGEBODEN = "aangeboden"
    TERUGGEGEVEN = "teruggegeven"  # claimed, but the bus did not take it
    GERENDERD = "gerenderd"
    IN_POSTBUS = "in-postbus"
    GELEZEN = "gelezen"
    AFGELEVERD = "afgeleverd"
    WACHT = "wacht"
    DOOD = "dood"
    OPNIEUW_AANGEBODEN = "opnieuw-aangeboden"
    VERVALLEN = "vervallen"
    INGETROKKEN = "ingetrokken"
    HERSTEL = "herstel"  # a repair in bulk went to another stage


class Instant(sa.TypeDecorator[datetime]):
    """An aware datetime as microseconds since 1970 UTC: exact, and in order on every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else (value - EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else EPOCH + timedelta(microseconds=value)


class Text(sa.TypeDecorator[str]):
    """A text. PostgreSQL has no room for NUL, which a sender may have written: it becomes U+FFFD."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return value and value.replace("\0", "\ufffd")


class Losses(sa.TypeDecorator[tuple[Loss, ...]]):
    """A loss account as JSON: a list of `[path, category, how, reason]`."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: tuple[Loss, ...] | None, dialect: sa.Dialect) -> str:
        return json.dumps([astuple(loss) for loss in value or ()])

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> tuple[Loss, ...]:
        return tuple(Loss(*loss) for loss in json.loads(value or "[]"))


def _words(kind: type[StrEnum]) -> sa.Enum:
    return sa.Enum(kind, native_enum=False, length=16, values_callable=list)


def _columns(kind: Any, *names: str, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=nullable) for name in names]


def _of(table: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(table, sa.ForeignKey(f"{table}.id"), **options)


def _bytes(name: str, of: str, *names: str) -> sa.Table:
    return sa.Table(name, metadata, _of(of, primary_key=True), *_columns(sa.LargeBinary, *names))


def _where(condition: str) -> dict[str, Any]:
    """Of an index: only the rows for which this is so."""
    return dict.fromkeys(("sqlite_where", "postgresql_where"), sa.text(condition))


metadata = sa.MetaData()

message = sa.Table(
    "message",
    metadata,
    sa.Column("id", Text, primary_key=True),
    *_columns(Text, "message_id", "signer_oin", "sender", "digest", "kind", "dialect", "root"),
    *_columns(Text, "conversation", "source", "grounds"),
    *_columns(Text, "house", "answers", nullable=True),
    *_columns(Instant, "received_at"),
    *_columns(sa.Date, "destroy_by"),
    *_columns(Losses, "loss"),
    # The sender's id comes first: it also serves whoever does not know the signer.
    sa.UniqueConstraint("message_id", "signer_oin", name="message_once"),
    sa.Index("message_conversation", "conversation"),
    sa.Index("message_newest", "received_at", "id"),
    sa.Index("message_sender", "sender", "received_at", "id"),
    sa.Index("message_kind", "kind", "received_at", "id"),
)

# Sealed bodies stand apart, so that the rows that workers and searches pass over stay small.
body = _bytes("body", "message", "wrapped_key", "sealed_jws", "sealed_document", "sealed_canonical")
rendered = _bytes("rendered", "delivery", "sealed")
receipt = _bytes("receipt", "message", "receipt")

# Other names of messages: ids under which they were offered again, and digests of their content.
alias = sa.Table(
    "alias",
    metadata,
    *(sa.Column(name, Text, primary_key=True) for name in ("oin", "name")),
    _of("message", nullable=False),
)

# One row a lane: its last sequence number, and the lock under which the lane changes.
lane = sa.Table(
    "lane", metadata, sa.Column("key", Text, primary_key=True), *_columns(sa.Integer, "last")
)

delivery = sa.Table(
    "delivery",
    metadata,
    sa.Column("id", Text, primary_key=True),
    _of("message", nullable=False),
    *_columns(
        Text, "receiver", "dialect", "lane", "reason", "code", "digest", "root", "content_type"
    ),
    *_columns(sa.Integer, "lane_seq", "attempts"),
    *_columns(
        sa.Integer, "begun"
    ),  # tries since the last outcome: more than one, and a worker died
    *_columns(_words(State), "state"),
    # When a worker may take it (again); for `onderweg` the end of its lease. Null: never by itself.
    *_columns(Instant, "due", "deadline", nullable=True),
    *_columns(Instant, "not_before", nullable=True),  # held until then, also behind another
    *_columns(sa.Float, "deadline_hours"),
    *_columns(sa.Boolean, "pull"),
    *_columns(Losses, "loss", "removed"),
    *_columns(Instant, "created_at", "changed_at"),
    sa.Index("delivery_message", "message"),
    sa.Index("delivery_lane", "lane", "state", "lane_seq"),
    sa.Index("delivery_due", "due"),
    sa.Index("delivery_state", "state", "created_at"),
    sa.Index("delivery_receiver", "receiver", "state", "created_at"),
    # For while a partner is left alone; of the million that are delivered it holds none.
    sa.Index("delivery_receiver_due", "receiver", "due", **_where("due IS NOT NULL")),
)

# Partners that fail, and until when they are left alone; who is well has no row.
standing = sa.Table(
    "standing",
    metadata,
    sa.Column("partner", Text, primary_key=True),
    *_columns(sa.Integer, "failures"),
    *_columns(Instant, "open_until", nullable=True),
    *_columns(Text, "probe", nullable=True),
    *_columns(Text, "reason"),
    *_columns(Instant, "since"),
)

repair = sa.Table(
    "repair",
    metadata,
    sa.Column("id", Text, primary_key=True),
    *_columns(_words(Act), "act"),
    *_columns(_words(Stage), "stage"),
    *_columns(Text, "asked_by", "motive"),
    *_columns(Text, "approved_by", nullable=True),
    *_columns(sa.Integer, "per_minute"),
    *_columns(Instant, "created_at", "next_at"),
    sa.Index("repair_stage", "stage", "next_at"),
)

# What a repair is about, as it was when it was proposed.
repair_item = sa.Table(
    "repair_item",
    metadata,
    _of("repair", primary_key=True),
    _of("delivery", primary_key=True),
    *_columns(Instant, "done_at", nullable=True),
)

attempt = sa.Table(
    "attempt",
    metadata,
    _of("delivery", primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    *_columns(Instant, "at"),
    *_columns(Text, "outcome", "code", "reason"),
    *_columns(sa.Float, "duration_ms"),
    sa.Column("status", sa.Integer),
    sa.Column("receipt", sa.LargeBinary),
)

event = sa.Table(
    "event",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    *_columns(Instant, "at"),
    *_columns(Text, "name", "detail"),
    _of("message"),  # null: a refusal, of which nothing else is stored
    _of("delivery"),
    sa.Index("event_message", "message", "id"),
)
