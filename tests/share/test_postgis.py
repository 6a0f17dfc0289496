"""Views in a real PostGIS: the same features, for a role that can read them and do nothing else."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import shapely

import ogc_service
import postgres_server
from citymap.errors import BadInputError
from citymap.share.postgis import push, view_name
from citymap.workspace import Workspace

psycopg = pytest.importorskip("psycopg")
VIEWS = {"buildings": 30, "exposure_combined": 30, "hazard_river_l2": 2, "shelters": 3}


@pytest.fixture(scope="module")
def server() -> Iterator[postgres_server.Server]:
    yield from postgres_server.or_skip()


@pytest.fixture
def url(server: postgres_server.Server) -> str:
    address = server.database(f"t{uuid.uuid4().hex[:12]}")
    with psycopg.connect(address, autocommit=True) as connection:
        there = connection.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'"
        ).fetchone()
    if there is None:
        pytest.skip("PostGIS is not installed")
    return address


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return ogc_service.make(tmp_path_factory.mktemp("pushed") / "city")


def asked(url: str, question: str, role: str = "") -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        if role:
            connection.execute(f"SET ROLE {role}")
        return connection.execute(question).fetchall()


def test_every_layer_is_a_view_with_the_same_features(city: Workspace, url: str) -> None:
    done = push(city, url, role="gis_a")
    assert {one.view: one.rows for one in done} == VIEWS
    for view, count in VIEWS.items():
        assert asked(url, f"SELECT count(*) FROM citymap.{view}", "gis_a") == [(count,)]  # noqa: S608
    original = pq.read_table(city.buildings)
    found = asked(
        url, "SELECT gml_id, usage, measured_height_m, risks->0->>'name', ST_SRID(geometry), ST_AsBinary(geometry) "
        "FROM citymap.buildings ORDER BY fid", "gis_a",
    )  # fmt: skip
    assert [row[0] for row in found] == original["gml_id"].to_pylist()
    assert [row[1] for row in found] == original["usage"].to_pylist()
    assert [row[2] for row in found] == original["measured_height_m"].to_pylist()
    assert found[0][3] == "みどり川"
    assert {row[4] for row in found} == {6668}
    here = shapely.from_wkb([bytes(row[5]) for row in found])  # type: ignore[call-overload]
    assert shapely.equals(here, shapely.from_wkb(original["geometry"].to_pylist())).all()
    places = asked(url, "SELECT place_id FROM citymap.shelters WHERE geometry IS NULL", "gis_a")
    assert places == [("s3",)]


def test_the_role_reads_the_views_and_nothing_else(city: Workspace, url: str) -> None:
    push(city, url, role="gis_b")
    (table,) = next(
        iter(asked(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'citymap_data'"))
    )
    for refused in (
        "DELETE FROM citymap.buildings", "UPDATE citymap.buildings SET name = 'x'",
        "INSERT INTO citymap.shelters (name) VALUES ('x')", f"SELECT * FROM citymap_data.{table}",  # noqa: S608
        "CREATE TABLE citymap.mine (a int)", "DROP VIEW citymap.buildings",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            asked(url, refused, "gis_b")
    columns = {
        r[0]
        for r in asked(
            url, "SELECT column_name FROM information_schema.columns WHERE table_name = 'shelters'"
        )
    }
    assert "name" in columns
    assert "raw" not in columns  # the gate's work


def test_views_carry_comments_and_tables_a_spatial_index(city: Workspace, url: str) -> None:
    push(city, url, epsg=6677)
    ((about,),) = asked(url, "SELECT obj_description('citymap.buildings'::regclass)")
    assert "建物" in str(about)
    ((column,),) = asked(
        url, "SELECT col_description('citymap.buildings'::regclass, attnum) FROM pg_attribute "
        "WHERE attrelid = 'citymap.buildings'::regclass AND attname = 'measured_height_m'",
    )  # fmt: skip
    assert "[m]" in str(column)
    indexes = asked(url, "SELECT indexdef FROM pg_indexes WHERE schemaname = 'citymap_data'")
    assert sum("USING gist (geometry)" in str(row[0]) for row in indexes) == len(VIEWS)
    ((srid, x),) = asked(
        url, "SELECT ST_SRID(geometry), ST_XMin(geometry) FROM citymap.buildings WHERE fid = 1"
    )
    assert srid == 6677
    assert 4000 < float(str(x)) < 4400  # east first, as PostGIS keeps it


def test_pushing_again_keeps_what_others_built_on_a_view_and_leaves_no_old_table(
    city: Workspace, url: str
) -> None:
    push(city, url)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE VIEW mine AS SELECT gml_id FROM citymap.buildings")
    push(city, url)
    assert asked(url, "SELECT count(*) FROM mine") == [(30,)]
    assert asked(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'citymap_data'") == [
        (len(VIEWS),)
    ]


def test_a_layer_that_is_gone_takes_its_view_along(tmp_path: Path, url: str) -> None:
    city = ogc_service.make(tmp_path / "city")
    push(city, url)
    (city.places / "shelters.parquet").unlink()
    push(city, url)
    assert "shelters" not in {
        r[0] for r in asked(url, "SELECT viewname FROM pg_views WHERE schemaname = 'citymap'")
    }


def test_what_fails_leaves_the_old_content(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = ogc_service.make(tmp_path / "city")
    push(city, url)
    monkeypatch.setattr("citymap.share.postgis.column_type", lambda kind: "no_such_type")
    with pytest.raises(BadInputError) as caught:
        push(city, url)
    assert caught.value.key == "push_refused"
    assert asked(url, "SELECT count(*) FROM citymap.buildings") == [(30,)]


@pytest.mark.parametrize(
    ("address", "key"),
    [("postgresql://x@127.0.0.1:1/none", "push_refused"), ("sqlite:///x", "push_url")],
)
def test_an_address_that_cannot_be_is_said(city: Workspace, address: str, key: str) -> None:
    with pytest.raises(BadInputError) as caught:
        push(city, address)
    assert caught.value.key == key


def test_names_need_no_quotes_and_fit() -> None:
    assert view_name("hazard-kinu-L2_depth") == "hazard_kinu_l2_depth"
    long = [view_name("hazard-" + "利根川水系鬼怒川洪水浸水想定区域" * 3 + end) for end in "ab"]
    assert long[0] != long[1]
    assert all(len(name.encode()) <= 63 for name in long)
