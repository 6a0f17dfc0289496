"""The printed maps: scale, grid, what is drawn as known, and what marks a drill."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import rasterio
import shapely

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_city
from asgi_client import TestClient
from citymap import crs
from citymap.errors import BadInputError
from citymap.hazard.sets import hazard_sets
from citymap.live import orders
from citymap.model.columns import DISTRICTS
from citymap.places.build import table_of
from citymap.places.kinds import KINDS
from citymap.settings import Settings
from citymap.share.paper import sheet
from citymap.share.paper.frame import HEIGHT_MM, WIDTH_MM, Frame, bar_m, inside, reference
from citymap.share.paper.ground import NOT_SURVEYED, UNKNOWN_DEPTH, ground
from citymap.store import open_store
from citymap.web.public import create_app
from citymap.workspace import Workspace, write_table

EPSG = 6677
WEST, SOUTH = small_city.WEST, small_city.SOUTH


def flood(workspace: Workspace, name: str, depth: np.ndarray, size_m: float = 100.0) -> None:
    """A grid of depths whose south-west corner is the city's."""
    x, y = crs.project([WEST], [SOUTH], EPSG)
    workspace.hazards.mkdir(exist_ok=True)
    transform = rasterio.Affine(size_m, 0, x[0], 0, -size_m, y[0] + size_m * depth.shape[0])
    with rasterio.open(
        workspace.hazards / f"{name}_depth.tif", "w", driver="GTiff", width=depth.shape[1],
        height=depth.shape[0], count=1, dtype="float32", nodata=float("nan"), crs=f"EPSG:{EPSG}",
        transform=transform,
    ) as file:  # fmt: skip
        file.write(depth.astype("float32"), 1)
    (workspace.hazards / f"{name}_depth.toml").write_text(
        f'quantity = "depth"\nhazard = "river_flood"\nname = "{name}"\nscale = "L2"\nlegend = "depth"\nvintage = "2021"\n',
        encoding="utf-8",
    )


def districts(
    workspace: Workspace, *named: tuple[str, str, tuple[float, float, float, float]]
) -> None:
    schema = DISTRICTS.schema()
    rows = [
        {"district_id": i, "name": name, "name_kana": None, "geometry": shapely.to_wkb(shapely.box(*box))}
        for i, name, box in named
    ]  # fmt: skip
    write_table(workspace.districts, pa.Table.from_pylist(rows, schema=schema), DISTRICTS)


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    workspace = small_city.make(tmp_path / "city")
    here = (WEST, SOUTH, WEST + 0.004, SOUTH + 0.004)
    districts(
        workspace,
        ("1", "本町<b>一丁目", here),
        ("2", "南町", (WEST, SOUTH - 0.004, WEST + 0.004, SOUTH)),
    )
    return workspace


def test_a_common_scale_shows_all_of_the_district_in_the_middle() -> None:
    frame = Frame.around((0.0, 0.0, 700.0, 300.0), EPSG)
    assert frame.scale == 3000
    corners = frame.paper([0, 700], [300, 0])
    assert inside(corners).all()
    assert corners.mean(axis=0) == pytest.approx([WIDTH_MM / 2, HEIGHT_MM / 2])
    assert corners[1, 0] - corners[0, 0] == pytest.approx(700 * 1000 / 3000)  # 1:3,000 on paper
    assert corners[1, 1] > corners[0, 1]  # south is below
    assert Frame.around((0.0, 0.0, 1.0, 1.0), EPSG).scale == 1000
    assert Frame.around((0.0, 0.0, 90_000.0, 1.0), EPSG).scale == 400_000


def test_degrees_on_paper_and_back() -> None:
    frame = Frame.around((1000.0, 2000.0, 1600.0, 2500.0), EPSG)
    mm = np.array([(0.0, 0.0), (100.0, 30.0), (WIDTH_MM, HEIGHT_MM)])
    assert frame.of_lon_lat(frame.lon_lat(mm)) == pytest.approx(mm, abs=1e-3)
    west, south, east, north = frame.bbox
    assert 139 < west < east < 141 and 35 < south < north < 37


@pytest.mark.parametrize("scale", [1000, 2500, 3000, 7500, 20_000, 400_000])
def test_the_scale_bar_is_round_and_between_three_and_eight_centimetres(scale: int) -> None:
    assert 32 <= bar_m(scale) * 1000 / scale <= 80
    assert str(bar_m(scale)).rstrip("0") in {"1", "2", "5"}


def test_cells_of_the_grid() -> None:
    assert reference(0, 0) == "A1"
    assert reference(WIDTH_MM, HEIGHT_MM) == "H7"
    assert reference(WIDTH_MM / 8 + 0.1, HEIGHT_MM * 3.5 / 7) == "B4"


def test_the_ground_is_the_worst_of_all_sets_and_never_dry_where_one_is_silent(
    city: Workspace,
) -> None:
    depth = np.full((4, 2), np.nan)
    depth[:, 0] = 0.3
    flood(city, "a", depth)  # the west: under water, then dry
    flood(
        city, "b", np.where(np.arange(8) < 1, 4.0, np.nan)[None, :].repeat(8, 0)
    )  # all of it, deep in the west
    x, y = crs.project([WEST], [SOUTH], EPSG)
    frame = Frame.around((float(x[0]), float(y[0]), float(x[0]) + 700, float(y[0]) + 700), EPSG)
    found = ground(frame, hazard_sets(city))

    def class_at(east_m: float, north_m: float) -> int:
        at = shapely.Point(*frame.paper([x[0] + east_m], [y[0] + north_m])[0])
        held = [k for k, areas in found.classes.items() if any(a.contains(at) for a in areas)]
        assert len(held) <= 1
        return held[0] if held else 0

    assert class_at(50, 200) == 3  # 0.3 m and 4 m: the deeper class
    assert class_at(150, 200) == 0  # both surveyed it and drew nothing
    assert class_at(300, 200) == NOT_SURVEYED  # a does not reach so far
    assert class_at(50, 600) == 3
    assert class_at(-30, 200) == NOT_SURVEYED  # beside both


def test_without_any_hazard_map_nothing_is_drawn_as_safe(city: Workspace) -> None:
    frame = Frame.around((0.0, 0.0, 500.0, 500.0), EPSG)
    found = ground(frame, [])
    assert list(found.classes) == [NOT_SURVEYED]
    assert sum(a.area for a in found.classes[NOT_SURVEYED]) == pytest.approx(
        WIDTH_MM * HEIGHT_MM, rel=0.01
    )
    assert UNKNOWN_DEPTH not in found.classes
    assert sheet.chosen_hazard(city, None) is None
    made = sheet.sheet(city, sheet.districts(city)[0], None, lang="ja", drill=False)
    assert "調べられていない" in made


def test_a_sheet_has_what_paper_needs(city: Workspace) -> None:
    flood(city, "midori", np.full((20, 20), 0.7))
    one = sheet.districts(city)[0]
    made = sheet.sheet(city, one, "river_flood", lang="ja", drill=False)
    scale = re.search(r"1:([\d,]+)", made)
    assert scale and scale[1] in made
    for wanted in (
        "凡例",
        "北",
        "想定の年度：2021",
        "架空",
        "警戒レベル4",
        'class="qr"',
        ">A<",
        ">7<",
        " m</text>",
    ):
        assert wanted in made, wanted
    assert "<b>" not in made and "本町&lt;b&gt;一丁目" in made
    assert "訓練" not in made
    drilled = sheet.sheet(city, one, "river_flood", lang="ja", drill=True)
    assert drilled.count("訓練") == 2
    assert "DRILL" in sheet.sheet(city, one, "river_flood", lang="en", drill=True)


def test_shelters_stand_with_cell_hazards_and_use(city: Workspace) -> None:
    kind = next(k for k in KINDS.load().values() if k.table == "shelters")
    declared = table_of(kind)
    at = [(WEST + 0.001, SOUTH + 0.003), (WEST + 0.5, SOUTH)]
    rows = [
        {"place_id": f"p{i}", "kind": "evacuation_site", "name": f"学校{i}", "lon": lon, "lat": lat,
         "source_file": "x.csv", "line": i, "raw": "{}", "flood": True}
        for i, (lon, lat) in enumerate(at)
    ]  # fmt: skip
    schema = declared.schema()
    full = [{f.name: row.get(f.name) for f in schema} for row in rows]
    write_table(
        city.places / "shelters.parquet", pa.Table.from_pylist(full, schema=schema), declared
    )
    flood(city, "midori", np.full((20, 20), np.nan))
    made = sheet.sheet(city, sheet.districts(city)[0], "river_flood", lang="ja", drill=False)
    near = re.search(r"<tr class=\"usable\"><td>1</td>.*?学校0.*?</tr>", made)
    assert near and re.search(r">[A-H][1-7]</td>", near[0]) and near[0].count("○") >= 1
    assert "学校1" not in made  # 45 km away and nobody surveyed there: not offered


def test_only_staff_print_and_a_drill_is_marked(
    city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    flood(city, "midori", np.full((20, 20), 0.7))
    anybody = TestClient(create_app(Settings(city=city.root, single_user=False)))
    assert anybody.get("/paper/districts/1").status_code in {401, 403}
    client = TestClient(
        create_app(Settings(city=city.root, single_user=True, public_url="https://map.example/x"))
    )
    client.headers["host"] = "127.0.0.1"
    listed = client.get("/paper?lang=ja")
    assert listed.status_code == 200 and "南町" in listed.text
    one = client.get("/paper/districts/1?lang=ja")
    assert one.status_code == 200 and "訓練" not in one.text and "https://map.example/x" in one.text
    assert client.get("/paper/districts/none").status_code == 404
    assert client.get("/paper/districts/1?hazard=%3Cscript%3E").status_code == 404
    store = open_store(city)
    try:
        orders.give(store, "drill", level=4, by="test")
        everything = client.get("/paper/all?lang=ja")
        assert everything.text.count('class="sheet"') == 2
        assert everything.text.count('class="drill"') == 2
    finally:
        store.close()
    with pytest.raises(BadInputError):
        sheet.chosen_hazard(city, "tsunami")
