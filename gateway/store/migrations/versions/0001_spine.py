"""Messages, deliveries and their lanes, attempts, receipts and events."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def columns(kind: Any, names: str, *, nullable: bool = False) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=nullable) for name in names.split()]


def of(table: str, **options: Any) -> sa.Column[Any]:
    return sa.Column(table, sa.Text, sa.ForeignKey(f"{table}.id"), **options)


def upgrade() -> None:
    """Times are microseconds since 1970 UTC, `loss` and `removed` are JSON."""
    op.create_table(
        "message",
        sa.Column("id", sa.Text, primary_key=True),
        *columns(sa.Text, "message_id signer_oin sender digest kind dialect root"),
        *columns(sa.Text, "conversation source grounds loss"),
        *columns(sa.Text, "house answers", nullable=True),
        *columns(sa.BigInteger, "received_at"),
        *columns(sa.Date, "destroy_by"),
        sa.UniqueConstraint("message_id", "signer_oin", name="message_once"),
        sa.Index("message_conversation", "conversation"),
        sa.Index("message_newest", "received_at", "id"),
        sa.Index("message_sender", "sender", "received_at", "id"),
        sa.Index("message_kind", "kind", "received_at", "id"),
    )
    op.create_table(
        "lane", sa.Column("key", sa.Text, primary_key=True), *columns(sa.Integer, "last")
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Text, primary_key=True),
        of("message", nullable=False),
        *columns(sa.Text, "receiver dialect lane reason digest root content_type loss removed"),
        *columns(sa.Integer, "lane_seq attempts"),
        *columns(sa.String(16), "state"),
        *columns(sa.BigInteger, "due deadline", nullable=True),
        *columns(sa.BigInteger, "created_at changed_at"),
        *columns(sa.Float, "deadline_hours"),
        *columns(sa.Boolean, "pull"),
        sa.Index("delivery_message", "message"),
        sa.Index("delivery_lane", "lane", "state", "lane_seq"),
        sa.Index("delivery_due", "due"),
        sa.Index("delivery_state", "state", "created_at"),
        sa.Index("delivery_receiver", "receiver", "state", "created_at"),
    )
    for name, owner, names in (
        ("body", "message", "wrapped_key sealed_jws sealed_document sealed_canonical"),
        ("receipt", "message", "receipt"),
        ("rendered", "delivery", "sealed"),
    ):
        op.create_table(name, of(owner, primary_key=True), *columns(sa.LargeBinary, names))
    op.create_table(
        "attempt",
        of("delivery", primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        *columns(sa.BigInteger, "at"),
        *columns(sa.Text, "outcome code reason"),
        *columns(sa.Float, "duration_ms"),
        sa.Column("status", sa.Integer),
        sa.Column("receipt", sa.LargeBinary),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        *columns(sa.BigInteger, "at"),
        *columns(sa.Text, "name detail"),
        of("message"),
        of("delivery"),
        sa.Index("event_message", "message", "id"),
    )
