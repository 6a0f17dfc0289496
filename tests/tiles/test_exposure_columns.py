"""Verdict, depth and dry floor on the map: published beside the tiles, replaced, and forgotten."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from citymap import tiles
from citymap.assess.exposure import compute
from citymap.progress import Quiet
from citymap.tiles.exposure import publish
from citymap.workspace import Workspace
from tests import small_city


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    workspace = small_city.make(tmp_path / "city")
    compute(workspace, progress=Quiet())
    return workspace


def column(city: Workspace, entry: dict[str, object]) -> np.ndarray:
    body = gzip.decompress((city.tiles / f"{entry['url']}.gz").read_bytes())
    return np.frombuffer(body, str(entry["dtype"]))


def manifest(city: Workspace) -> dict[str, object]:
    return json.loads((city.tiles / "manifest.json").read_text(encoding="utf-8"))


def test_the_map_shows_what_the_tables_say_and_hatches_what_is_not_known(city: Workspace) -> None:
    tiles.build(city, progress=Quiet(), workers=1)
    entries = {a["id"]: a for a in manifest(city)["attributes"]}
    said = pq.read_table(city.root / "exposure" / "combined.parquet")
    verdict = entries["verdict:combined"]
    codes = {e["value"]: e["code"] for e in verdict["legend"]} | {verdict["nodata"]: "unknown"}
    assert [codes[v] for v in column(city, verdict).tolist()] == said["verdict"].to_pylist()
    assert "unknown" in said["verdict"].to_pylist()
    depth = column(city, entries["depth:combined"])
    assert depth == pytest.approx(said["depth_max_m"].to_numpy(), nan_ok=True, rel=1e-6)


def test_publishing_again_replaces_and_an_empty_folder_takes_away(city: Workspace) -> None:
    tiles.build(city, progress=Quiet(), workers=1)
    before = [a["id"] for a in manifest(city)["attributes"]]
    publish(city)
    assert [a["id"] for a in manifest(city)["attributes"]] == before
    assert len(list(city.tiles.glob("x????????"))) == 1
    for path in (city.root / "exposure").glob("*.parquet"):
        path.unlink()
    assert publish(city) == []
    assert not [i for a in manifest(city)["attributes"] if (i := a.get("group")) == "exposure"]
    assert not list(city.tiles.glob("x????????"))
