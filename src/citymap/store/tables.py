"""The tables of the store, for SQLite and PostgreSQL alike.

A table or column added here needs a new file in `migrations/versions`; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.types import TypeDecorator, UserDefinedType

_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"


class UtcTime(TypeDecorator[datetime]):
    """A moment as RFC 3339 text of fixed width in UTC: sorts, and reads the same in any tool."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """To text; a time without a zone is a programming error."""
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC).strftime(_FORM)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From text."""
        del dialect
        return None if value is None else datetime.strptime(value, _FORM).replace(tzinfo=UTC)


class Geometry(UserDefinedType[str]):
    """PostGIS's type, only so that it is known where tables are read back; rows leave it out."""

    cache_ok = True

    def __init__(self, *_form: object) -> None:
        """Whatever stands in its brackets does not matter here."""

    def get_col_spec(self, **_: Any) -> str:
        """Its name in SQL."""
        return "geometry"


ischema_names["geometry"] = Geometry


def now() -> datetime:
    """This moment in UTC."""
    return datetime.now(UTC)


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

FACTS = Table(  # small facts of this store, such as the key that signs session cookies
    "facts", METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)  # fmt: skip

ACCOUNTS = Table(
    "accounts", METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("password", Text),  # argon2id; null: log-in by OIDC only
    Column("oidc_subject", String(512), unique=True),  # "issuer subject"
    Column("disabled", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("password_at", UtcTime),
)  # fmt: skip

FAILURES = Table(  # of log-ins, by the hash of the name tried, whether there is such an account or not
    "failures", METADATA,
    Column("name_hash", String(64), primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("failed_at", UtcTime, nullable=False),
)  # fmt: skip

SESSIONS = Table(
    "sessions", METADATA,
    Column("id_hash", String(64), primary_key=True),  # the id itself is only in the cookie
    Column("account_id", Integer, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("revoked_at", UtcTime),
    Index("ix_sessions_account_id", "account_id"),
)  # fmt: skip

API_KEYS = Table(  # of GIS clients
    "api_keys", METADATA,
    Column("id", String(16), primary_key=True),  # the part of the key that may be shown
    Column("account_id", Integer, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("title", String(80), nullable=False),
    Column("role", String(16), nullable=False),
    Column("secret_hash", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Column("revoked_at", UtcTime),
    Index("ix_api_keys_account_id", "account_id"),
)  # fmt: skip

AUDIT = Table(
    "audit", METADATA,
    Column("seq", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(512), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("digest", String(64), nullable=False),  # of this row and the digest before it
)  # fmt: skip

JOBS = Table(
    "jobs", METADATA,
    Column("id", String(36), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("params", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("lane", String(64)),  # of the jobs of one lane only one runs at a time
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("attempt", Integer, nullable=False),  # also the fence: an old worker's writes miss
    Column("attempts", Integer, nullable=False),
    Column("worker", String(255)),
    Column("lease_s", Float, nullable=False),
    Column("beats", Integer, nullable=False),  # the heartbeat: a count, so that no clock matters
    Column("beat_at", UtcTime),
    Column("done", Float, nullable=False),
    Column("total", Float, nullable=False),
    Column("note", Text, nullable=False),
    Column("cancel", Boolean, nullable=False),
    Column("result", JSON),
    Column("error", JSON),
    Index("ix_jobs_state_created_at", "state", "created_at"),
)  # fmt: skip

JOB_LOG = Table(
    "job_log", METADATA,
    Column("seq", Integer, primary_key=True),
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Index("ix_job_log_job_id", "job_id"),
)  # fmt: skip

REPORTS = Table(  # on PostGIS the migration adds `geom`, made from lon and lat by the database
    "reports", METADATA,
    Column("id", String(36), primary_key=True),  # made on the device: sent twice, stored once
    Column("number", Integer, nullable=False, unique=True),  # for people: 「受付番号」
    Column("digest", String(64), nullable=False),  # of what was sent, photos included
    Column("category", String(40), nullable=False),
    Column("lon", Float, nullable=False),
    Column("lat", Float, nullable=False),
    Column("accuracy_m", Float),
    Column("position_source", String(16), nullable=False),
    Column("observed_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("clock_skew_s", Float, nullable=False),  # server minus device when it was sent
    Column("depth_m", Float),
    Column("severity", Integer),
    Column("text", Text, nullable=False),
    Column("contact", Text, nullable=False),
    Column("source", String(16), nullable=False),
    Column("sender", String(128), nullable=False),  # account, or a hash of the device
    Column("sender_role", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("release", String(16), nullable=False),
    Column("public_text", Text, nullable=False),
    Column("assigned_to", String(128), nullable=False),
    Column("merged_into", String(36), ForeignKey("reports.id")),
    Column("effect", String(8), nullable=False, server_default="auto"),  # on roads: auto, or off
    Column("effect_until", UtcTime),  # staff's own end of it; null: as the category says
    Column("version", Integer, nullable=False),  # of its events: two people cannot overwrite
    Column("changed_at", UtcTime, nullable=False),
    Column("redacted_at", UtcTime),
    Index("ix_reports_status_received_at", "status", "received_at"),
    Index("ix_reports_received_at", "received_at"),
    Index("ix_reports_changed_at", "changed_at"),
)  # fmt: skip

REPORT_EVENTS = Table(  # only ever added to: triggers refuse a change that is no redaction
    "report_events", METADATA,
    Column("seq", Integer, primary_key=True),
    Column("report_id", String(36), ForeignKey("reports.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("redacted", Boolean, nullable=False),
    Index("ix_report_events_report_id", "report_id"),
)  # fmt: skip

REPORT_PHOTOS = Table(
    "report_photos", METADATA,
    Column("report_id", String(36), ForeignKey("reports.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("media_type", String(32), nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("orientation", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("public_name", String(64), nullable=False),  # of the released copy; empty: not released
    Index("ix_report_photos_sha256", "sha256"),
    Index("ix_report_photos_public_name", "public_name"),
)  # fmt: skip

OPENINGS = Table(  # of shelters, only ever added to: the last row of a place counts
    "openings", METADATA,
    Column("seq", Integer, primary_key=True),
    Column("place_id", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("head_count", Integer),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Index("ix_openings_place_id_seq", "place_id", "seq"),
)  # fmt: skip

ORDERS = Table(  # of the municipality, only ever added to: the last row counts
    "orders", METADATA,
    Column("seq", Integer, primary_key=True),
    Column("mode", String(16), nullable=False),
    Column("level", Integer),
    Column("hazard", String(32), nullable=False),
    Column("districts", JSON, nullable=False),
    Column("message", JSON, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
)  # fmt: skip

READINGS = Table(  # of gauges, only ever added to; what is older than the retention is dropped whole
    "readings", METADATA,
    Column("seq", Integer, primary_key=True),
    Column("station_id", String(128), nullable=False),
    Column("observed_at", UtcTime, nullable=False),
    Column("value_m", Float),  # null: the gauge said that it has no value
    Column("received_at", UtcTime, nullable=False),
    Column("feed", String(64), nullable=False),
    Index("ix_readings_station_id_observed_at", "station_id", "observed_at"),
    Index("ix_readings_received_at", "received_at"),
)  # fmt: skip

BULLETINS = Table(  # warnings, one row an area, only ever added to: the newest of an area counts
    "bulletins", METADATA,
    Column("seq", Integer, primary_key=True),
    Column("document", String(512), nullable=False),  # what it was read from: never read twice
    Column("kind", String(16), nullable=False),  # river, or area
    Column("hazard", String(32), nullable=False),
    Column("area_code", String(32), nullable=False),
    Column("area_name", String(128), nullable=False),
    Column("level", Integer),  # 警戒レベル; null: lifted
    Column("code", String(8), nullable=False),
    Column("name", String(64), nullable=False),
    Column("info_type", String(8), nullable=False),
    Column("status", String(8), nullable=False),  # 通常, 訓練, 試験
    Column("headline", Text, nullable=False),
    Column("office", Text, nullable=False),
    Column("reported_at", UtcTime, nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("feed", String(64), nullable=False),
    Index("ix_bulletins_area_code_reported_at", "area_code", "reported_at"),
    Index("ix_bulletins_document", "document"),
)  # fmt: skip

LIVE_OVERRIDES = Table(  # staff's own word on a gauge or a warning, only ever added to
    "live_overrides", METADATA,
    Column("seq", Integer, primary_key=True),
    Column("subject", String(160), nullable=False),  # station:<id>, or warning:<hazard>:<area>
    Column("state", String(16), nullable=False),  # value, level, unknown, or none: the feed again
    Column("value", Float),
    Column("note", Text, nullable=False),
    Column("until", UtcTime),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Index("ix_live_overrides_subject_seq", "subject", "seq"),
)  # fmt: skip

LIVE_FEEDS = Table(  # how each feed stands; whoever moves `next_at` on is the one that asks it
    "live_feeds", METADATA,
    Column("id", String(64), primary_key=True),
    Column("next_at", UtcTime, nullable=False),
    Column("checked_at", UtcTime),
    Column("ok_at", UtcTime),  # last time that it answered and could be read
    Column("failures", Integer, nullable=False),  # in a row
    Column("taken", Integer, nullable=False),  # of the last answer
    Column("refused", JSON, nullable=False),  # why and how many of the last answer
    Column("error", JSON),
)  # fmt: skip

LEAVE_BY_RELEASES = Table(  # of 退避期限, only ever added to: the last row counts; no id: taken back
    "leave_by_releases", METADATA,
    Column("seq", Integer, primary_key=True),
    Column("release_id", String(32), nullable=False),
    Column("name", String(200), nullable=False),
    Column("scenario", String(200), nullable=False),
    Column("start", UtcTime),
    Column("margin_min", Float, nullable=False),
    Column("mobility", JSON, nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("lapses_at", UtcTime),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
)  # fmt: skip
