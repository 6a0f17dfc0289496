"""Dam breaks on a flat frictionless bed (Ritter: dry; Stoker: wet): outside the inertial scheme, for HLLC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from citymap.flood import solver
from citymap.flood.cases._channel import channel
from citymap.flood.validation import SCHEMES, Curve, Result, Row, case

if TYPE_CHECKING:
    from numpy.typing import NDArray

HIGH, END, DX, HALF = 10.0, 25.0, 5.0, 500.0


def ritter_m(x: NDArray[np.floating[Any]], t: float) -> NDArray[np.floating[Any]]:
    """Ritter 1892: dam at x = 0, water to the left."""
    c = np.sqrt(solver.GRAVITY * HIGH)
    wave = (2 * c - x / t) ** 2 / (9 * solver.GRAVITY)
    return np.where(x < -c * t, HIGH, np.where(x > 2 * c * t, 0.0, wave))


def stoker_m(x: NDArray[np.floating[Any]], t: float, low: float) -> NDArray[np.floating[Any]]:
    """Stoker 1957: rarefaction, plateau and shock; the plateau by bisection."""
    g = solver.GRAVITY
    c0 = np.sqrt(g * HIGH)

    def excess(h: float) -> float:
        return float(
            2 * (c0 - np.sqrt(g * h)) - (h - low) * np.sqrt(0.5 * g * (h + low) / (h * low))
        )

    a, b = low, HIGH
    for _ in range(80):
        m = 0.5 * (a + b)
        a, b = (m, b) if excess(m) > 0 else (a, m)
    u = 2 * (c0 - np.sqrt(g * a))
    shock = u * a / (a - low)
    wave = (2 * c0 - x / t) ** 2 / (9 * g)
    return np.select(
        [x < -c0 * t, x < (u - np.sqrt(g * a)) * t, x < shock * t], [HIGH, wave, a], low
    )


def _curve(label: str, x: NDArray[np.floating[Any]], depth: NDArray[np.floating[Any]]) -> Curve:
    return Curve("dam_break", label, x.tolist(), depth.tolist(), "x (m)", "depth (m)")


@case("dam_break")
def run() -> Result:
    """Mean error of depth over the disturbed part, relative to the water behind the dam."""
    rows, curves = [], []
    x = (np.arange(int(2 * HALF / DX)) + 0.5) * DX - HALF
    for name, low in (("Ritter, dry bed", 0.0), ("Stoker, 1 m ahead", 1.0)):
        exact = ritter_m(x, END) if low == 0.0 else stoker_m(x, END, low)
        c = np.sqrt(solver.GRAVITY * HIGH) * END
        touched = (x > -c) & (x < 2 * c)
        curves.append(_curve(f"exact, {name}", x, exact))
        for scheme in SCHEMES:
            made = channel(
                np.zeros(x.size), DX, 1e-6, depth_m=np.where(x < 0, HIGH, low), scheme=scheme
            )
            solver.advance(made, END)
            depth = made.depth64_m()[0]
            error = float(np.mean(np.abs(depth - exact)[touched]) / HIGH)
            outside = scheme == "inertial"
            measure = f"mean error of depth, {name} ({scheme})"
            rows.append(Row("dam_break", measure, error, 0.0, (0, 0.02), outside))
            curves.append(_curve(f"{scheme}, {name}", x, depth))
    return rows, curves
