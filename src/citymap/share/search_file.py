"""The search that works offline: districts, places and addresses of a city in one small file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from citymap.assess.search import centres
from citymap.share.doors import Door, declare
from citymap.share.gate import place_tables, release

if TYPE_CHECKING:
    from collections.abc import Iterator

    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

E5 = 100_000  # positions are whole hundred-thousandths of a degree: about a metre


def search_file(workspace: Workspace, audience: Audience = "public") -> dict[str, Any]:
    """`{districts, places, addresses}`; each entry is `[text, lon, lat(, reading)]` in 1e-5 degrees.

    Addresses are grouped: `[start, [[rest, lon, lat], …]]`, the start being what many have in common.
    """
    return {
        "districts": _districts(workspace, audience),
        "places": _places(workspace, audience),
        "addresses": _addresses(workspace, audience),
    }


def as_bytes(found: Any) -> bytes:
    """The file."""
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def _e5(lon: float, lat: float) -> list[int]:
    return [round(lon * E5), round(lat * E5)]


def _districts(workspace: Workspace, audience: Audience) -> list[list[Any]]:
    if not workspace.districts.is_file():
        return []
    table = pq.read_table(workspace.districts)
    lon, lat = centres(table["geometry"])
    rows = [
        {**r, "lon": float(x), "lat": float(y)}
        for r, x, y in zip(table.drop_columns(["geometry"]).to_pylist(), lon, lat, strict=True)
    ]
    allowed = {r["district_id"] for r in release("districts", rows, audience)}
    return [
        [r["name"], *_e5(r["lon"], r["lat"]), r["name_kana"] or ""]
        for r in rows if r["name"] and r["district_id"] in allowed
    ]  # fmt: skip


def _places(workspace: Workspace, audience: Audience) -> list[list[Any]]:
    out: dict[tuple[str, int, int], list[Any]] = {}
    described = place_tables(audience)
    for path in sorted(workspace.places.glob("*.parquet")):
        if path.stem not in described:
            continue
        for row in release(path.stem, pq.read_table(path).to_pylist(), audience):
            if row.get("name") and row.get("lon") is not None:
                at = _e5(row["lon"], row["lat"])
                entry = [row["name"], *at, row.get("name_kana") or "", row.get("name_en") or ""]
                out.setdefault((row["name"], at[0] // 50, at[1] // 50), entry)
    return list(out.values())


def _addresses(workspace: Workspace, audience: Audience) -> list[list[Any]]:
    if not workspace.addresses.is_file():
        return []
    groups: dict[str, list[list[Any]]] = {}
    for row in release("addresses", pq.read_table(workspace.addresses).to_pylist(), audience):
        text = row["address"]
        cut = next((i for i, c in enumerate(text) if c.isdecimal()), len(text))
        groups.setdefault(text[:cut], []).append([text[cut:], *_e5(row["lon"], row["lat"])])
    return [[start, rest] for start, rest in sorted(groups.items())]


def _emitted(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    yield as_bytes(search_file(workspace, audience))


declare(Door("search.json", kinds=("districts", "addresses", "shelters", "wifi", "aed", "hospitals", "facilities"),
             emit=_emitted))  # fmt: skip
