"""Joins what is not a building (terrain, roads, base map, hazards, open data) to the import record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from citymap.errors import BadInputError
from citymap.hazard.mesh_grid import import_mesh_csv
from citymap.hazard.netcdf_import import import_hazard_netcdf
from citymap.hazard.raster_import import import_hazard_raster
from citymap.hazard.tile_import import import_hazard_tiles
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
        maps = [f for f in files if f.theme in _GRIDS or f.theme in _VECTORS]
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
_GRIDS = frozenset({"geotiff", "csv", "netcdf", "png-tile"})
# Downloads hold the same areas in several formats: the first of these is read.
_PREFERRED = ("geopackage", "geoparquet", "flatgeobuf", "geojson", "shapefile", "kml")
_ENCODING_FOLDERS = frozenset({"shift-jis", "shift_jis", "sjis", "utf-8", "utf8"})
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
    """Grids, areas and tiles that the person says are hazard maps; one that fails stops no other."""
    tiles = [f for f in files if f.theme == "png-tile"]
    files = _once(files, record.notes)
    if tiles:
        wanted = options.layer_id if not files else None
        try:
            done = import_hazard_tiles(
                workspace, [f.path for f in tiles], layer_id=wanted, legend=options.legend,
                vintage=record.edition,
            )  # fmt: skip
        except BadInputError as e:
            record.failed.append({**e.as_dict(), "place": e.place or "PNG"})
        else:
            _enter(record, done.ids, done.notes)
    stems: set[str] = set()
    for file in files:
        wanted = options.layer_id if len(files) == 1 and not tiles else None
        try:
            if file.path.stem in stems:  # it would take the other's place
                raise BadInputError("hazard_same_name", place=str(file.path))
            stems.add(file.path.stem)
            ids, notes = _hazard(workspace, file, wanted, record.edition)
        except BadInputError as e:
            record.failed.append({**e.as_dict(), "place": e.place or file.name})
        else:
            _enter(record, ids, notes)


def _enter(record: ImportRecord, ids: list[str], notes: list[str]) -> None:
    record.notes += notes
    for name in ids:
        record.counts[f"hazard-{name}"] = 1


def _hazard(
    workspace: Workspace, file: SourceFile, wanted: str | None, vintage: str | None
) -> tuple[list[str], list[str]]:
    epsg = workspace.city().epsg
    if file.theme == "geotiff":
        name, notes = import_hazard_raster(
            workspace, file.path, layer_id=wanted, epsg=epsg, vintage=vintage
        )
        return [name], notes
    if file.theme == "csv":
        return import_mesh_csv(workspace, file.path, layer_id=wanted, epsg=epsg, vintage=vintage)
    if file.theme == "netcdf":
        return import_hazard_netcdf(
            workspace, file.path, layer_id=wanted, epsg=epsg, vintage=vintage
        )
    table = open_vector(file.path)
    read_as = table.attrs.pop("read_as", "")
    done = import_hazard_areas(
        workspace, table, file.path.name, layer_id=wanted, vintage=vintage,
        path=file.path, epsg=epsg,
    )  # fmt: skip
    if read_as:
        done.notes.append(f"{file.path.name}: {read_as}")
    return done.ids, done.notes


def _once(files: list[SourceFile], notes: list[str]) -> list[SourceFile]:
    """Each data set once: of files of one name in one folder the format that says most."""
    kept: dict[tuple[str, str], SourceFile] = {}
    others: list[SourceFile] = []
    for file in files:
        if file.theme == "png-tile":
            continue
        if file.theme not in _PREFERRED:
            others.append(file)
            continue
        folder = file.path.parent
        home = folder.parent if folder.name.lower() in _ENCODING_FOLDERS else folder
        key = (str(home), file.path.stem)
        known = kept.get(key)
        pair = sorted(filter(None, (known, file)), key=lambda f: _PREFERRED.index(f.theme))
        kept[key] = pair[0]
        if len(pair) > 1:
            notes.append(f"{pair[1].name}: the same as {pair[0].name}, left out")
    return [*others, *kept.values()]
