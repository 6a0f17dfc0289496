"""A straight channel one cell wide, for the cases along one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from citymap.flood import solver
from citymap.flood.kernels import sources as k
from citymap.flood.solver import Edge, Points, Series

if TYPE_CHECKING:
    from numpy.typing import NDArray

FIRST = np.zeros(1, np.int64)


def channel(
    ground_m: NDArray[np.floating[Any]], dx: float, n: float, *, depth_m: float | NDArray[np.floating[Any]] = 0.0,
    theta: float = solver.THETA, alpha: float = solver.ALPHA, precision: solver.Precision = "float64",
    scheme: solver.Scheme = "inertial",
) -> solver.Solver:  # fmt: skip
    """One row of cells of ground heights along x."""
    depth = np.broadcast_to(np.asarray(depth_m, float), ground_m.shape)[None]
    return solver.build(
        ground_m[None],
        dx,
        manning_n=n,
        depth_m=depth,
        theta=theta,
        alpha=alpha,
        precision=precision,
        scheme=scheme,
    )


def level_west(
    made: solver.Solver, t_s: NDArray[np.floating[Any]], level_m: NDArray[np.floating[Any]]
) -> None:
    """Hold a level at the west end."""
    made.edges.append(
        Edge(k.EDGE_STAGE, 0, FIRST, Series(t_s.astype(float), level_m.astype(float)))
    )


def level_east(made: solver.Solver, level_m: float) -> None:
    """Hold a level at the east end."""
    made.edges.append(Edge(k.EDGE_STAGE, 1, FIRST, Series(np.zeros(1), np.array([level_m]))))


def open_east(made: solver.Solver, slope: float) -> None:
    """Let water leave at the east end."""
    made.edges.append(Edge(k.EDGE_OPEN, 1, FIRST, None, np.array([slope])))


def inflow_west(made: solver.Solver, q_m2_s: float) -> None:
    """A constant discharge per width into the first cell."""
    series = Series(np.zeros(1), np.array([q_m2_s * made.cell_m]))
    made.points.append(Points(k.DISCHARGE, FIRST, FIRST, np.ones(1), series))
