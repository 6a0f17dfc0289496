"""The geometry of the reports comes also where PostGIS was installed after the tables were made."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_samples import LAT, LON, body
from sqlalchemy import text
from test_desk import send

from citymap.operations import doctor
from citymap.settings import Settings
from citymap.store import Store, geometry, open_store
from citymap.workspace import Workspace


def test_postgis_that_came_later_is_taken_into_use(
    store: Store, where: str | Path, city: Workspace
) -> None:
    if not store.postgresql:
        pytest.skip("PostgreSQL only")
    with store.write() as connection:
        if not geometry.has_geometry(connection):
            pytest.skip("PostGIS is not installed beside this PostgreSQL")
        connection.execute(text("DROP EXTENSION postgis CASCADE"))
        assert not geometry.has_geometry(connection)
    send(store, city, body())  # the tables do without
    (found,) = [f for f in _findings(city, where) if f.id.startswith("geometry")]
    assert found.level == "ok"  # opening the store added it
    again = open_store(where)
    with again.read() as connection:
        lon_lat = connection.execute(text("SELECT ST_X(geom), ST_Y(geom) FROM reports")).one()
        index = connection.execute(
            text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_reports_geom'")
        ).scalar_one()
    again.close()
    assert tuple(lon_lat) == pytest.approx((LON, LAT))
    assert "gist" in index


def test_without_postgis_the_doctor_says_what_to_do(
    store: Store, where: str | Path, city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not store.postgresql:
        pytest.skip("PostgreSQL only")
    with store.write() as connection:
        connection.execute(text("DROP EXTENSION IF EXISTS postgis CASCADE"))
    monkeypatch.setattr(geometry, "postgis", lambda _: False)
    (found,) = [f for f in _findings(city, where) if f.id.startswith("geometry")]
    assert (found.id, found.level) == ("geometry", "warning")
    assert "CREATE EXTENSION postgis" in found.remedy("ja")


def _findings(city: Workspace, where: str | Path) -> list[doctor.Finding]:
    return list(doctor._store(city, Settings(city=city.root, store=str(where)), deep=False))
