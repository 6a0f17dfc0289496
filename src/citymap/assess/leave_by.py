"""「14:20までに」: the released 退避期限 of a building as its people are told it.

The time itself does not change while a release stands (`Deadlines.of`); whether it is said at all does
(`as_of`): a live order comes first, and what has passed is no time to start on a way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from citymap.evacuation.leave_by import ROUNDED_MIN, spoken
from citymap.live import leave_by as released

if TYPE_CHECKING:
    from collections.abc import Mapping

    from citymap.live.leave_by import Release
    from citymap.live.orders import Order
    from citymap.workspace import Workspace

JST = timezone(timedelta(hours=9), "JST")
State = Literal["by", "never", "no_way", "unknown"]
NO_WALKING = 5  # 警戒レベル: 緊急安全確保, nobody sets out any more


@dataclass(frozen=True, slots=True)
class Deadlines:
    """A release with its rows by building; `rows` None where its copy is gone or was changed."""

    release: Release
    rows: Mapping[str, Mapping[str, tuple[float, str | None]]] | None

    def of(self, building_id: str | None) -> dict[str, Any]:
        """What is released of a building (None: a place outdoors, of which nothing is known).

        `mobility` rows: `state` by (leave before `at`), never (no way is cut off in the scenario),
        no_way (none even at its start), unknown; `at` RFC 3339 in Japanese time and `by` the clock,
        the margin subtracted and rounded down.
        """
        found = (self.rows or {}).get(building_id or "", {})
        return {
            **told(self.release),
            "mobility": [self._class(c, found) for c in self.release.mobility],
        }

    def _class(self, name: str, found: Mapping[str, tuple[float, str | None]]) -> dict[str, Any]:
        state: State = "unknown"
        at: datetime | None = None
        hours, shelter = found.get(name, (None, None))
        if hours is not None:
            at = spoken(hours, start=self.release.start.astimezone(JST), margin_min=self.release.margin_min)  # fmt: skip
            state = "by" if at is not None else "never" if hours == np.inf else "no_way"
        return {
            "mobility": name, "state": state, "at": at.isoformat() if at else None,
            "by": f"{at:%H:%M}" if at else None, "shelter_id": shelter if state != "no_way" else None,
        }  # fmt: skip


def deadlines(workspace: Workspace, release: Release) -> Deadlines:
    """Read a release."""
    table = released.table_of(workspace, release)
    if table is None:
        return Deadlines(release, None)
    rows: dict[str, dict[str, tuple[float, str | None]]] = {}
    hours = table["leave_by_h"].to_pylist()
    for building, name, h, shelter in zip(
        table["building_id"].to_pylist(), table["mobility"].to_pylist(), hours,
        table["shelter_id"].to_pylist(), strict=True,
    ):  # fmt: skip
        rows.setdefault(building, {})[name] = (float("nan") if h is None else h, shelter)
    return Deadlines(release, rows)


def told(release: Release) -> dict[str, Any]:
    """What is said of a release wherever it is spoken of."""
    return {
        "release": release.release_id, "scenario": release.scenario,
        "start": release.start.astimezone(JST).isoformat(), "margin_min": release.margin_min,
        "drill": release.drill,
    }  # fmt: skip


def in_force(release: Release | None, order: Order) -> Release | None:
    """The release that people may be told of: one of a drill only while a drill is on."""
    return None if release is None or (release.drill and order.mode != "drill") else release


def live_order(order: Order) -> bool:
    """Whether an order holds for real; a drill is none."""
    return order.mode == "disaster" and order.level is not None


def too_late(order: Order, district_id: str | None) -> bool:
    """Whether level 5 holds at a place; where the district is not known, it does."""
    if not live_order(order) or order.level != NO_WALKING:
        return False
    return not order.districts or district_id is None or district_id in order.districts


def as_of(block: dict[str, Any] | None, order: Order, now: datetime) -> dict[str, Any] | None:
    """The block of `Deadlines.of` as it may be said at a moment: `state` of a class also passed, or
    order, in which case no time is said."""
    if block is None:
        return None
    rows = []
    for row in block["mobility"]:
        state = row["state"]
        if live_order(order):
            state = "order"
        elif state == "by" and now >= datetime.fromisoformat(row["at"]):
            state = "passed"
        kept = state in {"by", "passed"}
        rows.append({**row, "state": state, **({} if kept else {"at": None, "by": None}),
                     "shelter_id": row["shelter_id"] if state == "by" else None})  # fmt: skip
    return {**block, "mobility": rows}


def no_walking(block: dict[str, Any] | None) -> bool:
    """Whether nobody of any class has a way in time (of a block of `as_of`)."""
    states = {row["state"] for row in block["mobility"]} if block else set()
    return bool(states) and states <= {"passed", "no_way"}


def table(workspace: Workspace, release: Release, order: Order, now: datetime) -> pa.Table | None:
    """Every released row as it may be said at a moment; None where the copy does not hold.

    Columns `building_id, mobility, state, leave_by` (RFC 3339, Japan), `by` (the clock), `scenario,
    margin_min, drill`: what `as_of` says of a place, for a layer.
    """
    rows = released.table_of(workspace, release)
    if rows is None:
        return None
    hours = rows["leave_by_h"].to_numpy().astype(float)
    start = release.start.timestamp()
    finite = np.isfinite(hours)
    step = (
        60 * ROUNDED_MIN
    )  # Japanese time is off by full hours, so that this is the clock's ten minutes
    at = np.full(len(hours), np.nan)
    at[finite] = np.floor((start + 3600 * hours[finite] - 60 * release.margin_min) / step) * step
    state = np.where(finite, "by", np.where(hours == np.inf, "never", "no_way"))
    state[finite & (at <= now.timestamp())] = "passed"
    if live_order(order):
        state[:] = "order"
        finite[:] = False
    text = {s: datetime.fromtimestamp(s, JST) for s in np.unique(at[finite]).tolist()}
    said = [text[s] if f else None for s, f in zip(at.tolist(), finite.tolist(), strict=True)]
    count = len(rows)
    return pa.table({
        "building_id": rows["building_id"], "mobility": rows["mobility"],
        "state": pa.array(state.tolist(), pa.string()),
        "leave_by": pa.array([s.isoformat() if s else None for s in said], pa.string()),
        "by": pa.array([f"{s:%H:%M}" if s else None for s in said], pa.string()),
        "scenario": pa.array([release.scenario] * count, pa.string()),
        "margin_min": pa.array([release.margin_min] * count, pa.float64()),
        "drill": pa.array([release.drill] * count, pa.bool_()),
    })  # fmt: skip
