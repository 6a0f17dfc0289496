"""`citymap share export`: one layer through the gate into one file, or a ZIP with its metadata."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from citymap.errors import BadInputError, UsageError
from citymap.share.doors import Door, declare
from citymap.share.exchange.format import FORMATS, Written
from citymap.share.exchange.layer import SOURCES
from citymap.share.exchange.package import zipped
from citymap.share.gate import kinds
from citymap.workspace import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from citymap.layers.catalogue import Audience
    from citymap.share.exchange.layer import Outgoing
    from citymap.workspace import Workspace

GEOGRAPHIC_OR_METRES = frozenset({4326, 6668, 3857, *range(6669, 6688)})


def layer_ids(workspace: Workspace) -> list[str]:
    """All layers that the city has, whoever may see them."""
    return [i for source in SOURCES.load().values() for i in source.ids(workspace)]


def load(workspace: Workspace, layer: str, audience: Audience) -> Outgoing:
    """One layer as the audience may see it.

    Raises:
        BadInputError: the city has no such layer, or the audience may not see it.
    """
    for source in SOURCES.load().values():
        found = source.load(workspace, layer, audience)
        if found is not None:
            return found
    there = layer_ids(workspace)
    if layer in there:
        raise BadInputError("export_not_for", place=layer, audience=audience)
    raise BadInputError("export_no_layer", place=layer, layers=", ".join(there) or "–")


def export(
    workspace: Workspace,
    layer: str,
    form: str,
    out: Path,
    *,
    epsg: int | None = None,
    audience: Audience = "public",
) -> Written:
    """Write `layer` to `out` and return the files with notes; a `.zip` holds them with metadata.

    Nothing is written when something fails; a Shapefile's parts are renamed into place together.

    Raises:
        BadInputError: unknown layer, format or CRS, or the layer is not for this audience.
    """  # fmt: skip
    formats = FORMATS.load()
    if form not in formats:
        raise UsageError("export_format", place=form, formats=", ".join(formats))
    chosen = formats[form]
    outgoing = load(workspace, layer, audience)
    city = workspace.city()
    target = epsg or chosen.epsg or city.epsg
    if target not in GEOGRAPHIC_OR_METRES:
        raise UsageError("export_crs", place=f"EPSG:{target}")
    if chosen.fixed and epsg not in {None, chosen.epsg}:
        raise UsageError("export_crs_fixed", place=form, epsg=chosen.epsg)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".citymap-") as folder:
        as_zip = out.suffix.lower() == ".zip"
        stem = layer if as_zip else out.stem
        written = chosen.write(outgoing, Path(folder) / f"{stem}{chosen.suffix}", target)
        if as_zip:
            with replacing(out) as temporary:
                zipped(outgoing, written, city, target, temporary)
            return Written((out,), written.notes)
        placed = [out, *(out.with_name(part.name) for part in written.files[1:])]
        for part, place in zip(written.files, placed, strict=True):
            part.replace(place)
        return Written(tuple(placed), written.notes)


def _every_file(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        for layer in layer_ids(workspace):
            for form in FORMATS.load():
                try:
                    written = export(
                        workspace, layer, form, Path(folder) / f"x{FORMATS.load()[form].suffix}",
                        audience=audience,
                    )  # fmt: skip
                except BadInputError:
                    continue
                for path in written.files:
                    yield path.read_bytes()


declare(
    Door(
        "share export",
        kinds=tuple(k for k in ("buildings", "exposure", "hazard", "leave_by", "released_leave_by", "shelters", "wifi", "aed",
                            "reports", "closures") if k in kinds()),
        emit=_every_file,
    )
)  # fmt: skip
