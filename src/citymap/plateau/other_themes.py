"""Joins what is not a building (terrain, roads, base map, hazards, open data) to the import record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from citymap.errors import BadInputError
from citymap.hazard.raster_import import import_hazard_raster
from citymap.plateau.codelist import Codelists
from citymap.plateau.district_join import join_districts
from citymap.plateau.theme_import import import_themes
from citymap.progress import Progress
from citymap.workspace import Workspace

if TYPE_CHECKING:
    from citymap.plateau.archive import SourceFile
    from citymap.plateau.importer import ImportOptions, ImportRecord


def import_others(
    workspace: Workspace, files: list[SourceFile], *, codelists: Codelists, options: ImportOptions,
    record: ImportRecord, progress: Progress,
) -> None:  # fmt: skip
    """Import the files that are not buildings; what fails is recorded, the rest goes on."""
    if options.kind == "hazard":
        rasters = [f for f in files if f.theme == "geotiff"]
        files = [f for f in files if f.theme != "geotiff"]
        _hazards(workspace, rasters, options, record)
    report = import_themes(
        workspace, files, epsg=workspace.city().epsg, codelists=codelists,
        raster_is_dem=options.kind == "dem", edition=record.edition, progress=progress,
    )  # fmt: skip
    joined = join_districts(workspace)
    if joined:
        record.counts["buildings_in_districts"] = joined
    for name, count in report.counts.items():
        record.counts[name] = record.counts.get(name, 0) + count
    record.skipped += report.skipped
    record.failed += report.failed
    record.notes += report.notes
    if report.bbox is not None:
        workspace.extend_bbox(report.bbox)


def _hazards(
    workspace: Workspace, files: list[SourceFile], options: ImportOptions, record: ImportRecord
) -> None:
    """GeoTIFFs that the person says are hazard maps."""
    epsg = workspace.city().epsg
    for file in files:
        wanted = options.layer_id if len(files) == 1 else None
        try:
            name = import_hazard_raster(
                workspace, file.path, layer_id=wanted, epsg=epsg, vintage=record.edition
            )
        except BadInputError as e:
            record.failed.append({**e.as_dict(), "place": e.place or file.name})
        else:
            record.counts[f"hazard-{name}"] = 1
