"""Flow through a narrow place and speed in a crowd (RiMEA tests 4 and 12): Weidmann (1993)."""

from __future__ import annotations

import numpy as np

from citymap.evacuation.trial import street, walk
from citymap.evacuation.validation import Row, case, near


@case("bottleneck")
def run() -> list[Row]:
    """Specific flow through three widths, and speed at three densities."""
    name, rows = "bottleneck", []
    for width in (0.8, 1.0, 2.0):
        people = 600
        town = street(80.0, 10.0, 30.0, width_m=[10.0, width, 10.0])
        found = walk(town, np.zeros(people, int), np.zeros(people), [3])
        end = np.sort(found.arrive_s)
        flow = people * 0.6 / (end[int(people * 0.8)] - end[int(people * 0.2)]) / width
        rows.append(near(name, f"flow through {width:g} m", flow, 1.22, 0.05, unit="1/(m s)"))
    for density in (0.5, 1.0, 1.5):
        # A steady stream: the last to enter meets the crowd of those who entered before.
        length, width = 50.0, 4.0
        v = 1 - np.exp(-1.913 * (1 / density - 1 / 5.4))
        rate = density * v * width
        people = int(rate * 600)
        town = street(length, width_m=width)
        times = np.arange(people) / rate
        found = walk(town, np.zeros(people, int), times, [1])
        taken = (found.arrive_s - times)[-people // 4 :]
        rows.append(
            near(
                name,
                f"speed at {density:g} people/m²",
                length / float(np.mean(taken)),
                float(v),
                0.1,
                unit="m/s",
            )
        )
    return rows
