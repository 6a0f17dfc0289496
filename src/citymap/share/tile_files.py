"""Which files below `tiles/` go out, and what is taken from those that hold records.

The same for the tile doors of a server and for a static site: a file that no pattern names stays
in the house.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from citymap.share.gate import may_see, release, release_one

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience

_VERSION = r"[0-9A-Za-z_-]{4,64}"
_XYZ = r"\d+/\d+/\d+"


@dataclass(frozen=True, slots=True)
class Passage:
    """A pattern of relative paths (without `.gz`), the kinds inside, and what rewrites the body."""

    pattern: re.Pattern[str]
    kinds: tuple[str, ...]
    rewrite: Callable[[bytes, Audience], bytes] | None = None


def _json(body: bytes) -> Any:
    return json.loads(body)


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _cards(body: bytes, audience: Audience) -> bytes:
    return _dumped(release("buildings", _json(body), audience))


def _manifest(body: bytes, audience: Audience) -> bytes:
    return _dumped(release_one("tile_manifest", _json(body), audience))


def _ids(body: bytes, _: Audience) -> bytes:
    """The ids of buildings by row: a flat list of texts, nothing else."""
    return _dumped([item if isinstance(item, str) else None for item in _json(body)])


# Tiles and columns are made from named columns only (citymap.tiles), so they pass as they are.
PASSAGES = (
    Passage(re.compile(r"manifest\.json"), ("tile_manifest",), _manifest),
    Passage(re.compile(rf"{_VERSION}/cards/\d+\.json"), ("buildings",), _cards),
    Passage(re.compile(rf"{_VERSION}/attributes/gml_id\.json"), ("buildings",), _ids),
    Passage(re.compile(rf"{_VERSION}/attributes/[\w%.-]+\.bin"), ("buildings",)),
    Passage(re.compile(rf"{_VERSION}/points/[\w-]+\.bin"), ("buildings",)),
    Passage(re.compile(rf"{_VERSION}/3d/[\w/-]+\.(glb|json|subtree)"), ("buildings",)),
    Passage(re.compile(rf"{_VERSION}/mvt/{_XYZ}\.mvt"), ("base_map", "roads", "districts", "buildings")),
    Passage(re.compile(rf"{_VERSION}/ground/(terrain|hillshade)/{_XYZ}\.png"), ("terrain",)),
)  # fmt: skip


def passage(relative: str, audience: Audience) -> Passage | None:
    """How a file below `tiles/` may go out; None: it does not."""
    for one in PASSAGES:
        if one.pattern.fullmatch(relative):
            return one if all(may_see(kind, audience) for kind in one.kinds) else None
    return None
