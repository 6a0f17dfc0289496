"""`hazard-<id>` and `flood-<name>`: areas as they are, grids as polygons of their legend's classes."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
import rasterio.features
import shapely

from citymap import crs
from citymap.hazard.legend import DEPTH, legends
from citymap.i18n import LANGUAGES, catalogue, t
from citymap.share.exchange.layer import SOURCES, Entry, Outgoing, Source, Style
from citymap.share.gate import may_see, release_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from citymap.layers.catalogue import Audience
    from citymap.model.legend import Legend
    from citymap.workspace import Workspace

BLOCK_ROWS = 2048  # of a grid classified at a time


def _ids(workspace: Workspace) -> list[str]:
    return [f"hazard-{p.stem}" for p in sorted(workspace.hazards.glob("*.toml"))]


def class_polygons(path: Path, legend: Legend) -> pa.Table:
    """One row a connected area of one class: `class`, `min`, `max`, `label` and geometry (EPSG:6668).

    Dry cells and cells without a value make no area: what is not here is not said to be dry.
    """
    with rasterio.open(path, driver="GTiff") as source:
        epsg = source.crs.to_epsg()
        classes = np.zeros((source.height, source.width), np.uint8)
        for top in range(0, source.height, BLOCK_ROWS):
            rows = min(BLOCK_ROWS, source.height - top)
            window = ((top, top + rows), (0, source.width))
            values = source.read(1, window=window, masked=True).astype(float).filled(np.nan)
            values[values <= 0] = np.nan
            classes[top : top + rows] = legend.classify(values) + 1
        found = list(
            rasterio.features.shapes(classes, mask=classes > 0, transform=source.transform)
        )
    numbers = np.array([int(v) - 1 for _, v in found], np.int64)
    shapes = np.array([shapely.geometry.shape(s) for s, _ in found], object)
    moved = shapely.transform(
        shapes, lambda c: np.column_stack(crs.unproject(c[:, 0], c[:, 1], epsg))
    )
    chosen = [legend.classes[n] for n in numbers]
    return pa.table({
        "class": pa.array(numbers + 1, pa.int32()),
        "min": pa.array([c.minimum for c in chosen], pa.float64()),
        "max": pa.array([c.maximum for c in chosen], pa.float64()),
        "label": pa.array([c.label["ja"] for c in chosen], pa.string()),
        "geometry": pa.array(shapely.to_wkb(moved), pa.binary()),
    })  # fmt: skip


def _legend_style(legend: Legend) -> Style:
    return Style(
        "class",
        tuple(Entry(i, c.label["ja"], c.colour) for i, c in enumerate(legend.classes, 1)),
    )


def described(path: Path) -> dict[str, Any]:
    """What the TOML beside a hazard layer says of it."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def title(about: Mapping[str, Any], lang: str, *, quantity: bool = True) -> str:
    """River and scale, and what the layer holds of them: several layers of a GIS's list share the first two."""
    words = [str(about.get("name") or "")]
    for key, known in (
        ("scale", about.get("scale")),
        ("quantity", quantity and about.get("quantity")),
    ):
        if known:
            named = f"overlay.{key}.{known}"
            words.append(t(named, lang) if named in catalogue() else str(known))
    return " ".join(w for w in words if w)


def _load(workspace: Workspace, layer: str, audience: Audience) -> Outgoing | None:
    if layer not in _ids(workspace) or not may_see("hazard", audience):
        return None
    name = layer.removeprefix("hazard-")
    about = described(workspace.hazards / f"{name}.toml")
    titles = {lang: title(about, lang) or name for lang in LANGUAGES}
    source, vintage = (str(about.get(k, "")) for k in ("source", "vintage"))
    raster = workspace.hazards / f"{name}.tif"
    if raster.is_file():
        legend = legends().get(str(about.get("legend", ""))) or legends()[DEPTH]
        return Outgoing(
            layer,
            titles,
            class_polygons(raster, legend),
            _legend_style(legend),
            raster,
            source=source,
            vintage=vintage,
            legend=legend.id,
        )
    table = release_table("hazard", pq.read_table(workspace.hazards / f"{name}.parquet"), audience)
    style = None
    if about.get("legend") and isinstance(about["legend"], list) and "rank" in table.column_names:
        style = Style(
            "rank",
            tuple(
                Entry(int(c["value"]), str(c["ja"]), (*c["colour"],))
                for c in about["legend"]
                if str(c["value"]).isdigit()
            ),
        )
    return Outgoing(layer, titles, table, style, source=source, vintage=vintage)


def _hazard_files(workspace: Workspace, layer: str) -> list[Path]:
    name = layer.removeprefix("hazard-")
    return [workspace.hazards / f"{name}{suffix}" for suffix in (".toml", ".tif", ".parquet")]


SOURCES.register("hazard")(Source(_ids, _load, _hazard_files))


def _flood_files(workspace: Workspace) -> dict[str, Path]:
    root = workspace.root / "scenarios"
    found = sorted(root.glob("*/**/max_depth.tif"))
    return {f"flood-{p.relative_to(root).parts[0]}": p for p in found}


def _flood(workspace: Workspace, layer: str, audience: Audience) -> Outgoing | None:
    path = _flood_files(workspace).get(layer)
    if path is None or audience in {"public", "field"}:  # a scenario is no forecast
        return None
    title = {
        "ja": f"浸水シナリオ（最大浸水深）{layer}",
        "en": f"Flood scenario, maximum depth: {layer}",
    }
    legend = legends()[DEPTH]
    return Outgoing(
        layer, title, class_polygons(path, legend), _legend_style(legend), path, legend=DEPTH
    )


SOURCES.register("flood")(
    Source(lambda w: list(_flood_files(w)), _flood, lambda w, layer: [_flood_files(w)[layer]])
)
