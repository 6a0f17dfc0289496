"""A wave that advances over a flat bed at constant speed: the local-inertial equations' own solution.

(3/7) H^(7/3) − (3u²/4g) H^(4/3) = n² u² (ut − x), upper branch. The solution of Hunter et al. 2005
neglects inertia altogether; on the same mask it shows the error of the model, not of the scheme.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from citymap.flood import solver
from citymap.flood.cases._channel import channel, level_west
from citymap.flood.validation import Curve, Result, Row, case

if TYPE_CHECKING:
    from numpy.typing import NDArray

N, U, END = 0.03, 1.0, 3600.0


def exact_m(behind_m: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Depth at a distance behind the front (Newton's method from the Hunter solution)."""
    g = solver.GRAVITY
    least = 7 * U**2 / (4 * g)
    h = np.maximum(hunter_m(behind_m), least) + 0.2
    for _ in range(60):
        f = 3 / 7 * h ** (7 / 3) - 3 * U**2 / (4 * g) * h ** (4 / 3) - N**2 * U**2 * behind_m
        slope = h ** (4 / 3) - U**2 / g * h ** (1 / 3)
        h = np.maximum(h - f / slope, least)
    return np.where(behind_m > 0, h, 0.0)


def hunter_m(behind_m: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Hunter, Horritt, Bates, Wilson & Werner 2005."""
    return np.asarray((7 / 3 * N**2 * U**2 * np.maximum(behind_m, 0)) ** (3 / 7))


@case("travelling_wave")
def run() -> Result:
    """Root mean square error more than 500 m behind the front, on three grids."""
    errors, hunter, curves = {}, 0.0, []
    for dx in (50.0, 25.0, 12.5):
        columns = int(4500 / dx)
        made = channel(np.zeros(columns), dx, N)
        t = np.linspace(0, END, 1801)
        level_west(made, t, exact_m(np.maximum(U * t, 1e-9)))
        solver.advance(made, END)
        x = (np.arange(columns) + 0.5) * dx
        behind = U * END - x
        depth, mask = made.depth64_m()[0], behind > 500
        errors[dx] = float(np.sqrt(np.mean((depth - exact_m(behind))[mask] ** 2)))
        hunter = float(np.sqrt(np.mean((depth - hunter_m(behind))[mask] ** 2)))
        label = f"{dx:g} m"
        curves.append(
            Curve("travelling_wave", label, x.tolist(), depth.tolist(), "x (m)", "depth (m)")
        )
    curves.append(
        Curve(
            "travelling_wave", "exact", x.tolist(), exact_m(behind).tolist(), "x (m)", "depth (m)"
        )
    )
    order = float(np.log2(errors[50.0] / errors[12.5]) / 2)
    rows = [
        Row("travelling_wave", "rmse at 50 m", errors[50.0], "5.3 mm in a prototype", (0, 6e-3), unit="m"),
        Row("travelling_wave", "rmse at 25 m", errors[25.0], "2.6 mm in a prototype", (0, 3.2e-3), unit="m"),
        Row("travelling_wave", "rmse at 12.5 m", errors[12.5], "1.3 mm in a prototype", (0, 1.7e-3), unit="m"),
        Row("travelling_wave", "order of convergence", order, 1.0, (0.9, 2.5)),
        Row("travelling_wave", "rmse to Hunter et al. 2005 at 12.5 m (error of the model)", hunter, 0.0,
            (0, 6e-3), True, "m"),
    ]  # fmt: skip
    return rows, curves
