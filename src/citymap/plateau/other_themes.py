"""Joins what is not a building (terrain, roads, base map, hazards, open data) to the import record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from citymap.plateau.codelist import Codelists
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
    report = import_themes(
        workspace, files, epsg=workspace.city().epsg, codelists=codelists,
        raster_is_dem=options.kind == "dem", edition=record.edition, progress=progress,
    )  # fmt: skip
    for name, count in report.counts.items():
        record.counts[name] = record.counts.get(name, 0) + count
    record.skipped += report.skipped
    record.failed += report.failed
    record.notes += report.notes
    if report.bbox is not None:
        workspace.extend_bbox(report.bbox)
