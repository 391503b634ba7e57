"""The tables of the first release. Until that is out they may change in place: decision 15."""

from alembic import op

from gateway.store.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())
