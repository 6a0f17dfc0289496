"""What a workspace holds, in numbers (`citymap info`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from citymap.workspace import Workspace


def _rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows) if path.exists() else 0


def inventory(workspace: Workspace) -> dict[str, Any]:
    """Name, code, zone, bbox and counts of a city.

    Raises:
        BadInputError: the folder is no city.
    """
    city = workspace.city()
    hazards = sorted(
        {p.stem for suffix in ("*.tif", "*.parquet") for p in workspace.hazards.glob(suffix)}
    )
    places = {p.stem: _rows(p) for p in sorted(workspace.places.glob("*.parquet"))}
    layers = ["buildings"] if workspace.buildings.exists() else []
    layers += [f"hazard-{h}" for h in hazards] + list(places)
    return {
        "name": city.name, "name_en": city.name_en, "code": city.code, "epsg": city.epsg,
        "zone_is_guess": city.zone_is_guess, "bbox": list(city.bbox) if city.bbox else None,
        "buildings": _rows(workspace.buildings), "roads": _rows(workspace.roads),
        "districts": _rows(workspace.districts), "addresses": _rows(workspace.addresses),
        "terrain": workspace.terrain.exists(), "hazards": hazards, "places": places, "layers": layers,
        "base": {p.stem: _rows(p) for p in sorted(workspace.base.glob("*.parquet"))},
        "imports": len(list(workspace.imports.glob("*.json"))),
    }  # fmt: skip
