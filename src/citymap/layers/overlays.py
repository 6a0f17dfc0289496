"""What can be laid over the city: its hazard maps, its own layers, and those of other servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import rasterio
import shapely
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds

from citymap import i18n
from citymap.errors import BadInputError, CitymapError
from citymap.hazard.legend import legends
from citymap.hazard.sets import HazardLayer, hazard_layers
from citymap.layers.catalogue import (
    LOCAL_OVERLAYS,
    REMOTE_OVERLAYS,
    Audience,
    Layer,
    Legend,
    LegendClass,
    Source,
    Text,
    own,
)

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.workspace import Workspace

EVERYBODY: tuple[Audience, ...] = ("public", "field", "staff", "planner", "admin")
ZONE_COLOURS = {"collapse_flow": (150, 0, 80), "collapse_erosion": (190, 80, 0), "zone": (200, 130, 0),
                "surveyed_extent": (90, 90, 90)}  # fmt: skip
# Quiet colours: the saturated ones are kept for hazards.
MUTED: tuple[tuple[int, int, int], ...] = (
    (201, 215, 190), (230, 216, 173), (190, 205, 224), (222, 196, 208), (205, 194, 222), (180, 214, 208),
    (226, 203, 184), (207, 210, 175), (186, 196, 205), (216, 216, 216), (196, 186, 170), (172, 190, 172),
    (214, 188, 188), (170, 184, 210), (200, 200, 160), (184, 172, 196),
)  # fmt: skip

BRIDGE = (122, 92, 62)


@dataclass(frozen=True, slots=True)
class Overlay:
    """One layer that can be switched on; `path` and `stamp` (its version) where it is a file."""

    layer: Layer
    path: Path | None = None
    stamp: str = "0"

    @property
    def form(self) -> str:
        """What the renderer is sent: `raster` or `vector` tiles, or a `tileset`."""
        kind = self.layer.source.kind
        if kind in {"vector", "wfs", "oapif"}:
            return "vector"
        return "tileset" if kind == "tileset" else "raster"


def _words(key: str, **values: object) -> Text:
    return Text(ja=i18n.t(key, "ja", **values), en=i18n.t(key, "en", **values))


def _legend_of(hazard: HazardLayer) -> Legend:
    """The official classes, or those that came with the file, in their colours."""
    facts = hazard.facts
    missing = _words("overlay.missing")
    given = facts.get("legend")
    if isinstance(given, list):
        classes = tuple(
            LegendClass(
                label=Text(ja=str(c.get("ja") or c["value"]), en=str(c.get("en") or "")),
                colour=tuple(c["colour"]), value=str(c["value"]),
            )
            for c in given
            if isinstance(c, dict) and "colour" in c and "value" in c
        )  # fmt: skip
        if classes:
            return Legend(quantity=hazard.quantity, unit="m", missing=missing, classes=classes)
    known = legends()
    chosen = (
        given if isinstance(given, str) else {"rank": "depth"}.get(hazard.quantity, hazard.quantity)
    )
    if chosen in known:
        official = known[chosen]
        classes = tuple(
            LegendClass(
                label=Text(ja=c.label["ja"], en=c.label.get("en", "")), colour=c.colour,
                min=c.minimum, max=c.maximum,
                value=str(k + 1) if hazard.quantity == "rank" else None,
            )
            for k, c in enumerate(official.classes)
        )  # fmt: skip
        return Legend(
            quantity=official.quantity, unit=official.unit, missing=missing, classes=classes
        )
    label = _words(f"overlay.quantity.{hazard.quantity}")
    colour = ZONE_COLOURS.get(hazard.quantity, (120, 60, 160))
    return Legend(
        quantity=hazard.quantity,
        missing=missing,
        classes=(LegendClass(label=label, colour=colour),),
    )


def _column(hazard: HazardLayer) -> str:
    """The column that the legend of a table of areas speaks of."""
    names = pq.read_schema(hazard.path).names
    order = (
        ("class_code", "rank", "depth_m") if hazard.quantity in {"rank", "depth", "zone"} else ()
    )
    return next((n for n in order if n in names), "")


def _of_hazard(group: str, hazard: HazardLayer, *, fictional: bool) -> Layer:
    name = str(hazard.facts.get("name") or group)
    scale = str(hazard.facts.get("scale") or "")
    scaled = {lang: i18n.t(f"overlay.scale.{scale}", lang) if scale in {"L1", "L2"} else scale for lang in i18n.LANGUAGES}  # fmt: skip
    head = Text(
        ja=" ".join(x for x in (name, scaled["ja"]) if x),
        en=" ".join(x for x in (name, scaled["en"]) if x),
    )
    vague = hazard.quantity == "rank"
    said = str(hazard.facts.get("attribution") or "")
    if not said and hazard.facts.get("source") == "PLATEAU CityGML" and not fictional:
        said = "国土交通省 Project PLATEAU"
    return Layer(
        id=f"hazard-{hazard.id}"[:81], group=head, order=20 if hazard.quantity in {"depth", "rank"} else 22,
        title=_words(f"overlay.quantity.{hazard.quantity}"),
        source=Source(
            kind="raster" if hazard.is_raster else "vector",
            path=f"hazards/{hazard.path.name}", column="" if hazard.is_raster else _column(hazard),
        ),
        legend=_legend_of(hazard), audience=EVERYBODY,
        attribution=Text(ja=said), licence=str(hazard.facts.get("licence") or ""),
        vintage=str(hazard.facts.get("vintage") or ""), visible=False,
        opacity=0.6 if vague else 0.7,
    )  # fmt: skip


def _of_base(workspace: Workspace, name: str, *, fictional: bool) -> Layer | None:
    """Urban planning zones, land use or bridges of the city model, coloured by their kind."""
    path = workspace.base / f"{name}.parquet"
    if not path.is_file():
        return None
    table = pq.read_table(path, columns=["kind_code", "kind"])
    counted = table.filter(table["kind_code"].is_valid()).group_by(["kind_code", "kind"])
    rows = counted.aggregate([("kind_code", "count")]).sort_by(
        [("kind_code_count", "descending"), ("kind_code", "ascending")]
    ).to_pylist()[: len(MUTED)]  # fmt: skip
    title = _words(f"overlay.base_{name}")
    classes = tuple(
        LegendClass(label=Text(ja=str(row["kind"] or row["kind_code"])), colour=colour,
                    value=str(row["kind_code"]))
        for row, colour in zip(rows, MUTED, strict=False)
    )  # fmt: skip
    if not classes and table.num_rows:  # bridges of many cities are of no stated kind
        classes = (LegendClass(label=title, colour=BRIDGE),)
    if not classes:
        return None
    return Layer(
        id=f"base-{name}", group=_words("overlay.base"), title=title, order=5,
        source=Source(kind="vector", path=f"base/{name}.parquet", column="kind_code", fields=("kind", "name")),
        legend=Legend(quantity=name, missing=_words("overlay.base_missing"), classes=classes),
        audience=EVERYBODY, attribution=Text(ja="" if fictional else "国土交通省 Project PLATEAU"),
        licence="" if fictional else "CC-BY-4.0", vintage="", visible=False, opacity=0.7,
    )  # fmt: skip


def overlays(
    workspace: Workspace, *, audience: Audience = "public"
) -> tuple[list[Overlay], list[CitymapError]]:
    """Everything this audience may lay over the city, in drawing order, and what cannot be used."""
    good, problems = own(workspace)
    found: list[Layer] = [x for x in good if x.source.kind in (*LOCAL_OVERLAYS, *REMOTE_OVERLAYS)]
    bad: list[CitymapError] = list(problems)
    try:
        fictional = workspace.exists() and workspace.city().fictional
        found += [
            x
            for n in ("urban", "landuse", "bridge")
            if (x := _of_base(workspace, n, fictional=fictional))
        ]
        found += [
            _of_hazard(group, hazard, fictional=fictional)
            for group, hazard in hazard_layers(workspace)
        ]
    except (CitymapError, OSError, ValueError) as e:
        bad.append(e if isinstance(e, CitymapError) else BadInputError("hazard_description", place=str(workspace.hazards), reason=e))  # fmt: skip
    seen: set[str] = set()
    out = []
    for layer in sorted(found, key=lambda x: (x.order, x.id)):
        if layer.id in seen or audience not in layer.audience:
            continue
        seen.add(layer.id)
        if layer.source.remote:
            out.append(Overlay(layer))
            continue
        path = (workspace.root / layer.source.path).resolve()
        if not path.is_relative_to(workspace.root.resolve()) or not path.exists():
            bad.append(BadInputError("layer_no_file", place=layer.id, path=layer.source.path))
            continue
        stat = path.stat()
        out.append(Overlay(layer, path, f"{stat.st_mtime_ns ^ stat.st_size:x}"[-12:]))
    return out, bad


def find(workspace: Workspace, layer_id: str, *, audience: Audience) -> Overlay | None:
    """The overlay of that id, where this audience may see it."""
    listed, _ = overlays(workspace, audience=audience)
    return next((x for x in listed if x.layer.id == layer_id), None)


def bounds(overlay: Overlay) -> tuple[float, float, float, float] | None:
    """West, south, east, north (JGD2011 degrees) of a file; None where that is not known."""
    if overlay.path is None or overlay.form == "tileset":
        return None
    try:
        if overlay.form == "raster":
            with rasterio.open(overlay.path, driver="GTiff") as source:
                w, s, e, n = transform_bounds(source.crs, "EPSG:6668", *source.bounds)
        else:
            column = pq.read_table(overlay.path, columns=["geometry"])["geometry"]
            w, s, e, n = shapely.total_bounds(
                shapely.from_wkb(column.to_numpy(zero_copy_only=False))
            )
    except (RasterioError, OSError, ValueError, KeyError):
        return None
    return (float(w), float(s), float(e), float(n)) if w <= e else None
