"""Damage reports, their history and photos."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MOMENT = sa.String(27)
_KEPT = ("seq", "report_id", "at", "actor", "kind")


def upgrade() -> None:
    """Make the tables, the triggers that keep the history, and on PostGIS the geometry."""
    op.create_table(
        "reports",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("category", sa.String(40), nullable=False),
        sa.Column("lon", sa.Float, nullable=False),
        sa.Column("lat", sa.Float, nullable=False),
        sa.Column("accuracy_m", sa.Float),
        sa.Column("position_source", sa.String(16), nullable=False),
        sa.Column("observed_at", _MOMENT, nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("clock_skew_s", sa.Float, nullable=False),
        sa.Column("depth_m", sa.Float),
        sa.Column("severity", sa.Integer),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("contact", sa.Text, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("sender", sa.String(128), nullable=False),
        sa.Column("sender_role", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("release", sa.String(16), nullable=False),
        sa.Column("public_text", sa.Text, nullable=False),
        sa.Column("assigned_to", sa.String(128), nullable=False),
        sa.Column("merged_into", sa.String(36)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        sa.Column("redacted_at", _MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_reports"),
        sa.UniqueConstraint("number", name="uq_reports_number"),
        sa.ForeignKeyConstraint(["merged_into"], ["reports.id"], name="fk_reports_merged_into"),
    )
    op.create_index("ix_reports_status_received_at", "reports", ["status", "received_at"])
    op.create_index("ix_reports_received_at", "reports", ["received_at"])
    op.create_index("ix_reports_changed_at", "reports", ["changed_at"])
    op.create_table(
        "report_events",
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("report_id", sa.String(36), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(24), nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
        sa.Column("redacted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_report_events"),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="fk_report_events_report_id"),
    )
    op.create_index("ix_report_events_report_id", "report_events", ["report_id"])
    op.create_table(
        "report_photos",
        sa.Column("report_id", sa.String(36), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("media_type", sa.String(32), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("orientation", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("public_name", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("report_id", "number", name="pk_report_photos"),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name="fk_report_photos_report_id"),
    )
    op.create_index("ix_report_photos_sha256", "report_photos", ["sha256"])
    op.create_index("ix_report_photos_public_name", "report_photos", ["public_name"])
    if op.get_bind().dialect.name == "postgresql":
        _postgresql()
    else:
        _sqlite()


def _sqlite() -> None:
    changed = " OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in _KEPT)
    op.execute(
        "CREATE TRIGGER report_events_kept BEFORE UPDATE ON report_events "
        f"WHEN NOT NEW.redacted OR OLD.redacted OR {changed} "
        "BEGIN SELECT RAISE(ABORT, 'the history of a report is only added to'); END"
    )
    op.execute(
        "CREATE TRIGGER report_events_stay BEFORE DELETE ON report_events "
        "BEGIN SELECT RAISE(ABORT, 'the history of a report is only added to'); END"
    )


def _postgresql() -> None:
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in _KEPT)
    op.execute(
        "CREATE FUNCTION report_events_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF TG_OP = 'DELETE' OR NOT NEW.redacted OR OLD.redacted OR {changed} THEN "
        "RAISE EXCEPTION 'the history of a report is only added to'; END IF; RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER report_events_kept BEFORE UPDATE OR DELETE ON report_events "
        "FOR EACH ROW EXECUTE FUNCTION report_events_kept()"
    )
    postgis = sa.text("SELECT count(*) FROM pg_extension WHERE extname = 'postgis'")
    if op.get_bind().execute(postgis).scalar_one():
        op.execute(
            "ALTER TABLE reports ADD COLUMN geom geometry(Point, 6668) "
            "GENERATED ALWAYS AS (ST_SetSRID(ST_MakePoint(lon, lat), 6668)) STORED"
        )
        op.execute("CREATE INDEX ix_reports_geom ON reports USING gist (geom)")
