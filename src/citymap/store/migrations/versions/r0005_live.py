"""Openings of shelters and orders of the municipality."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_MOMENT = sa.String(27)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "openings",
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("place_id", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("head_count", sa.Integer),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_openings"),
    )
    op.create_index("ix_openings_place_id_seq", "openings", ["place_id", "seq"])
    op.create_table(
        "orders",
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("level", sa.Integer),
        sa.Column("hazard", sa.String(32), nullable=False),
        sa.Column("districts", sa.JSON, nullable=False),
        sa.Column("message", sa.JSON, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_orders"),
    )
