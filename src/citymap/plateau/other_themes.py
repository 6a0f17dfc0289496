"""Joins what is not a building (terrain, roads, base map, hazards, open data) to the import record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from citymap.errors import BadInputError
from citymap.hazard.raster_import import import_hazard_raster
from citymap.hazard.vector_import import import_hazard_areas
from citymap.places.build import import_places
from citymap.places.layer_import import import_picture, import_vector_layer, open_vector
from citymap.plateau.codelist import Codelists
from citymap.plateau.district_join import join_districts
from citymap.plateau.raw import Skipped
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
        maps = [f for f in files if f.theme == "geotiff" or f.theme in _VECTORS]
        files = [f for f in files if f not in maps]
        _hazards(workspace, maps, options, record)
    if options.kind in {"layer", "ortho"}:
        files = _own_layers(workspace, files, options, record)
    if options.kind == "places":
        files = _places(workspace, files, options, record)
    report = import_themes(
        workspace, files, epsg=workspace.city().epsg, codelists=codelists,
        raster_is_dem=options.kind == "dem", edition=record.edition, progress=progress,
    )  # fmt: skip
    joined = 0
    if "buildings" in record.counts or report.counts["districts"]:
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


_VECTORS = frozenset({"geojson", "shapefile", "geopackage", "geoparquet", "flatgeobuf", "kml"})
_LISTS = frozenset({"csv", "geojson", "shapefile"})


def _own_layers(
    workspace: Workspace, files: list[SourceFile], options: ImportOptions, record: ImportRecord
) -> list[SourceFile]:
    """Files that the person says are layers or orthophotos; returns the files that are neither."""
    epsg = workspace.city().epsg
    kinds = {"geotiff"} if options.kind == "ortho" else {"geotiff", *_VECTORS}
    chosen = [f for f in files if f.theme in kinds]
    for file in chosen:
        wanted = options.layer_id if len(chosen) == 1 else None
        try:
            if file.theme == "geotiff":
                count = 1
                name = import_picture(
                    workspace, file.path, layer_id=wanted, epsg=epsg,
                    kind="ortho" if options.kind == "ortho" else "raster", vintage=record.edition,
                )  # fmt: skip
            else:
                name, count = import_vector_layer(
                    workspace, file.path, layer_id=wanted, vintage=record.edition
                )
        except BadInputError as e:
            record.failed.append({**e.as_dict(), "place": e.place or file.name})
        else:
            record.counts[f"layer-{name}"] = count
    return [f for f in files if f.theme not in kinds]


def _places(
    workspace: Workspace, files: list[SourceFile], options: ImportOptions, record: ImportRecord
) -> list[SourceFile]:
    """Lists whose kind the person names (`--id`), else the columns say; returns the other files."""
    chosen = [f for f in files if f.theme in _LISTS]
    lists, failed = import_places(workspace, [f.path for f in chosen], kind=options.layer_id)
    record.failed += failed
    for one in lists:
        record.counts[one.kind] = record.counts.get(one.kind, 0) + one.written
        record.notes += one.notes()
        record.skipped += [Skipped(s.file, s.line, s.id, s.reason, s.detail) for s in one.skipped]
    return [f for f in files if f.theme not in _LISTS]


def _hazards(
    workspace: Workspace, files: list[SourceFile], options: ImportOptions, record: ImportRecord
) -> None:
    """GeoTIFFs and areas that the person says are hazard maps."""
    epsg = workspace.city().epsg
    for file in files:
        wanted = options.layer_id if len(files) == 1 else None
        try:
            if file.theme == "geotiff":
                name = import_hazard_raster(
                    workspace, file.path, layer_id=wanted, epsg=epsg, vintage=record.edition
                )
            else:
                name, notes = import_hazard_areas(
                    workspace,
                    open_vector(file.path),
                    file.path.name,
                    layer_id=wanted,
                    vintage=record.edition,
                )
                record.notes += notes
        except BadInputError as e:
            record.failed.append({**e.as_dict(), "place": e.place or file.name})
        else:
            record.counts[f"hazard-{name}"] = 1
