"""The position of an address by the city's own address list."""

from __future__ import annotations

import re

import pyarrow.parquet as pq

from citymap.place_text import folded
from citymap.workspace import Workspace

_PREFECTURE = re.compile(r"^(?:..[都道府県]|..?.県)")


class Addresses:
    """Looks addresses up whichever way they are spelt; a name for two places finds neither."""

    def __init__(self, workspace: Workspace) -> None:
        name = workspace.city().name if workspace.exists() else ""
        self._city = folded(re.sub(r"[（(].*$", "", name))
        self._at: dict[str, tuple[float, float] | None] = {}
        if not workspace.addresses.is_file():
            return
        table = pq.read_table(workspace.addresses, columns=["address", "lon", "lat"])
        for address, lon, lat in zip(*(c.to_pylist() for c in table.columns), strict=True):
            spelt = self._spelt(address)
            known = self._at.get(spelt, (lon, lat))
            self._at[spelt] = (lon, lat) if known == (lon, lat) else None

    def _spelt(self, address: str) -> str:
        text = _PREFECTURE.sub("", folded(address))
        return text.removeprefix(self._city) if self._city else text

    def find(self, address: str) -> tuple[float, float, str] | None:
        """lon, lat, and whether the whole address (`address`) or its block (`block`) was found."""
        spelt = self._spelt(address)
        if at := self._at.get(spelt):
            return (*at, "address")
        head, dash, tail = spelt.rpartition("-")
        if dash and tail.isdecimal() and head.count("-") >= 1 and (at := self._at.get(head)):
            return (*at, "block")
        return None
