"""`wifi.json`: public Wi-Fi for the map: name, SSID, provider, coverage, in disasters, at which shelter."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from citymap.share.doors import Door, declare
from citymap.share.gate import release

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

ON_SITE_M = 50.0  # as in the shelter audit
METRES_PER_DEGREE = 111_320.0
FIELDS = ("place_id", "name", "name_en", "lon", "lat", "ssid", "operator", "area", "disaster", "shelter")  # fmt: skip
# Lists have no column for it: what a name, the SSID, the coverage or a remark says. Nothing said: not known.
NEVER = re.compile(
    r"災害時.{0,12}(利用でき(ません|ない)|使え(ません|ない)|開放し(ません|ない)|停止)"
)
OPENED = re.compile(
    r"00000JAPAN|災害時.{0,12}(開放|無料|利用可|利用でき(る|ます)|使え(る|ます))", re.I
)


def wifi_points(workspace: Workspace, audience: Audience = "public") -> list[dict[str, Any]]:
    """Every access point; `disaster` null is not known, `shelter` null is at none (within 50 m)."""
    path = workspace.places / "wifi.parquet"
    if not path.is_file():
        return []
    shelters = _rows(workspace, "shelters")
    rows = [
        {**row, "disaster": in_disasters(row), "shelter": _shelter(row, shelters)}
        for row in _rows(workspace, "wifi")
    ]
    return [{n: row.get(n) for n in FIELDS} for row in release("wifi", rows, audience)]


def in_disasters(row: Mapping[str, Any]) -> bool | None:
    """Whether it is opened to everybody in disasters; None where the list does not say."""
    said = " ".join(str(row.get(n) or "") for n in ("name", "ssid", "area", "note"))
    if NEVER.search(said):
        return False
    return True if OPENED.search(said) else None


def _shelter(row: Mapping[str, Any], shelters: list[dict[str, Any]]) -> dict[str, str] | None:
    found = [(_metres(row, s), s) for s in shelters]
    near = min(found, key=lambda f: f[0], default=None)
    if near is None or near[0] > ON_SITE_M:
        return None
    return {"place_id": near[1]["place_id"], "name": near[1]["name"]}


def _metres(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    x = (a["lon"] - b["lon"]) * math.cos(math.radians(a["lat"]))
    return math.hypot(x, a["lat"] - b["lat"]) * METRES_PER_DEGREE


def _rows(workspace: Workspace, table: str) -> list[dict[str, Any]]:
    path = workspace.places / f"{table}.parquet"
    rows = pq.read_table(path).to_pylist() if path.is_file() else []
    return [r for r in rows if r["lon"] is not None and r["lat"] is not None]


def _emitted(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    yield repr(wifi_points(workspace, audience)).encode()


declare(Door("wifi.json", kinds=("wifi",), emit=_emitted))
