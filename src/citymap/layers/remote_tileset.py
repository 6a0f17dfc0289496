"""3D Tiles of another server: each file through ours, kept on disk like every remote layer."""

from __future__ import annotations

import json
import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from citymap.errors import BadInputError
from citymap.layers.remote import Allowed, Kept, Offered, ask, copy_age_h, copy_folder, fetch
from citymap.workspace import replacing

if TYPE_CHECKING:
    from citymap.layers.catalogue import Layer
    from citymap.workspace import Workspace

MAX_BYTES = 32 << 20
# What a file may be called, and how it then begins.
CONTENTS = {
    ".json": (b"{", "application/json"), ".glb": (b"glTF", "model/gltf-binary"),
    ".b3dm": (b"b3dm", "application/octet-stream"), ".i3dm": (b"i3dm", "application/octet-stream"),
    ".pnts": (b"pnts", "application/octet-stream"), ".cmpt": (b"cmpt", "application/octet-stream"),
    ".subtree": (b"subt", "application/octet-stream"),
}  # fmt: skip
_NAME = re.compile(r"[\w.~-]+(?:/[\w.~-]+)*")


def file(
    workspace: Workspace, layer: Layer, allowed: Allowed, path: str
) -> tuple[bytes, str, Kept]:
    """A file below the folder of the layer's `tileset.json`: its bytes, type and copy.

    The copy serves while it is fresh, and as the last good one when the server is away.

    Raises:
        BadInputError: no file of 3D Tiles, outside the folder, or not to be had and no copy.
    """
    suffix = posixpath.splitext(path)[1].lower()
    if suffix not in CONTENTS or not _NAME.fullmatch(path) or ".." in path.split("/"):
        raise BadInputError("layer_unknown", place=path[:200])
    start, mime = CONTENTS[suffix]
    kept = copy_folder(workspace, layer) / "tileset" / path
    error = None
    if copy_age_h(kept) > layer.source.refresh_h:
        try:
            answer = ask(urljoin(layer.source.url, path), allowed, limit=MAX_BYTES)
            if not answer.body.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(start):
                raise BadInputError("remote_no_tiles", place=urlsplit(answer.url).hostname or "")
            with replacing(kept) as temporary:
                temporary.write_bytes(answer.body)
        except BadInputError as failed:
            if not kept.is_file():
                raise
            error = failed
    return kept.read_bytes(), mime, Kept(kept, copy_age_h(kept), error)


def name_of(layer: Layer) -> str:
    """The name of the first file, which the others lie beside or below."""
    return posixpath.basename(urlsplit(layer.source.url).path) or "tileset.json"


def offered(url: str, allowed: Allowed) -> list[Offered]:
    """The one layer that a `tileset.json` is.

    Raises:
        BadInputError: not allowed, unreachable, or no tileset.
    """
    try:
        said = json.loads(fetch(url, allowed, limit=MAX_BYTES).body)
        if not (isinstance(said["asset"]["version"], str) and "root" in said):
            raise ValueError("no root")
    except (ValueError, KeyError, TypeError) as e:
        raise BadInputError("remote_no_service", place=url[:200], kind="3D Tiles") from e
    title = posixpath.basename(posixpath.dirname(urlsplit(url).path))
    return [Offered("tileset", title, {"kind": "tileset", "url": url})]
