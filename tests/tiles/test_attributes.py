"""Attribute columns and cards against the tables they come from."""

from __future__ import annotations

import gzip
import json
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow.parquet as pq
import pytest

from citymap.hazard.legend import legends
from citymap.workspace import Workspace


def _column(town: Workspace, entry: dict[str, Any]) -> np.ndarray:
    raw = gzip.decompress((town.tiles / (unquote(entry["url"]) + ".gz")).read_bytes())
    return np.frombuffer(raw, np.dtype(entry["dtype"]))


@pytest.fixture(scope="session")
def entries(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {e["id"]: e for e in manifest["attributes"]}


@pytest.fixture(scope="session")
def records(town: Workspace) -> list[dict[str, Any]]:
    return pq.read_table(town.buildings).to_pylist()


def test_ids_are_unique_and_every_column_has_a_value_per_row(
    town: Workspace, manifest: dict[str, Any], entries: dict[str, dict[str, Any]]
) -> None:
    assert len(entries) == len(manifest["attributes"])
    assert len({e["url"] for e in entries.values()}) == len(entries)
    for e in entries.values():
        assert _column(town, e).size == manifest["buildings"]["count"]


def test_every_legend_entry_speaks_both_languages(entries: dict[str, dict[str, Any]]) -> None:
    for e in entries.values():
        assert e["title"]["ja"] and e["title"]["en"]
        assert e["nodata_label"]["ja"] and e["nodata_label"]["en"]
        for line in e["legend"]:
            assert line["label"]["ja"] and line["label"]["en"]
            assert len(line["colour"]) == 3


def test_usage_decodes_to_what_the_table_says(
    town: Workspace, entries: dict[str, dict[str, Any]], records: list[dict[str, Any]]
) -> None:
    entry = entries["usage"]
    label = {line["value"]: line["label"]["ja"] for line in entry["legend"]}
    for value, record in zip(_column(town, entry).tolist(), records, strict=True):
        assert label.get(value) == record["usage"]
    assert {line["code"]: line["label"]["en"] for line in entry["legend"]}[
        "411"
    ] == "Detached houses"


def test_missing_structure_is_nodata_not_a_class(
    town: Workspace, entries: dict[str, dict[str, Any]], records: list[dict[str, Any]]
) -> None:
    entry = entries["structure"]
    values = _column(town, entry)
    missing = np.array([r["structure_code"] is None for r in records])
    assert (values[missing] == entry["nodata"]).all() and missing.any()
    assert (values[~missing] != entry["nodata"]).all()
    assert entry["nodata"] not in {line["value"] for line in entry["legend"]}


@pytest.mark.parametrize("name", ["measured_height_m", "storeys_above", "year_built"])
def test_missing_numbers_stay_nan(
    town: Workspace, entries: dict[str, dict[str, Any]], records: list[dict[str, Any]], name: str
) -> None:
    values = _column(town, entries[name])
    expected = np.array([np.nan if r[name] is None else r[name] for r in records], np.float32)
    assert np.array_equal(values, expected, equal_nan=True) and np.isnan(values).any()


def test_no_risk_is_lost_and_none_is_made_up(
    town: Workspace, entries: dict[str, dict[str, Any]], records: list[dict[str, Any]]
) -> None:
    columns = {i: _column(town, e) for i, e in entries.items() if e.get("group") == "risk"}
    fields = {"depth": "depth_m", "rank": "rank", "duration": "duration_h"}
    found = 0
    for row, record in enumerate(records):
        for risk in record["risks"]:
            for quantity, field in fields.items():
                if risk[field] is None:
                    continue
                for name in (risk["name"], "*"):
                    id_ = f"risk:{risk['hazard']}:{name}:{risk['scale'] or '-'}:{quantity}"
                    assert columns[id_][row] == pytest.approx(risk[field], rel=1e-6)
                found += 1
        if not record["risks"]:
            for id_, values in columns.items():
                nodata = entries[id_]["nodata"]
                assert np.isnan(values[row]) if nodata == "NaN" else values[row] == nodata
    assert found > 500


def test_rank_without_risk_is_never_safe(entries: dict[str, dict[str, Any]]) -> None:
    entry = entries["risk:river_flood:*:L2:rank"]
    assert entry["nodata_label"]["ja"] == "浸水想定の記載なし"
    assert entry["nodata"] not in {line["value"] for line in entry["legend"]}


def test_river_ranks_and_depths_wear_the_official_colours(
    entries: dict[str, dict[str, Any]],
) -> None:
    official = legends()["depth"].classes
    for line in entries["risk:river_flood:*:L2:rank"]["legend"]:
        assert tuple(line["colour"]) == official[line["value"] - 1].colour
    drawn = [tuple(line["colour"]) for line in entries["risk:river_flood:*:L2:depth"]["legend"]]
    assert drawn == [c.colour for c in official]
    hours = [line["min"] for line in entries["risk:river_flood:*:L2:duration"]["legend"]]
    assert hours == [c.minimum for c in legends()["duration"].classes]


def test_other_hazards_do_not_borrow_depth_classes(entries: dict[str, dict[str, Any]]) -> None:
    labels = [line["label"]["ja"] for line in entries["risk:landslide:*:-:rank"]["legend"]]
    assert labels == ["土砂災害警戒区域（架空）"]  # from the data set's own code list


def test_cards_hold_the_whole_record(
    town: Workspace, manifest: dict[str, Any], records: list[dict[str, Any]]
) -> None:
    chunk = manifest["buildings"]["chunk"]
    details = pq.read_table(town.building_attributes).to_pylist()
    for row in (0, 1, chunk - 1, chunk, len(records) - 1):
        path = town.tiles / (manifest["buildings"]["cards"].format(chunk=row // chunk) + ".gz")
        card = json.loads(gzip.decompress(path.read_bytes()))[row % chunk]
        expected = {k: v for k, v in records[row].items() if k != "geometry"}
        own = [d for d in details if d["gml_id"] == expected["gml_id"]]
        drawn = [
            (g["group"], v["name"], v["value"]) for g in card.pop("attributes") for v in g["values"]
        ]
        assert drawn == [(d["group"], d["name"], d["value"]) for d in own]
        assert card == expected


def test_ids_are_listed_by_row(
    town: Workspace, manifest: dict[str, Any], records: list[dict[str, Any]]
) -> None:
    path = town.tiles / (manifest["buildings"]["ids"] + ".gz")
    assert json.loads(gzip.decompress(path.read_bytes())) == [r["gml_id"] for r in records]
