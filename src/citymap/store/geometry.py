"""The geometry column of the reports on PostGIS, also where PostGIS came after the tables."""

from __future__ import annotations

from sqlalchemy import Connection, exc, text


def postgis(connection: Connection) -> bool:
    """Make PostGIS where the server has it and we may; whether the database has it now."""
    asked = text("SELECT count(*) FROM pg_available_extensions WHERE name = 'postgis'")
    if connection.execute(asked).scalar_one():
        try:
            with connection.begin_nested():
                connection.execute(text("CREATE EXTENSION IF NOT EXISTS postgis"))
        except exc.ProgrammingError:
            pass  # no right to: an administrator can do it later
    made = text("SELECT count(*) FROM pg_extension WHERE extname = 'postgis'")
    return bool(connection.execute(made).scalar_one())


def has_geometry(connection: Connection) -> bool:
    """Whether the table `reports` has its column `geom`."""
    asked = text(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema() "
        "AND table_name = 'reports' AND column_name = 'geom'"
    )
    return bool(connection.execute(asked).scalar_one())


def add_geometry(connection: Connection) -> bool:
    """Give the reports `geom` (Point, EPSG:6668) with its index; False where there is no PostGIS.

    The column follows `lon` and `lat` by itself; one that is there stays.
    """
    if has_geometry(connection):
        return True
    if not postgis(connection):
        return False
    connection.execute(text(
        "ALTER TABLE reports ADD COLUMN geom geometry(Point, 6668) "
        "GENERATED ALWAYS AS (ST_SetSRID(ST_MakePoint(lon, lat), 6668)) STORED"
    ))  # fmt: skip
    connection.execute(text("CREATE INDEX ix_reports_geom ON reports USING gist (geom)"))
    return True
