"""Two reports of one cell of the flood map tell of one water; dry and unknown ground is none."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "reports")]
from report_samples import AT, body, checked

import small_city
from citymap import crs
from citymap.assess.flooded_cells import flooded_cells
from citymap.reports import desk, duplicates, receive
from citymap.reports.categories import catalogue
from citymap.reports.model import Report, Sender
from citymap.store import open_store
from citymap.workspace import Workspace

CELL_M = 25.0


def town(tmp_path: Path) -> tuple[Workspace, float, float]:
    """A city with a grid of 25 m cells: the western half wet, the rest dry, the last row unknown."""
    city = small_city.make(tmp_path / "town")
    x, y = crs.project(np.array([small_city.WEST]), np.array([small_city.SOUTH]), 6677)
    west, north = float(x[0]), float(y[0]) + 40 * CELL_M
    depth = np.zeros((40, 40), np.float32)
    depth[:, :20] = 0.8
    depth[-1] = np.nan
    city.hazards.mkdir(exist_ok=True)
    with rasterio.open(
        city.hazards / "kinu-L2_depth.tif", "w", driver="GTiff", width=40, height=40, count=1,
        dtype="float32", crs="EPSG:6677", transform=from_origin(west, north, CELL_M, CELL_M), nodata=np.nan,
    ) as sink:  # fmt: skip
        sink.write(depth, 1)
    (city.hazards / "kinu-L2_depth.toml").write_text(
        'hazard = "river_flood"\nname = "鬼怒川"\nscale = "L2"\nquantity = "depth"\nunit = "m"\n',
        encoding="utf-8",
    )
    return city, west, north


def place(west: float, north: float, column: float, row: float) -> tuple[float, float]:
    lon, lat = crs.unproject(
        np.array([west + column * CELL_M]), np.array([north - row * CELL_M]), 6677
    )
    return float(lon[0]), float(lat[0])


def test_cells_are_of_wet_ground_alone(tmp_path: Path) -> None:
    city, west, north = town(tmp_path)
    spots = [
        place(west, north, c, r)
        for c, r in ((2.2, 4.2), (3.8, 5.8), (4.2, 4.2), (30, 5), (5, 39.5), (90, 5))
    ]
    found = flooded_cells(city, [s[0] for s in spots], [s[1] for s in spots])
    assert found[0] == found[1] is not None  # two cells of 25 m make one of 50 m
    assert found[2] is not None
    assert found[2] != found[0]
    assert found[3:] == [None, None, None]  # dry, not surveyed, off the map
    assert flooded_cells(small_city.make(tmp_path / "no map"), [139.88], [36.55]) == [None]


def test_one_flooded_cell_makes_a_pair_likelier(tmp_path: Path) -> None:
    city, west, north = town(tmp_path)
    store = open_store(city)

    def sent(column: float, row: float) -> Report:
        lon, lat = place(west, north, column, row)
        data = checked(body(lon=lon, lat=lat, depth_m=None))
        receipt = receive.accept(store, city, data, sender=Sender("device:a"), at=AT)
        report = desk.found(store, receipt.id)
        assert report is not None
        return report

    one, same, beside = sent(2.1, 4.1), sent(3.9, 5.9), sent(0.3, 2.3)
    reports = [one, same, beside]
    wet = flooded_cells(city, [r.lon for r in reports], [r.lat for r in reports])
    cells = {r.id: c for r, c in zip(reports, wet, strict=True)}
    plain = {(p.first, p.second): p for p in duplicates.pairs(reports, catalogue(None))}
    known = {(p.first, p.second): p for p in duplicates.pairs(reports, catalogue(None), cells)}
    key, other = (one.id, same.id), (one.id, beside.id)
    assert known[key].one_water
    assert not known[other].one_water
    assert round(known[key].score - plain[key].score, 3) == 0.1
    assert known[other].score == plain[other].score
    store.close()
