"""Releases of 退避期限 to the public."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_MOMENT = sa.String(27)


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "leave_by_releases",
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("release_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("scenario", sa.String(200), nullable=False),
        sa.Column("start", _MOMENT),
        sa.Column("margin_min", sa.Float, nullable=False),
        sa.Column("mobility", sa.JSON, nullable=False),
        sa.Column("drill", sa.Boolean, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("lapses_at", _MOMENT),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_leave_by_releases"),
    )
