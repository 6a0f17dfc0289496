"""The official hazard legends, kept as data in `legends/*.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from citymap.errors import BadInputError
from citymap.model.legend import Legend, LegendClass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

DEPTH, DEPTH_DETAILED, DURATION = "depth", "depth_detailed", "duration"


def _parse(data: dict[str, Any]) -> Legend:
    classes = tuple(
        LegendClass(
            minimum=float(c["min"]), maximum=float(c["max"]) if "max" in c else None,
            label=dict(c["label"]), colour=(int(c["colour"][0]), int(c["colour"][1]), int(c["colour"][2])),
        )
        for c in data["class"]
    )  # fmt: skip
    for below, above in pairwise(classes):
        if below.maximum != above.minimum:
            raise ValueError(f"gap or overlap at {above.minimum}")
    return Legend(
        id=data["id"], title=dict(data["title"]), quantity=data["quantity"], unit=data["unit"],
        source=data["source"], classes=classes,
    )  # fmt: skip


@cache
def legends() -> dict[str, Legend]:
    """All legends by id.

    Raises:
        BadInputError: a file cannot be read, or an id stands twice.
    """
    found: dict[str, Legend] = {}
    for entry in sorted(files(__package__).joinpath("legends").iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".toml"):
            continue
        try:
            legend = _parse(tomllib.loads(entry.read_text(encoding="utf-8")))
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, IndexError) as e:
            raise BadInputError("bad_legend", place=entry.name, reason=e) from e
        if legend.id in found:
            raise BadInputError("bad_legend", place=entry.name, reason=f"{legend.id} stands twice")
        found[legend.id] = legend
    return found


def classify(values: ArrayLike, legend_id: str = DEPTH) -> NDArray[np.int16]:
    """Class numbers of values in a legend; a bound goes to the upper class, NaN stays unknown (−1).

    >>> classify([0.49, 0.5, float("nan")]).tolist()
    [0, 1, -1]
    """
    return legends()[legend_id].classify(values)
