"""The laws of walking and standing in water against published or computed values."""

from __future__ import annotations

import numpy as np

from citymap.evacuation.person import PEOPLE, Person, specific_force
from citymap.evacuation.speed_laws import LAWS
from citymap.evacuation.stability import LIMITS
from citymap.evacuation.stability.xia import incipient_velocity
from citymap.evacuation.validation import Row, case, near

_ADULT = Person("test", 1.0, 30, 1.7, 60.0)


def _at(*values: float) -> np.ndarray:
    return np.array(values, float)


@case("water_laws")
def run() -> list[Row]:
    """Xia's incipient velocities, the 0.125 m² limit, and no law above the dry speed."""
    name = "water_laws"
    rows = [
        near(name, f"Xia: toppling at {d} m (1.7 m, 60 kg)", float(incipient_velocity(_at(d), _ADULT)[0]), v, 0.002, unit="m/s")
        for d, v in ((0.3, 1.964), (0.5, 1.245), (0.7, 0.896))
    ]  # fmt: skip
    rows.append(
        near(
            name,
            "M of 0.5 m of still water",
            float(specific_force(_at(0.5), _at(0.0))[0]),
            0.125,
            1e-9,
            unit="m2",
        )
    )
    bernardini = LAWS.load()["bernardini"]
    young, old = (
        float(bernardini(_at(0.3), _at(0.0), Person("x", 1.0, a, 1.6, 55.0))[0]) for a in (25, 65)
    )
    rows += [
        near(name, "Bernardini at 0.3 m, age 25", young, 0.36 * 0.045**-0.13, 1e-6, unit="m/s"),
        near(name, "Bernardini at 0.3 m, age 65", old, 0.16 * 0.045**-0.43, 1e-6, unit="m/s"),
        near(name, "CrowdWalk at 0.25 m", float(LAWS.load()["crowdwalk"](_at(0.25), _at(0.0), _ADULT)[0]), 0.75, 1e-9, unit="m/s"),
    ]  # fmt: skip
    depth, flow = (
        a.ravel() for a in np.meshgrid(np.linspace(0.02, 2.5, 60), np.linspace(0, 3, 40))
    )
    above = 0
    shallow_shut = 0
    for person in PEOPLE:
        for law in LAWS.load().values():
            above += int(
                (np.minimum(law(depth, flow, person), person.speed_m_s) > person.speed_m_s).sum()
            )
        for limit in LIMITS.load().values():
            shallow_shut += int((limit(depth, flow, person) & (depth >= 2.0)).sum())
    rows += [
        Row(name, "speeds above the dry speed", float(above), 0.0, (0.0, 0.0)),
        Row(
            name,
            "limits that let people walk in 2 m of water",
            float(shallow_shut),
            0.0,
            (0.0, 0.0),
        ),
    ]
    return rows
