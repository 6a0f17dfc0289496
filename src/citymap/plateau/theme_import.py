"""All files of an import that are not buildings → terrain, base map, roads, hazards, places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow.parquet as pq
import shapely

from citymap.errors import BadInputError
from citymap.places.build import import_places
from citymap.plateau.archive import SourceFile
from citymap.plateau.codelist import Codelists
from citymap.plateau.features import FeatureResult, read_features
from citymap.plateau.raw import Skipped
from citymap.plateau.road_network import write_roads
from citymap.plateau.theme_tables import write_base, write_hazards, write_links
from citymap.plateau.themes import THEMES
from citymap.progress import Progress
from citymap.terrain.build import estimate_from_buildings, import_dem
from citymap.workspace import Workspace

_PLACES = ("csv", "geojson", "shapefile")


@dataclass(slots=True)
class ThemeReport:
    """What the files gave: rows by table, features left out, files that failed, notes, extent."""

    counts: Counter[str] = field(default_factory=Counter)
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[dict[str, str | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bbox: tuple[float, float, float, float] | None = None


def import_themes(
    workspace: Workspace, files: Sequence[SourceFile], *, epsg: int, codelists: Codelists,
    raster_is_dem: bool = False, edition: str | None = None, progress: Progress,
) -> ThemeReport:  # fmt: skip
    """Import every file beside the buildings; a file that cannot be used is listed in `failed`.

    `raster_is_dem` is what the person says of GeoTIFFs (`--as dem`, heights in T.P.). Where the
    city has no DEM, a terrain is estimated from the buildings in the workspace and says so.
    """
    report = ThemeReport()
    _terrain(workspace, files, epsg, report, progress, raster_is_dem=raster_is_dem)
    _features(workspace, files, codelists, epsg, edition, report, progress)
    places = [f.path for f in files if f.theme in _PLACES]
    if places:
        lists, failed = import_places(workspace, places)
        report.failed += failed
        for one in lists:
            report.counts[one.kind] += one.written
            report.notes += one.notes()
            report.skipped += [
                Skipped(s.file, s.line, s.id, s.reason, s.detail) for s in one.skipped
            ]
    for file in files:
        if file.theme == "geotiff" and not raster_is_dem:
            error = BadInputError("raster_needs_as", place=file.name)
            report.failed.append({**error.as_dict(), "place": file.name})
        elif file.theme not in THEMES.load() and file.theme not in (
            "dem",
            "fg-gml",
            "geotiff",
            *_PLACES,
        ):
            report.notes.append(f"{file.name}: theme {file.theme} is not used")
    return report


def _terrain(
    workspace: Workspace, files: Sequence[SourceFile], epsg: int, report: ThemeReport,
    progress: Progress, *, raster_is_dem: bool,
) -> None:  # fmt: skip
    themes = ("dem", "fg-gml", "geotiff") if raster_is_dem else ("dem", "fg-gml")
    dems = [f.path for f in files if f.theme in themes]
    if dems:
        try:
            built = import_dem(
                workspace, dems, epsg=epsg, progress=progress,
                vertical_datum="T.P." if raster_is_dem else None,
            )  # fmt: skip
        except BadInputError as e:
            report.failed.append({**e.as_dict(), "place": e.place or "dem"})
        else:
            report.failed += built.failed
            report.counts["dem"] = built.files
            report.counts["terrain_cells"] = built.valid_cells
    if not workspace.terrain.is_file() and workspace.buildings.is_file():
        table = pq.read_table(workspace.buildings, columns=["ground_elevation_m", "geometry"])
        centres = shapely.get_coordinates(
            shapely.point_on_surface(shapely.from_wkb(table.column("geometry").to_pylist()))
        )
        ground = table.column("ground_elevation_m").to_numpy(zero_copy_only=False)
        if len(centres) == len(ground):
            made = estimate_from_buildings(
                workspace, centres[:, 0], centres[:, 1], ground, epsg=epsg
            )
            if made is not None:
                report.notes.append("terrain_estimated")


def _features(
    workspace: Workspace, files: Sequence[SourceFile], codelists: Codelists, epsg: int,
    edition: str | None, report: ThemeReport, progress: Progress,
) -> None:  # fmt: skip
    known = THEMES.load()
    chosen = [f for f in files if f.theme in known]
    results: list[FeatureResult] = []
    for i, file in enumerate(chosen):
        progress.update(i, len(chosen), f"{file.theme} {file.path.name}")
        try:
            result = read_features(file.path, file.theme, codelists, progress=progress)
        except BadInputError as e:
            report.failed.append({**e.as_dict(), "place": e.place or file.name})
            continue
        results.append(result)
        report.skipped += result.skipped
        report.notes += [f"{result.source_file}: {w}" for w in result.warnings]
        if result.bbox is not None:
            b, c = report.bbox or result.bbox, result.bbox
            report.bbox = (min(b[0], c[0]), min(b[1], c[1]), max(b[2], c[2]), max(b[3], c[3]))
    if not results:
        return
    report.counts.update(write_base(workspace, results))
    links = write_links(workspace, results)
    hazards = write_hazards(workspace, results, vintage=edition)
    report.counts.update({f"hazard-{k}": v for k, v in hazards.items()})
    if links or (workspace.base / "road.parquet").is_file():
        report.counts["roads"] = write_roads(workspace, epsg=epsg, progress=progress)
