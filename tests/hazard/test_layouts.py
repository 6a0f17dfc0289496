"""Import of 国土数値情報 in its published columns, from files written by hand in that layout."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import geopandas
import pyarrow.parquet as pq
import pytest
import shapely

from citymap.assess.exposure import compute
from citymap.errors import BadInputError
from citymap.hazard.class_text import bounds_of
from citymap.hazard.layout import layouts
from citymap.hazard.sets import hazard_sets
from citymap.plateau.importer import ImportOptions, ImportRecord, import_sources
from citymap.progress import Quiet
from citymap.workspace import Workspace
from tests import small_city

HOUSE = shapely.box(139.8799, 36.5499, 139.8803, 36.5503)  # round building 0
NEXT = shapely.box(139.8809, 36.5499, 139.8813, 36.5503)  # round building 1


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "city")


def bring(city: Workspace, *paths: Path, layer_id: str | None = None, **more: Any) -> ImportRecord:
    options = ImportOptions(kind="hazard", layer_id=layer_id, **more)
    return import_sources(list(paths), city, options=options, progress=Quiet())


def file(
    path: Path, columns: dict[str, list[Any]], shapes: list[shapely.Geometry] | None = None
) -> Path:
    shapes = shapes or [HOUSE, NEXT][: len(next(iter(columns.values())))]
    table = geopandas.GeoDataFrame(columns, geometry=shapes, crs=6668)
    table.to_file(path)
    return path


def described(city: Workspace, name: str) -> dict[str, Any]:
    return tomllib.loads((city.hazards / f"{name}.toml").read_text(encoding="utf-8"))


def exposure(city: Workspace, name: str) -> dict[str, list[Any]]:
    compute(city, progress=Quiet())
    return pq.read_table(city.root / "exposure" / f"{name}.parquet").to_pydict()


def river(x: int, river: str, code: object, prefix: str = "A31a") -> dict[str, list[Any]]:
    return {
        f"{prefix}_{x}01": ["8303030001"], f"{prefix}_{x}02": [river], f"{prefix}_{x}03": ["83"],
        f"{prefix}_{x}04": ["国土交通大臣"], f"{prefix}_{x}05": [code],
    }  # fmt: skip


@pytest.mark.parametrize("prefix", ["A31a", "A31"])
@pytest.mark.parametrize("suffix", ["geojson", "shp", "gpkg"])
def test_river_files_become_one_set_for_each_scale(
    city: Workspace, tmp_path: Path, prefix: str, suffix: str
) -> None:
    sources = [
        file(tmp_path / f"A31a-10-25_8303.{suffix}", river(1, "鬼怒川", 1, prefix)),
        file(tmp_path / f"A31a-20-25_8303.{suffix}", river(2, "鬼怒川", "3", prefix)),
        file(tmp_path / f"A31a-30-25_8303.{suffix}", river(3, "鬼怒川", 4, prefix)),
        file(tmp_path / f"A31a-41-25_8303.{suffix}", river(4, "鬼怒川", 1, prefix)),
        file(tmp_path / f"A31a-42-25_8303.{suffix}", river(4, "鬼怒川", 2, prefix)),
    ]
    record = bring(city, *sources)
    assert not record.failed
    small, large = hazard_sets(city)
    assert (small.id, small.scale, large.id, large.name) == (
        "鬼怒川-L1",
        "L1",
        "鬼怒川-L2",
        "鬼怒川",
    )
    assert {x.quantity for x in large.layers} == {
        "rank",
        "duration",
        "collapse_flow",
        "collapse_erosion",
    }
    assert described(city, "鬼怒川-L2_rank")["admin"] == "国土交通大臣"
    found = exposure(city, "鬼怒川-L2")
    assert (
        4.9 < found["depth_max_m"][0] < 5.0
    )  # 3–5 m: its end, and not 5.0, which is the next class
    assert 167.9 < found["duration_h"][0] < 168.0
    assert found["collapse_flow"][0] is found["collapse_erosion"][0] is True
    assert found["collapse_flow"][1] is False
    assert found["verdict"][0] == "leave"
    assert (found["hazard"][0], found["scale"][0]) == ("river_flood", "L2")


def test_one_file_of_several_rivers_is_split(city: Workspace, tmp_path: Path) -> None:
    columns = {k: v + w for (k, v), w in zip(
        river(2, "鬼怒川", 2).items(), river(2, "田川", 5).values(), strict=True)}  # fmt: skip
    record = bring(city, file(tmp_path / "A31a-25_09.geojson", columns))
    assert {"hazard-鬼怒川-L2_rank", "hazard-田川-L2_rank"} <= set(record.counts)
    assert exposure(city, "田川-L2")["verdict"][:2] == ["outside_assumed_area", "leave"]


def test_two_managers_of_one_river_do_not_overwrite_each_other(
    city: Workspace, tmp_path: Path
) -> None:
    bring(city, file(tmp_path / "a.geojson", river(2, "鬼怒川", 2)))
    bring(city, file(tmp_path / "b.geojson", river(2, "鬼怒川", 5), [NEXT]))
    bring(city, file(tmp_path / "a.geojson", river(2, "鬼怒川", 3)))  # anew: replaced
    assert sorted(p.stem for p in city.hazards.glob("*.toml")) == [
        "鬼怒川-L2-2_rank",
        "鬼怒川-L2_rank",
    ]
    assert [len(s.layers) for s in hazard_sets(city)] == [2]
    found = exposure(city, "鬼怒川-L2")["depth_max_m"]
    assert 4.9 < found[0] < 5
    assert 19.9 < found[1] < 20


def test_mesh_files_have_the_class_where_river_files_have_a_number(
    city: Workspace, tmp_path: Path
) -> None:
    bring(city, file(tmp_path / "A31b-20-25_5439.geojson", {"A31b_201": [6]}))
    bring(city, file(tmp_path / "A31-22_20_5439.geojson", {"A31_201": [2]}), layer_id="old-L2")
    assert described(city, "A31b-20-25_5439-L2_rank")["scale"] == "L2"
    assert exposure(city, "A31b-20-25_5439-L2")["depth_max_m"][0] == 20.0
    assert 2.9 < exposure(city, "old-L2")["depth_max_m"][0] < 3.0


def test_steps_of_2012_have_bounds_of_their_own(city: Workspace, tmp_path: Path) -> None:
    bring(city, file(tmp_path / "A31-12_09.shp", {"A31_001": [14, 24]}))
    found = exposure(city, "A31-12_09")["depth_max_m"]
    assert (4.9 < found[0] < 5.0, 2.9 < found[1] < 3.0) == (True, True)


def test_landslide_zones_mean_leave_and_keep_their_kind(city: Workspace, tmp_path: Path) -> None:
    bring(city, file(tmp_path / "A33-25_09.geojson", {
        "A33_001": [1, 2], "A33_002": [1, 2], "A33_005": ["才ノ原1", "才ノ原2"], "A33_007": ["2018/03/15"] * 2,
    }))  # fmt: skip
    found = exposure(city, "A33-25_09")
    assert found["zones"][:3] == [["landslide_warning"], ["landslide_special"], []]
    assert found["verdict"][:3] == ["leave", "leave", "outside_assumed_area"]
    assert found["reasons"][0] == ["hazard_requires_leaving"]
    assert found["hazard"][0] == "landslide"


def test_tsunami_surge_and_inland_classes_are_read_from_their_words(
    city: Workspace, tmp_path: Path
) -> None:
    bring(city, file(tmp_path / "A40-23_27.shp", {"A40_001": ["栃木県"] * 2, "A40_002": ["09"] * 2,
                     "A40_003": ["0.3m以上 ～ 1.0m未満", "２０ｍ以上"]}))  # fmt: skip
    bring(
        city,
        file(tmp_path / "A49-21_27.geojson", {"A49_003": ["0.3m以上0.5m未満", "10m以上20m未満"]}),
    )
    bring(city, file(tmp_path / "A51-25_09201.geojson", {"A51_004": ["09201"] * 2,
                     "A51_005": ["0.3m未満", "0.5m以上1m未満"]}))  # fmt: skip
    tsunami = exposure(city, "A40-23_27")
    assert (0.99 < tsunami["depth_max_m"][0] < 1.0, tsunami["depth_max_m"][1]) == (True, 20.0)
    assert tsunami["zones"][:3] == [["tsunami"], ["tsunami"], []]
    assert tsunami["verdict"][:2] == ["leave", "leave"]
    surge = exposure(city, "A49-21_27")
    assert 0.49 < surge["depth_max_m"][0] < 0.5
    assert surge["verdict"][0] == "unknown"  # 高潮: one may stay, if duration and zones were known
    inland = exposure(city, "A51-25_09201")
    assert 0.29 < inland["depth_max_m"][0] < 0.3


def test_an_unknown_code_is_kept_listed_and_never_shallow(city: Workspace, tmp_path: Path) -> None:
    record = bring(city, file(tmp_path / "A49-21_27.geojson", {"A49_003": ["0.3m未満", "ランクX"]}))
    assert any("unknown_codes ランクX" in note for note in record.notes)
    assert described(city, "A49-21_27_rank")["unknown_codes"] == ["ランクX"]
    found = exposure(city, "A49-21_27")
    assert found["depth_max_m"][1] is None
    assert found["verdict"][1] == "unknown"
    bring(city, file(tmp_path / "A31b.geojson", {"A31b_201": [1, None]}))
    assert exposure(city, "A31b-L2")["verdict"][1] == "unknown"  # inside, the class is missing


def test_an_unknown_class_beside_a_known_one_takes_the_permission_back(
    city: Workspace, tmp_path: Path
) -> None:
    shapes = [HOUSE, shapely.box(139.8799, 36.5499, 139.88005, 36.5503)]
    bring(city, file(tmp_path / "a.geojson", {"A51_005": ["0.3m未満", "?"]}, shapes))
    bring(
        city,
        file(tmp_path / "h.gpkg", {"class_code": ["1"], "hazard": ["inland_flood"]}),
        layer_id="a_duration",
    )
    found = exposure(city, "a")
    assert found["verdict"][0] == "unknown"
    assert "depth_unsurveyed" in found["reasons"][0]


def test_no_known_code_at_all_is_an_error(city: Workspace, tmp_path: Path) -> None:
    with pytest.raises(BadInputError):
        bring(city, file(tmp_path / "x.geojson", {"A31a_205": [77, 78]}))
    assert not list(city.hazards.glob("*"))


def test_the_same_data_in_two_formats_is_read_once(city: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "A31a-25_09_GML"
    folder.mkdir()
    for suffix in ("shp", "geojson"):
        file(folder / f"A31a-20-25_8303.{suffix}", river(2, "鬼怒川", 3))
    record = bring(city, folder)
    assert [k for k in record.counts if k.startswith("hazard")] == ["hazard-鬼怒川-L2_rank"]
    assert any("left out" in note for note in record.notes)


def test_files_of_one_name_in_two_folders_never_take_each_others_place(
    city: Workspace, tmp_path: Path
) -> None:
    for name, code in (("kinu", 2), ("naka", 5)):
        (tmp_path / name).mkdir()
        file(tmp_path / name / "depth.shp", {"A31b_201": [code]})
    record = bring(city, tmp_path / "kinu", tmp_path / "naka")
    assert [f["error"] for f in record.failed] == ["hazard_same_name"]
    assert record.counts["hazard-depth-L2_rank"] == 1
    assert 2.9 < exposure(city, "depth-L2")["depth_max_m"][0] < 3.0


def test_area_weighted_mean_of_classes(city: Workspace, tmp_path: Path) -> None:
    west = shapely.box(139.8799, 36.5499, 139.88005, 36.5503)  # a quarter of building 0
    east = shapely.box(139.88005, 36.5499, 139.8803, 36.5503)
    bring(city, file(tmp_path / "k.geojson", {"A31b_201": [1, 3]}, [west, east]))
    found = exposure(city, "k-L2")
    assert found["depth_mean_m"][0] == pytest.approx(0.25 * 0.5 + 0.75 * 5.0, rel=1e-4)


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("0.3m未満", (0.0, 0.3)), ("0.3m以上0.5m未満", (0.3, 0.5)), ("3m以上～5m未満", (3.0, 5.0)),
        ("5.0m以上 〜 10.0m未満", (5.0, 10.0)), ("20m以上", (20.0, None)), ("1.0～2.0m", (1.0, 2.0)),
        ("～0.3m未満", (0.0, 0.3)), ("0.01m以上0.3m未満", (0.01, 0.3)), ("30cm以上50cm未満", (0.3, 0.5)),
        ("30cm未満", (0.0, 0.3)), ("０．５ｍ以上１ｍ未満", (0.5, 1.0)), ("2m-5m", (2.0, 5.0)),
        ("0.5メートル以上1メートル未満", (0.5, 1.0)), ("", None), ("不明", None), ("3", None), ("5m以上3m未満", None),
        ("10", None), ("1m", None),
    ],
)  # fmt: skip
def test_words_of_a_class(text: str, bounds: tuple[float, float | None] | None) -> None:
    assert bounds_of(text) == bounds


def test_every_layout_says_what_it_is() -> None:
    for layout in layouts():
        assert layout.source
        assert layout.column
        assert layout.quantity or layout.quantities
        assert layout.is_text or layout.legend or layout.classes or layout.quantities
