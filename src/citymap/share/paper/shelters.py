"""The shelters of a sheet: those on the map, numbered, and the nearest that may be used beyond it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from citymap.assess import shelter_audit
from citymap.share.gate import release
from citymap.share.paper.frame import HEIGHT_MM, WIDTH_MM, inside, reference

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience
    from citymap.share.paper.frame import Frame
    from citymap.workspace import Workspace

KINDS = ("flood", "inland_flood", "storm_surge", "landslide", "tsunami", "earthquake", "fire", "volcano")  # fmt: skip
MOST = 16  # rows of the list
BEYOND = 3  # that may be used, where fewer lie on the map
MAY_BE_USED = frozenset({"usable", "upper_floors"})
WINDS = ("n", "ne", "e", "se", "s", "sw", "w", "nw")


@dataclass(frozen=True, slots=True)
class Listed:
    """One shelter: `at` in mm, `place` its cell of the grid or None beyond the map, then how far
    (`away_m`) and in which direction (`wind`) it lies from the middle of the map."""

    number: int
    name: str
    name_en: str
    at: tuple[float, float]
    place: str | None
    designated: tuple[str, ...]
    use: str
    dry_floor: int | None
    wifi: bool
    away_m: int
    wind: str


def listed(
    workspace: Workspace, frame: Frame, hazard: str, audience: Audience = "public"
) -> tuple[list[Listed], int]:
    """The list, and how many more on the map had no room in it.

    What may be used comes first into the list; numbers run from the north down.
    """
    path = workspace.places / "shelters.parquet"
    rows = release("shelters", pq.read_table(path).to_pylist(), audience) if path.is_file() else []
    rows = [r for r in rows if r.get("lon") is not None and r.get("lat") is not None]
    if not rows:
        return [], 0
    judged = shelter_audit.worst_by_place(shelter_audit.current(workspace), hazard)
    at = frame.of_lon_lat(np.array([(r["lon"], r["lat"]) for r in rows], float))
    here = inside(at)
    middle = np.array([WIDTH_MM / 2, HEIGHT_MM / 2])
    away = np.hypot(*(at - middle).T)

    def usable(i: int) -> bool:
        return (judged.get(rows[i]["place_id"]) or {}).get("use") in MAY_BE_USED

    order = sorted(range(len(rows)), key=lambda i: (not usable(i), away[i]))
    on_map = [i for i in order if here[i]]
    chosen = on_map[:MOST]
    lacking = max(0, BEYOND - sum(map(usable, chosen)))
    beyond = [i for i in order if not here[i] and usable(i)][:lacking]
    chosen = chosen[: MOST - len(beyond)]
    chosen = [*sorted(chosen, key=lambda i: (at[i][1], at[i][0])), *beyond]
    out = []
    for number, i in enumerate(chosen, 1):
        row: dict[str, Any] = rows[i]
        said = judged.get(row["place_id"]) or {}
        dx, dy = at[i] - middle
        out.append(
            Listed(
                number, row["name"], row.get("name_en") or "", (float(at[i][0]), float(at[i][1])),
                reference(*at[i]) if here[i] else None,
                tuple(k for k in KINDS if row.get(k) is True), said.get("use", "unknown"),
                said.get("dry_floor"), bool(said.get("wifi")),
                10 * round(float(away[i]) * frame.scale / 10_000), _wind(dx, -dy),
            )
        )  # fmt: skip
    return out, len(on_map) - sum(1 for i in chosen if here[i])


def _wind(east: float, north: float) -> str:
    """The direction as one of eight.

    >>> _wind(1, 0), _wind(-1, -1)
    ('e', 'sw')
    """
    return WINDS[round(float(np.degrees(np.arctan2(east, north))) / 45) % 8]
