"""Water levels, warnings, staff's word on them, and how their feeds stand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MOMENT = sa.String(27)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "readings",
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("station_id", sa.String(128), nullable=False),
        sa.Column("observed_at", _MOMENT, nullable=False),
        sa.Column("value_m", sa.Float),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("feed", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_readings"),
    )
    op.create_index("ix_readings_station_id_observed_at", "readings", ["station_id", "observed_at"])
    op.create_index("ix_readings_received_at", "readings", ["received_at"])
    op.create_table(
        "bulletins",
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("document", sa.String(512), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("hazard", sa.String(32), nullable=False),
        sa.Column("area_code", sa.String(32), nullable=False),
        sa.Column("area_name", sa.String(128), nullable=False),
        sa.Column("level", sa.Integer),
        sa.Column("code", sa.String(8), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("info_type", sa.String(8), nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("headline", sa.Text, nullable=False),
        sa.Column("office", sa.Text, nullable=False),
        sa.Column("reported_at", _MOMENT, nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("feed", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_bulletins"),
    )
    op.create_index("ix_bulletins_area_code_reported_at", "bulletins", ["area_code", "reported_at"])
    op.create_index("ix_bulletins_document", "bulletins", ["document"])
    op.create_table(
        "live_overrides",
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("subject", sa.String(160), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("until", _MOMENT),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_live_overrides"),
    )
    op.create_index("ix_live_overrides_subject_seq", "live_overrides", ["subject", "seq"])
    op.create_table(
        "live_feeds",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("next_at", _MOMENT, nullable=False),
        sa.Column("checked_at", _MOMENT),
        sa.Column("ok_at", _MOMENT),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.Column("refused", sa.JSON, nullable=False),
        sa.Column("error", sa.JSON),
        sa.PrimaryKeyConstraint("id", name="pk_live_feeds"),
    )
