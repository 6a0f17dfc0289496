"""`status.json`: the order, openings, closures, water and warnings, with the moment they were read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import shapely

from citymap.assess import leave_by as told
from citymap.errors import BadInputError
from citymap.evacuation.closures import read_closures
from citymap.live import leave_by, openings, orders
from citymap.share import live_record
from citymap.share.doors import Door, declare
from citymap.share.gate import release_one
from citymap.share.live_record import moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from citymap.layers.catalogue import Audience
    from citymap.store import Store
    from citymap.workspace import Workspace

MAX_AGE_S = 900
PLACES = 4


def status(workspace: Workspace, store: Store, audience: Audience = "public") -> dict[str, Any]:
    """What is live. Who reads it later than `max_age_s` after `as_of` must say 不明.

    A shelter without an entry in `openings` is not known to be open. Times are RFC 3339, UTC.

    Raises:
        CitymapError: the store cannot be asked.
    """
    order = orders.current(store)
    names = _district_names(workspace)
    record = {
        "order": {
            "mode": order.mode, "level": order.level, "hazard": order.hazard,
            "districts": [{"id": d, "name": names.get(d, d)} for d in order.districts],
            "message": dict(order.message), "since": moment(order.at),
        },
        "openings": {
            place: {"state": o.state, "head_count": o.head_count, "at": moment(o.at)}
            for place, o in sorted(openings.current(store).items())
        },
        "closures": _closures(workspace),
        "leave_by": _leave_by(store, order),
        "water": live_record.water(store, workspace),
        "warnings": live_record.warned(store, workspace),
        "as_of": moment(datetime.now(UTC)),
        "max_age_s": MAX_AGE_S,
    }  # fmt: skip
    return release_one("status", record, audience) or {}


def as_bytes(record: dict[str, Any]) -> bytes:
    """The file."""
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def _leave_by(store: Store, order: orders.Order) -> dict[str, Any] | None:
    """Which release of 退避期限 holds; the times are told place by place."""
    found = told.in_force(leave_by.current(store), order)
    return None if found is None else told.told(found)


def _district_names(workspace: Workspace) -> dict[str, str]:
    if not workspace.districts.is_file():
        return {}
    table = pq.read_table(workspace.districts, columns=["district_id", "name"])
    columns = (c.to_pylist() for c in table.columns)
    return {i: name or i for i, name in zip(*columns, strict=True)}


def _closures(workspace: Workspace) -> list[dict[str, Any]] | None:
    """Closures that hold now; None (not known) where their file cannot be read."""
    try:
        found = [c for c in read_closures(workspace) if c.valid_at()]
    except BadInputError:
        return None
    return [
        {
            "geometry": shapely.geometry.mapping(shapely.transform(c.shape, _coarse)),
            "depth_m": c.depth_m,
            "until": moment(c.valid_until),
        }
        for c in found
    ]


def _coarse(lon_lat: NDArray[np.float64]) -> NDArray[np.float64]:
    """To four places (about 10 m): the road is told, not where the one stood who reported it."""
    return np.round(lon_lat, PLACES)


def _emitted(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    from citymap.store import shared_store  # noqa: PLC0415  (only the test of the doors opens one)

    yield as_bytes(status(workspace, shared_store(workspace), audience))


declare(Door("status.json", kinds=("status",), emit=_emitted))
