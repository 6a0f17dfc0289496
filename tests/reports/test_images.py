"""Pictures in bulk: where they were taken, what ground they show, and nothing decided."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_samples import LAT, LON

from citymap import crs
from citymap.model.grid import Grid
from citymap.reports import desk, images, photos
from citymap.reports.desk import Filter
from citymap.reports.images import Shot, footprint, gather, rays, shot
from citymap.reports.model import ReportError
from citymap.store import Store
from citymap.terrain import raster
from citymap.workspace import Workspace

EPSG = 6677
XMP = (
    '<x:xmpmeta><rdf:Description drone-dji:RelativeAltitude="+{height}" drone-dji:AbsoluteAltitude="+150.5" '
    'drone-dji:GimbalYawDegree="{yaw}" drone-dji:GimbalPitchDegree="{pitch}"/></x:xmpmeta>'
)


def dms(value: float) -> tuple[float, float, float]:
    degrees = int(value)
    minutes = int((value - degrees) * 60)
    return degrees, minutes, round((value - degrees - minutes / 60) * 3600, 4)


def drone(path: Path, *, lon: float = LON, lat: float = LAT, height: float = 80.0, yaw: float = 0.0,
          pitch: float = -90.0, seed: int = 0, position: bool = True) -> Path:  # fmt: skip
    """A picture as a drone writes it."""
    exif = Image.Exif()
    if position:
        exif.get_ifd(0x8825).update({1: "N", 2: dms(lat), 3: "E", 4: dms(lon)})
    exif.get_ifd(0x8769).update({0x9003: "2026:09:10 11:30:00", 0xA405: 24})
    out = io.BytesIO()
    image = Image.new("RGB", (400, 300), (seed % 256, 90, 60))
    image.save(out, "JPEG", exif=exif, xmp=XMP.format(height=height, yaw=yaw, pitch=pitch).encode())
    path.write_bytes(out.getvalue())
    return path


def a_shot(**changed: Any) -> Shot:
    given: dict[str, Any] = {
        "path": Path("a"), "lon": LON, "lat": LAT, "taken_at": None, "height_m": 80.0, "elevation_m": None,
        "heading_deg": 0.0, "pitch_deg": -90.0, "focal35_mm": 24.0, "width": 4000, "height": 3000,
    }  # fmt: skip
    return Shot(**(given | changed))


def sides(area: shapely.Polygon) -> tuple[float, float, float, float]:
    """East and north extent in metres, and the middle's offset from the camera."""
    at = np.column_stack(crs.project(*shapely.get_coordinates(area).T, EPSG))
    x, y = crs.project(LON, LAT, EPSG)
    low, high = at.min(axis=0), at.max(axis=0)
    return (*(high - low), *((low + high) / 2 - [float(x), float(y)]))


def test_position_height_and_angles_are_read(tmp_path: Path) -> None:
    one = shot(drone(tmp_path / "a.jpg", yaw=-45.5, pitch=-60.0))
    assert (one.lon, one.lat) == (pytest.approx(LON, abs=1e-7), pytest.approx(LAT, abs=1e-7))
    assert (one.height_m, one.elevation_m, one.heading_deg, one.pitch_deg) == (
        80,
        150.5,
        -45.5,
        -60,
    )
    assert one.taken_at is not None
    assert one.taken_at.isoformat() == "2026-09-10T02:30:00+00:00"  # Japan's clock


def test_straight_down_the_footprint_is_what_the_lens_sees() -> None:
    """24 mm at 80 m: a frame of 34.6 × 26.0 mm for 4:3 → 115 × 86.5 m, the long side east–west."""
    area = footprint(a_shot(), terrain=None, epsg=EPSG)
    assert area is not None
    east, north, dx, dy = sides(area)
    assert east == pytest.approx(80 * 43.267 * 0.8 / 24, rel=1e-3)
    assert north == pytest.approx(80 * 43.267 * 0.6 / 24, rel=1e-3)
    assert abs(dx) < 0.1
    assert abs(dy) < 0.1


def test_turned_east_the_long_side_lies_north_south() -> None:
    area = footprint(a_shot(heading_deg=90.0), terrain=None, epsg=EPSG)
    assert area is not None
    east, north, *_ = sides(area)
    assert north > east


def test_tilted_forward_it_lies_ahead() -> None:
    area = footprint(a_shot(pitch_deg=-60.0), terrain=None, epsg=EPSG)
    assert area is not None
    assert sides(area)[3] > 40
    area = footprint(a_shot(pitch_deg=-60.0, heading_deg=180.0), terrain=None, epsg=EPSG)
    assert area is not None
    assert sides(area)[3] < -40


@given(st.floats(-180, 180), st.floats(-90, 30))
def test_rays_are_of_unit_length_and_centred(heading: float, pitch: float) -> None:
    found = rays(a_shot(heading_deg=heading, pitch_deg=pitch))
    assert found is not None
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    middle = found.sum(axis=0)
    assert math.degrees(math.asin(middle[2] / np.linalg.norm(middle))) == pytest.approx(
        pitch, abs=1e-6
    )


@pytest.mark.parametrize(
    "changed",
    [{"pitch_deg": 0.0}, {"pitch_deg": -20.0}, {"pitch_deg": None}, {"heading_deg": None},
     {"focal35_mm": None}, {"height_m": None}, {"height_m": 0.0}],
)  # fmt: skip
def test_what_is_not_known_makes_no_footprint(changed: dict[str, Any]) -> None:
    assert footprint(a_shot(**changed), terrain=None, epsg=EPSG) is None


def test_a_slope_shortens_the_uphill_side(tmp_path: Path) -> None:
    x, y = (float(v) for v in crs.project(LON, LAT, EPSG))
    rows = np.arange(400, dtype="f4")[:, None]
    values = (100 + 0.3 * (200 - rows) + np.zeros((1, 400), "f4")).astype(
        "f4"
    )  # rises to the north
    grid = Grid(
        values,
        (1.0, 0.0, x - 200, 0.0, -1.0, y + 200),
        EPSG,
        "T.P.",
        "elevation",
        "m",
        float("nan"),
    )
    path = tmp_path / "terrain.tif"
    raster.write(path, grid, source="test")
    area = footprint(a_shot(), terrain=path, epsg=EPSG)
    assert area is not None
    at = np.column_stack(crs.project(*shapely.get_coordinates(area).T, EPSG)) - [x, y]
    half = 80 * 43.267 * 0.6 / 24 / 2
    assert at[:, 1].max() == pytest.approx(half / (1 + 0.3 * half / 80), rel=0.02)
    assert -at[:, 1].min() == pytest.approx(half / (1 - 0.3 * half / 80), rel=0.02)


def test_a_card_of_pictures_makes_drafts_once(lite: Store, city: Workspace, tmp_path: Path) -> None:
    card = tmp_path / "card" / "DCIM"
    card.mkdir(parents=True)
    for i in range(3):
        drone(card / f"{i}.jpg", seed=i, lon=LON + i * 0.0003)
    drone(card / "nowhere.jpg", position=False)
    drone(card / "abroad.jpg", lon=10.0, seed=9)
    (card / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    (card / "notes.txt").write_text("x")
    made = gather(lite, city, [card.parent], by="ono")
    assert (made.drafts, made.known, made.footprints) == (3, 0, 3)
    assert dict(made.skipped) == {
        "nowhere.jpg": "image_no_position", "abroad.jpg": "report_outside", "broken.jpg": "photo_broken"
    }  # fmt: skip
    drafts = desk.listed(lite, Filter(sources=("images",)))
    assert {d.status for d in drafts} == {"new"}
    assert {d.release for d in drafts} == {"received"}
    assert b"drone-dji" not in photos.path_of(city, drafts[0].photos[0]).read_bytes()
    again = gather(lite, city, [card.parent], by="ono")
    assert (again.drafts, again.known) == (0, 3)
    table = pq.read_table(images.path_of(city))
    assert table.num_rows == 3
    assert images.footprint_of(city, drafts[0].id) is not None
    assert images.footprint_of(city, "none") is None
    with pytest.raises(ReportError):
        gather(lite, city, [card], by="ono", category="none")
