"""The shelter audit: what speaks against a place is said, and what is not known is never good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.transform import from_origin
from tests import small_city

from citymap import crs
from citymap.assess import shelter_audit
from citymap.assess.shelter_audit import Site, audited, dry_area_m2, floor_of, wifi_floods
from citymap.assess.verdict import Building, judge
from citymap.hazard.sets import HazardSet
from citymap.places import import_places
from citymap.workspace import Workspace

RIVER = HazardSet("r-L2", "river_flood", "みどり川", "L2", ())


def site(**place: Any) -> Site:
    row = {"place_id": "1", "name": "第一小", "flood": True, "landslide": True, "tsunami": None,
           "conditional": None, "capacity": 100} | place  # fmt: skip
    return Site(row, Building(3, 10.0), "b", False, 350.0, None, ())


def row(s: Site, hazard: HazardSet = RIVER, **said: Any) -> dict[str, Any]:
    facts = {"depth_m": float("nan"), "duration_h": 5.0, "surveyed": True, "collapse_flow": False,
             "collapse_erosion": False} | said  # fmt: skip
    depth = facts["depth_m"]
    answer = judge(
        hazard.hazard, s.building or Building(None, None),
        depth_m=None if np.isnan(depth) or np.isinf(depth) else depth, surveyed=facts["surveyed"],
        duration_h=facts["duration_h"], collapse_flow=facts["collapse_flow"],
        collapse_erosion=facts["collapse_erosion"],
    )  # fmt: skip
    return audited(s, hazard, answer, **facts)


@pytest.mark.parametrize(
    ("said", "use", "reasons"),
    [
        ({}, "usable", []),
        ({"depth_m": 2.0}, "upper_floors", []),
        ({"depth_m": 8.0}, "must_not", ["no_dry_floor"]),
        ({"depth_m": 2.0, "collapse_erosion": True}, "must_not", ["collapse_erosion"]),
        ({"collapse_flow": True}, "must_not", ["collapse_flow"]),
        ({"surveyed": False}, "unknown", ["depth_unsurveyed"]),
        ({"depth_m": float("inf")}, "unknown", ["depth_unknown"]),
        ({"depth_m": 2.0, "collapse_flow": None}, "unknown", ["collapse_unsurveyed"]),
        ({"depth_m": 2.0, "duration_h": 100.0}, "upper_floors", ["cut_off_over_72h"]),
    ],
)
def test_what_a_designated_school_may_be_used_for(
    said: dict[str, Any], use: str, reasons: list[str]
) -> None:
    found = row(site(), **said)
    assert (found["use"], found["reasons"]) == (use, reasons)


def test_not_designated_is_never_offered_and_a_slope_is_left() -> None:
    assert row(site(flood=None))["use"] == "not_designated"
    assert row(site(flood=False))["use"] == "not_designated"
    slope = HazardSet("s", "landslide", "", "", ())
    assert row(site(), slope, depth_m=float("inf"))["use"] == "must_not"
    assert row(site(), slope)["use"] == "usable"


def test_open_ground_under_water_and_a_building_not_found() -> None:
    park = Site(site().place, None, None, True, None, None, ())
    assert row(park, depth_m=0.2)["reasons"] == ["open_ground_flooded"]
    lost = Site(site().place, None, None, False, None, None, ())
    assert (row(lost, depth_m=0.2)["use"], row(lost)["use"]) == ("unknown", "usable")


@given(st.sampled_from([None, True, False]), st.sampled_from([float("nan"), float("inf"), 0.3, 4.0, 30.0]),
       st.booleans(), st.sampled_from([None, True, False]), st.sampled_from([None, True, False]))  # fmt: skip
def test_usable_only_when_everything_is_known_and_dry(
    flood: bool | None, depth: float, surveyed: bool, flow: bool | None, erosion: bool | None
) -> None:
    found = row(site(flood=flood), depth_m=depth, surveyed=surveyed, collapse_flow=flow, collapse_erosion=erosion)  # fmt: skip
    if found["use"] in {"usable", "upper_floors"}:
        assert flood is True and not flow and not erosion
        assert surveyed or depth > 0
    if found["use"] == "usable":
        assert not depth > 0


def test_capacity_counts_the_floors_above_the_water() -> None:
    assert dry_area_m2(site(), None) == 1050.0
    assert dry_area_m2(site(), 2) == 700.0
    assert row(site(), depth_m=2.0)["capacity_space"] == 200
    assert row(site(), depth_m=8.0)["capacity_space"] is None


def test_the_floor_of_a_wifi() -> None:
    assert [floor_of(t) for t in ("２階ロビー", "1F, 3F", "館内", None)] == [2, 1, None, None]

    def at(area: str | None) -> Site:
        return Site(
            site().place, Building(3, 10.0), "b", False, 350.0, None, ({"name": "a", "area": area},)
        )

    assert wifi_floods(at("1階"), 0.6, surveyed=True) is True
    assert wifi_floods(at("２階"), 2.0, surveyed=True) is False
    assert wifi_floods(at("２階"), 3.2, surveyed=True) is True
    assert wifi_floods(at("館内"), 2.0, surveyed=True) is None
    assert wifi_floods(at("館内"), float("nan"), surveyed=True) is False
    assert wifi_floods(at("館内"), float("nan"), surveyed=False) is None
    assert wifi_floods(site(), 2.0, surveyed=True) is None  # there is none


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    """The small city; water of 2 m over its western half, the grid ends before the east."""
    workspace = small_city.make(tmp_path / "city")
    workspace.hazards.mkdir()
    x, y = crs.project(small_city.WEST, small_city.SOUTH, 6677)
    depth = np.zeros((20, 60), np.float32)
    depth[:, :30] = 2.0
    with rasterio.open(
        workspace.hazards / "r-L2_depth.tif", "w", driver="GTiff", width=60, height=20, count=1,
        dtype="float32", crs="EPSG:6677", transform=from_origin(float(x) - 100, float(y) + 100, 10, 10),
    ) as out:  # fmt: skip
        out.write(depth, 1)
    (workspace.hazards / "r-L2_depth.toml").write_text(
        'id = "r-L2_depth"\nquantity = "depth"\nhazard = "river_flood"\nname = "みどり川"\nscale = "L2"\n',
        encoding="utf-8",
    )
    lines = ["ID,名称,緯度,経度,災害種別_洪水,想定収容人数"]
    for i in (1, 4, 11):
        lines.append(
            f"{i},集会所{i},{small_city.SOUTH + 0.0001},{small_city.WEST + 0.001 * i + 0.0001},1,50人"
        )
    (tmp_path / "s.csv").write_text("\n".join(lines), encoding="utf-8")
    wifi = f"NO,名称,緯度,経度,SSID,提供エリア\n1,w,{small_city.SOUTH + 0.0001},{small_city.WEST + 0.0011},S,1階\n"
    (tmp_path / "w.csv").write_text(wifi, encoding="utf-8")
    import_places(workspace, [tmp_path / "s.csv", tmp_path / "w.csv"])
    return workspace


def test_the_table_of_a_city(city: Workspace) -> None:
    rows = {r["place_id"]: r for r in shelter_audit.current(city).to_pylist()}
    assert rows["1"]["depth_max_m"] == pytest.approx(2.0)
    assert (rows["1"]["gml_id"], rows["1"]["use"], rows["1"]["wifi_floods"]) == (
        "bldg_0001",
        "must_not",
        True,
    )
    assert (rows["4"]["use"], rows["4"]["depth_known"]) == ("usable", True)
    assert (rows["11"]["use"], rows["11"]["reasons"]) == ("unknown", ["depth_unsurveyed"])
    assert pq.read_table(shelter_audit.audit_path(city)).num_rows == 3


def test_the_table_follows_the_list(city: Workspace, tmp_path: Path) -> None:
    shelter_audit.current(city)
    (tmp_path / "s.csv").write_text(
        f"ID,名称,緯度,経度,災害種別_洪水\n4,四,{small_city.SOUTH},{small_city.WEST + 0.004},\n",
        encoding="utf-8",
    )
    import_places(city, [tmp_path / "s.csv"])
    (found,) = shelter_audit.current(city).to_pylist()
    assert (found["place_id"], found["use"]) == ("4", "not_designated")
    assert shelter_audit.worst_by_place(shelter_audit.current(city), "tsunami") == {}
