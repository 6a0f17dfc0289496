"""公衆無線LANアクセスポイント: public Wi-Fi."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from citymap.model.columns import Column
from citymap.places.kinds import KINDS, Kind, key, pick


def _values(row: Mapping[str, str]) -> dict[str, object]:
    return {
        "ssid": pick(row, ("SSID", "ssid")),
        "area": pick(row, ("提供エリア", "area")),
        "operator": pick(row, ("設置者", "installer")),
        "url": pick(row, ("URL", "referenceObject")),
        "note": pick(row, ("備考", "note")),
    }


def _evidence(header: frozenset[str]) -> int:
    return 20 * sum(key(s) in header for s in ("SSID", "ssid", "提供エリア"))


_S = pa.string()
KINDS.register("wifi")(
    Kind(
        "wifi",
        _evidence,
        tuple(Column(n, _S, n) for n in ("ssid", "area", "operator", "url", "note")),
        _values,
    )
)
