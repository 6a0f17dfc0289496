"""What a depth or a published rank of a building risk means: class, official colour, how high.

Source: 水害ハザードマップ作成の手引き (standard six classes; a boundary value goes up).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DepthClass:
    """min ≤ depth < max in metres; `means` is the catalogue key under `ui.depth_means`."""

    min_m: float
    max_m: float | None
    colour: tuple[int, int, int]
    means: str

    @property
    def text(self) -> str:
        """The class as the legend prints it (for both languages)."""
        if self.max_m is None:
            return f"{self.min_m:g} m〜"
        return f"{self.min_m:g}–{self.max_m:g} m"

    @property
    def key(self) -> str:
        """The class in the summary of a flood: `0-0.5`, `20-`."""
        return f"{self.min_m:g}-{'' if self.max_m is None else f'{self.max_m:g}'}"


STANDARD = (
    DepthClass(0.0, 0.5, (247, 245, 169), "floor"),
    DepthClass(0.5, 3.0, (255, 216, 192), "storey1"),
    DepthClass(3.0, 5.0, (255, 183, 183), "storey2"),
    DepthClass(5.0, 10.0, (255, 145, 145), "storey4"),
    DepthClass(10.0, 20.0, (242, 133, 201), "higher"),
    DepthClass(20.0, None, (220, 122, 220), "higher"),
)
RANKED_HAZARD = (
    "river_flood"  # rank 1–6 is the standard class for rivers only; others have code lists
)


def of_depth(depth_m: float) -> DepthClass:
    """The class of a depth."""
    return next(c for c in reversed(STANDARD) if depth_m >= c.min_m or c is STANDARD[0])


def of_risk(hazard: str | None, rank: int | None, depth_m: float | None) -> DepthClass | None:
    """The class of a risk: by depth where there is one, else by the rank of a river flood.

    None where neither says: an unknown depth is never the lowest class.
    """
    if depth_m is not None and depth_m >= 0:
        return of_depth(depth_m)
    if hazard == RANKED_HAZARD and rank is not None and 1 <= rank <= len(STANDARD):
        return STANDARD[rank - 1]
    return None
