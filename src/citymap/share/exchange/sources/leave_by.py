"""`leave-by-<name>`: every result, for staff; `released-leave-by`: what residents may be told now."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from citymap.assess import leave_by as told
from citymap.live import leave_by, orders
from citymap.reports.place import store_of
from citymap.share.exchange.layer import SOURCES, Entry, Outgoing, Source, Style
from citymap.share.exchange.sources.buildings import joined
from citymap.share.gate import may_see, release_table

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience
    from citymap.live.leave_by import Release
    from citymap.live.orders import Order
    from citymap.workspace import Workspace

RELEASED = "released-leave-by"
STATES = (
    Entry("by", "期限がある", (230, 159, 0)),
    Entry("passed", "期限を過ぎた", (213, 94, 0)),
    Entry("no_way", "道がない", (120, 30, 90)),
    Entry("never", "道は断たれない", (86, 180, 233)),
    Entry("order", "発令中（時刻は示さない）", (80, 80, 80)),
)


def _results(workspace: Workspace) -> list[str]:
    return [f"leave-by-{name}" for name in leave_by.results(workspace)]


def _result(workspace: Workspace, layer: str, audience: Audience) -> Outgoing | None:
    path = leave_by.results(workspace).get(layer.removeprefix("leave-by-"))
    if path is None or layer not in _results(workspace) or not may_see("leave_by", audience):
        return None
    table = release_table("leave_by", joined(workspace, _in_words(pq.read_table(path))), audience)
    return Outgoing(
        layer, {"ja": "避難開始の期限", "en": "Leave-by times"}, table, Style("state", STATES)
    )


def _in_words(table: pa.Table) -> pa.Table:
    """With a `state`: formats that know no infinity would read "never cut off" as "no way"."""
    hours = table["leave_by_h"].to_numpy().astype(float)
    finite = np.isfinite(hours)
    state = np.where(finite, "by", np.where(hours == np.inf, "never", "no_way"))
    at = table.schema.get_field_index("leave_by_h")
    table = table.set_column(at, "leave_by_h", pa.array(hours, pa.float64(), mask=~finite))
    return table.add_column(at, "state", pa.array(state.tolist(), pa.string()))


SOURCES.register("leave-by")(
    Source(
        _results,
        _result,
        lambda w, layer: [
            w.buildings,
            leave_by.results(w)[layer.removeprefix("leave-by-")],
        ],
    )
)


def _now(workspace: Workspace) -> tuple[Release, Order] | None:
    store = store_of(workspace)
    if store is None:
        return None
    order = orders.current(store)
    found = told.in_force(leave_by.current(store), order)
    return None if found is None else (found, order)


@lru_cache(maxsize=2)
def _table(workspace: Workspace, found: Release, stamp: int, ordered: bool, minute: int) -> pa.Table | None:  # fmt: skip
    del stamp
    order = orders.Order("disaster", orders.LEVELS[0]) if ordered else orders.Order()
    rows = told.table(workspace, found, order, datetime.fromtimestamp(60 * minute, UTC))
    return None if rows is None else joined(workspace, rows)


def _released(workspace: Workspace, layer: str, audience: Audience) -> Outgoing | None:
    if layer != RELEASED or not may_see("released_leave_by", audience):
        return None
    now = _now(workspace)
    if now is None or not workspace.buildings.is_file():
        return None
    found, order = now
    table = _table(
        workspace, found, workspace.buildings.stat().st_mtime_ns, told.live_order(order),
        int(datetime.now(UTC).timestamp() // 60),
    )  # fmt: skip
    if table is None:
        return None
    return Outgoing(
        RELEASED, {"ja": "退避期限（公開中）", "en": "Leave-by times (released)"},
        release_table("released_leave_by", table, audience), Style("state", STATES),
        source=found.scenario, vintage=f"{found.start:%Y-%m-%dT%H:%MZ}",
    )  # fmt: skip


def _released_ids(workspace: Workspace) -> list[str]:
    return [RELEASED] if _now(workspace) is not None else []


SOURCES.register("released-leave-by")(Source(_released_ids, _released))
