"""What the public sees of reports: confirmed, released, blurred; and what a closure does to a route."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "reports")]
from report_samples import LAT, LON, body, checked, picture

import small_city
from asgi_client import TestClient
from citymap.evacuation.closures import read_closures
from citymap.evacuation.routing import Goal, NoRoute, router
from citymap.model.columns import ROADS
from citymap.reports import closures, desk, photos, receive
from citymap.reports.categories import FILE
from citymap.reports.model import Report, Sender
from citymap.settings import Settings
from citymap.share.exchange import export
from citymap.store import Store, engine, shared_store
from citymap.store.tables import now
from citymap.web import feeds
from citymap.web.public import create_app
from citymap.workspace import Workspace, write_table


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setattr(feeds, "FRESH_S", 0.0)
    workspace = small_city.make(tmp_path / "city")
    shared_store(workspace)
    yield workspace
    if (
        used := engine._SHARED.pop(str(workspace.root / "store.sqlite"), None)
    ) is not None:  # these tests alone may not need it
        used.close()


def sent(city: Workspace, *pictures: bytes, **changed: Any) -> Report:
    store, at = shared_store(city), now()
    kept = [photos.check(p) for p in pictures]
    data = body(**{"observed_at": (at - timedelta(minutes=5)).isoformat(), **changed})
    report = checked(data, photos=[k.sent_sha256 for k in kept], at=at)
    receive.accept(store, city, report, kept, sender=Sender("device:a"), at=at)
    found = desk.found(store, report.id)
    assert found is not None
    return found


def public(city: Workspace, *pictures: bytes, text: str | None = None, **changed: Any) -> Report:
    report = sent(city, *pictures, **changed)
    desk.move(shared_store(city), [report.id], "confirmed", by="ono")
    desk.publish(shared_store(city), [report.id], by="ono", text=text)
    return report


def client(city: Workspace) -> TestClient:
    return TestClient(create_app(Settings(city=city.root)))


def features(city: Workspace, query: str = "") -> list[dict[str, Any]]:
    got = client(city).get(f"/feeds/reports.geojson{query}")
    assert got.status_code == 200, got.text
    return list(got.json()["features"])


def test_only_confirmed_and_released_reports_are_public(city: Workspace) -> None:
    store = shared_store(city)
    shown = public(city, text="通れません")
    sent(city)
    confirmed = sent(city)
    desk.move(store, [confirmed.id], "confirmed", by="ono")
    (one,) = features(city)
    assert one["id"] == shown.number
    assert one["properties"]["public_text"] == "通れません"
    assert set(one["properties"]) <= {
        "number", "category", "title", "observed_at", "changed_at", "depth_m", "severity", "status",
        "public_text", "images",
    }  # fmt: skip
    assert shown.id not in json.dumps(one)  # the device's own id is for the device
    for to in ("rejected", "reopened"):
        desk.move(store, [shown.id], to, by="ono")  # type: ignore[arg-type]
        assert features(city) == []


def test_places_are_blurred_as_the_category_says(city: Workspace) -> None:
    own = "".join(
        f'[[category]]\ncode = "c{m}"\ntitle = {{ ja = "{m}" }}\nblur_m = {m}\n'
        for m in (0, 20, 500)
    )
    (city.root / FILE).write_text(own, encoding="utf-8")
    store = shared_store(city)
    ids = []
    for m in (0, 20, 500):
        data = body(category=f"c{m}", observed_at=None)
        from citymap.reports.categories import catalogue

        report = checked(data, catalogue=catalogue(city), at=now())
        receive.accept(store, city, report, sender=Sender(), at=now())
        ids.append(report.id)
    desk.move(store, ids, "confirmed", by="ono")
    desk.publish(store, ids, by="ono")
    there = {f["properties"]["category"]: f["geometry"]["coordinates"] for f in features(city)}
    off = {
        k: ((x - LON) ** 2 * 0.64 + (y - LAT) ** 2) ** 0.5 * 111_320 for k, (x, y) in there.items()
    }
    assert off["c0"] < 0.02
    assert off["c20"] <= 14.5
    assert 0 < off["c500"] <= 360
    assert (there["c500"][0], there["c500"][1]) != (LON, LAT)


def test_a_category_that_is_gone_is_blurred_widely(city: Workspace) -> None:
    public(city, lon=LON + 0.0003)
    (city.root / FILE).write_text('[[category]]\ncode = "snow"\ntitle = { ja = "雪" }\n')
    (one,) = features(city)
    assert one["geometry"]["coordinates"][0] != pytest.approx(LON + 0.0003, abs=1e-7)
    assert one["properties"]["title"] == "flooded_road"


def test_a_bbox_asks_about_the_blurred_place_only(city: Workspace) -> None:
    public(city, category="building_damage")
    (x, y) = features(city)[0]["geometry"]["coordinates"]
    e = 0.00001
    assert len(features(city, f"?bbox={x - e},{y - e},{x + e},{y + e}")) == 1
    assert features(city, f"?bbox={LON - e},{LAT - e},{LON + e},{LAT + e}") == []
    for bad in ("1,2,3", "a,b,c,d", "5,5,1,1", "nan,0,1,1"):
        assert client(city).get(f"/feeds/reports.geojson?bbox={bad}").status_code == 422


def test_rss_is_xml_whatever_staff_wrote(city: Workspace) -> None:
    public(city, text="<b>&\x00]]> 通れません")
    got = client(city).get("/feeds/reports.rss?lang=en")
    assert got.headers["content-type"].startswith("application/rss+xml")
    item = ElementTree.fromstring(got.content).find("channel/item")  # noqa: S314
    assert item is not None
    assert item.findtext("title") == "Flooded road（Confirmed）"
    assert item.findtext("description") == "<b>&]]> 通れません"


def test_a_photo_is_public_only_while_released(city: Workspace) -> None:
    store = shared_store(city)
    report = public(city, picture())
    name = desk.release_photo(store, city, report.id, 0, by="ono")
    assert features(city)[0]["properties"]["images"] == [name]
    to = client(city)
    got = to.get(f"/feeds/photos/{name}")
    assert (got.status_code, got.headers["content-type"]) == (200, "image/jpeg")
    sha = report.photos[0].sha256
    for other in (
        sha,
        f"{sha}.jpg",
        f"{sha[:40]}.jpg",
        "..%2f..%2fstore.sqlite",
        f"../{sha[:2]}/{sha}.jpg",
    ):
        assert to.get(f"/feeds/photos/{other}").status_code == 404
    desk.withhold(store, [report.id], by="ono")
    assert to.get(f"/feeds/photos/{name}").status_code == 404


def test_feeds_are_cached_with_a_tag_and_open_to_other_pages(city: Workspace) -> None:
    public(city)
    to = client(city)
    got = to.get("/feeds/closures.geojson")
    assert got.headers["access-control-allow-origin"] == "*"
    assert "etag" in got.headers


def roads(city: Workspace) -> None:
    """A square of roads: straight along the south, or the long way round by the north."""
    west, south, step = small_city.WEST, small_city.SOUTH, 0.002
    corners = [
        (west, south),
        (west + step, south),
        (west + step, south + step),
        (west, south + step),
    ]
    lines = [
        (corners[0], corners[1]),
        (corners[1], corners[2]),
        (corners[2], corners[3]),
        (corners[3], corners[0]),
    ]
    columns: dict[str, list[Any]] = {
        "edge_id": list(range(4)), "u": [0, 1, 2, 3], "v": [1, 2, 3, 0],
        "length_m": [179.0, 222.0, 179.0, 222.0], "width_m": [6.0] * 4, "kind": ["市町村道"] * 4,
        "name": ["みなみ通り", None, None, None], "bridge": [False] * 4, "tunnel": [False] * 4,
        "source": ["test"] * 4, "geometry": [shapely.to_wkb(shapely.LineString(a)) for a in lines],
    }  # fmt: skip
    schema = ROADS.schema()
    table = pa.table(
        [pa.array(columns.get(f.name, [None] * 4), f.type) for f in schema], schema=schema
    )
    write_table(city.roads, table, ROADS)


def metres(city: Workspace) -> float | None:
    """The way along the south, or round, or none."""
    west, south, step = small_city.WEST, small_city.SOUTH, 0.002
    found = router(city)
    closed = [c.shape for c in read_closures(city) if c.valid_at()]
    route = found.route(
        west + 0.00002,
        south,
        [Goal("g", west + step - 0.00002, south)],
        closed=found.closed_by(closed),
    )
    return None if isinstance(route, NoRoute) else route.length_m


def test_a_confirmed_closure_changes_the_route_and_can_be_switched_off(city: Workspace) -> None:
    roads(city)
    store = shared_store(city)
    straight = metres(city)
    assert straight is not None
    assert straight < 200
    # 25 m beside the road, as a phone says it.
    report = sent(
        city,
        category="blocked_road",
        lon=small_city.WEST + 0.001,
        lat=small_city.SOUTH + 0.00022,
        depth_m=None,
    )
    closures.refresh(store, city)
    assert metres(city) == straight  # nobody confirmed it
    desk.move(store, [report.id], "confirmed", by="ono")
    assert closures.refresh(store, city) == 1
    round_way = metres(city)
    assert round_way is None or round_way > 500
    desk.set_effect(store, [report.id], on=False, by="ono")
    assert closures.refresh(store, city) == 0
    assert metres(city) == straight
    desk.set_effect(store, [report.id], on=True, by="ono", until=now() - timedelta(seconds=1))
    assert closures.refresh(store, city) == 0
    assert metres(city) == straight  # it is over
    desk.set_effect(store, [report.id], on=True, by="ono")
    closures.refresh(store, city)
    assert metres(city) == round_way
    desk.move(store, [report.id], "resolved", by="ono")
    closures.refresh(store, city)
    assert metres(city) == straight


def test_a_closure_has_its_road_its_times_and_is_public_when_released(city: Workspace) -> None:
    roads(city)
    report = public(
        city, lon=small_city.WEST + 0.001, lat=small_city.SOUTH + 0.0001, text="冠水", depth_m=0.4
    )
    (one,) = client(city).get("/feeds/closures.geojson").json()["features"]
    assert one["properties"]["road"] == "みなみ通り"
    assert one["properties"]["from_time"] < one["properties"]["until_time"]
    assert one["geometry"]["type"] == "LineString"  # the road, not where somebody stood
    assert pq.read_table(closures.path_of(city)).num_rows == 1  # written by the door itself
    desk.withhold(shared_store(city), [report.id], by="ono")
    assert client(city).get("/feeds/closures.geojson").json()["features"] == []
    assert len(read_closures(city)) == 1  # the way round stays: it is confirmed


def test_a_closure_away_from_roads_does_not_tell_where_somebody_stood(city: Workspace) -> None:
    public(city)
    (one,) = client(city).get("/feeds/closures.geojson").json()["features"]
    x, y = one["geometry"]["coordinates"]
    assert (x, y) != (LON, LAT)
    assert abs(x - LON) < 0.001


def test_a_slip_in_the_list_of_categories_does_not_shut_the_door(city: Workspace) -> None:
    public(city)
    (city.root / FILE).write_text("[[category]]\ncode = 5")
    assert len(features(city)) == 1
    assert client(city).get("/api/reports/form.json").status_code == 200


def test_shallow_water_is_a_depth_and_no_closure(city: Workspace) -> None:
    public(city, depth_m=0.1)
    store = shared_store(city)
    (one,) = closures.current(store, city)
    assert (one.active, one.depth_m) == (False, 0.1)
    assert closures.refresh(store, city) == 0
    assert read_closures(city) == []


@pytest.mark.parametrize("form", ["geojson", "gpkg", "csv", "parquet"])
def test_reports_and_closures_are_exported_through_the_gate(
    city: Workspace, form: str, tmp_path: Path
) -> None:
    public(city, text="=cmd|' /C calc'!A0", contact="himitsu-x", category="building_damage")
    for layer in ("reports", "closures"):
        out = export(city, layer, form, tmp_path / f"{layer}.{form}").files[0]
        raw = out.read_bytes()
        assert b"himitsu-x" not in raw
        assert "橋の下".encode() not in raw
        if form == "csv" and layer == "reports":
            assert b"'=cmd" in raw
    staff = export(city, "reports", "geojson", tmp_path / "staff.geojson", audience="staff").files[
        0
    ]
    assert b"=cmd" in staff.read_bytes()  # staff read what was written, and not whom to reach
    assert b"himitsu-x" not in staff.read_bytes()


def test_the_store_is_away_and_the_feed_says_so(
    city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from citymap.store import StoreError

    def away(self: Store, **_: Any) -> Any:
        raise StoreError("store_gone", place="x", reason="")

    monkeypatch.setattr(Store, "read", away)
    assert client(city).get("/feeds/reports.geojson").status_code == 503
