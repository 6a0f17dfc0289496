"""`citymap share qgis`: project, mapfile and layers into a folder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from citymap.share.doors import Door, declare
from citymap.share.servers.layer_files import placed
from citymap.share.servers.mapfile import mapfile
from citymap.share.servers.qgis_project import qgz
from citymap.workspace import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

PROJECT, MAPFILE = "citymap.qgz", "citymap.map"


def write(
    workspace: Workspace,
    folder: Path,
    *,
    audience: Audience = "public",
    url: str = "http://localhost/cgi-bin/mapserv",
) -> list[Path]:
    """Write `citymap.qgz`, `citymap.map` and `layers/` into `folder`; the files in that order.

    The layers come first, so that a server never reads a project that names what is not there.
    """
    city = workspace.city()
    shapes, cells = placed(workspace, folder, audience)
    with replacing(folder / MAPFILE) as temporary:
        temporary.write_text(mapfile(city, shapes, cells, url=url), encoding="utf-8")
    with replacing(folder / PROJECT) as temporary:
        temporary.write_bytes(qgz(city, shapes, cells))
    layers = [*(one.file for one in shapes), *(one.file for one in cells)]
    return [folder / PROJECT, folder / MAPFILE, *(folder / name for name in layers)]


def _every_file(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        for path in write(workspace, Path(folder), audience=audience):
            yield path.read_bytes()


declare(
    Door(
        "share qgis",
        kinds=(
            "buildings",
            "exposure",
            "hazard",
            "leave_by",
            "released_leave_by",
            "shelters",
            "wifi",
            "aed",
        ),
        emit=_every_file,
    )
)
