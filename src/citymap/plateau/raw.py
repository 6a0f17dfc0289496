"""The tables that both readers (compiled scanner and strict lxml) hand to the assembler."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A feature or file that was left out: where, and why (a catalogue key)."""

    file: str
    line: int
    id: str
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RawTables:
    """Buildings of one chunk of a file as integer tables over a byte buffer.

    Columns are those named in `_kernels` (B_…, L_…, P_…, H_…). `coords` is lon, lat, 標高; ring r
    holds coords[rings[r]:rings[r + 1]]; `names[i]` is canonical, e.g. `uro:depth`.
    """

    buffer: NDArray[np.uint8]
    first_line: int
    names: tuple[str, ...]
    buildings: Ints
    leaves: Ints
    polygons: Ints
    polygon_hash: NDArray[np.uint64]
    rings: Ints
    coords: NDArray[np.float64]
    hrefs: Ints
    href_hash: NDArray[np.uint64]
    skipped: list[Skipped] = field(default_factory=list)
    lines: Ints | None = None  # line of each building where the buffer is not the file's text

    def line_of(self, offset: int) -> int:
        """Line of the file at a byte offset of the buffer."""
        return self.first_line + int(np.count_nonzero(self.buffer[:offset] == 10))

    def line_of_building(self, building: int) -> int:
        """Line on which a building starts."""
        if self.lines is not None:
            return int(self.lines[building])
        return self.line_of(int(self.buildings[building, 0]))

    def line_of_polygon(self, polygon: int) -> int:
        """Line on which a polygon starts (its building, where only that is known)."""
        if self.lines is not None:
            return int(self.lines[self.polygons[polygon, 0]])
        return self.line_of(int(self.polygons[polygon, 7]))

    def text(self, start: int, end: int) -> str:
        """The decoded text of a slice."""
        return bytes(self.buffer[start:end]).decode("utf-8", "replace")
