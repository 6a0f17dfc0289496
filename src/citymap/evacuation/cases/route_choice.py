"""Choice of shelter and way (RiMEA tests 10 and 14): the nearest, round what is closed."""

from __future__ import annotations

import numpy as np

from citymap.evacuation.trial import node_at, square_town, street, walk, weather
from citymap.evacuation.validation import Row, case, near


@case("route_choice")
def run() -> list[Row]:
    """The nearest of two shelters, the next when it is full, and ways round closed streets."""
    name = "route_choice"
    line = street(100.0, 100.0, 100.0)
    two = walk(line, np.array([1]), np.zeros(1), [0, 3])
    full = walk(line, np.array([1, 1]), np.array([0.0, 60.0]), [0, 3], capacity=[1, 5])
    town = square_town(3, 100.0)
    home, goal = node_at(town, 0, 0), node_at(town, 200, 0)
    bottom = sorted(
        (e for e in range(town.edges) if town.y[town.u[e]] == 0 == town.y[town.v[e]]),
        key=lambda e: town.x[town.u[e]] + town.x[town.v[e]],
    )
    shut = weather(town, {bottom[1]: [0.0]})
    known = walk(town, np.array([home]), np.zeros(1), [goal], conditions=shut, knowledge="full")
    # The second half closes after they have set out; the way back from its head stays open.
    trap = weather(town, {bottom[1]: [np.inf, 0.0]})
    seen = walk(town, np.array([home]), np.zeros(1), [goal], conditions=trap)
    column = next(
        e for e in range(town.edges)
        if town.x[town.u[e]] == 100 == town.x[town.v[e]] and min(town.y[town.u[e]], town.y[town.v[e]]) == 0
    )  # fmt: skip
    dead_end = weather(town, {bottom[1]: [np.inf, 0.0], column: [np.inf, 0.0]})
    foreseen = walk(
        town, np.array([home]), np.zeros(1), [goal], conditions=dead_end, knowledge="full"
    )
    return [
        near(name, "metres to the nearer shelter", two.metres[0], 100.0, 0.01, unit="m"),
        near(name, "metres when the nearer is full", full.metres[1], 400.0, 0.01, unit="m"),
        near(name, "metres round a closed street", known.metres[0], 400.0, 0.01, unit="m"),
        near(name, "metres when it closes before them", seen.metres[0], 400.0, 0.01, unit="m"),
        Row(name, "metres with full knowledge of a dead end that can be left again", float(foreseen.metres[0]),
            400.0, (396.0, 404.0), expected_fail=True, unit="m"),
    ]  # fmt: skip
