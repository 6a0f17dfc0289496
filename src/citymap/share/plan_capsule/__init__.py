"""The plan capsule: one evacuation plan as one HTML file that asks nothing of any network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from html import escape
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import shapely

from citymap import __version__
from citymap.assess.depth_classes import STANDARD
from citymap.assess.water_frames import write_water
from citymap.errors import BadInputError
from citymap.evacuation import advice, plans, playback, reading
from citymap.evacuation.assumptions import in_language
from citymap.evacuation.told_keys import name_of, value_of
from citymap.i18n import catalogue, t
from citymap.share.area_map import area_map
from citymap.share.doors import Door, declare

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from citymap.evacuation.plans import Entry
    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

MOST_VERTICES = 1_500_000  # of the ways of people: about 6 MB in the file
MOST_SHELTERS = 12  # lines in the chart
COUNTS = ("people", "evacuated", "vertical", "stranded", "en_route", "waiting", "stayed")
SIMPLER_DEG = 2e-5
declare(Door("plan-capsule", nothing="planners only: simulated people and computed water of a plan, "
             "no record of anybody"))  # fmt: skip


def capsule(workspace: Workspace, plan: Entry, *, lang: str = "ja") -> str:
    """The file as text: map, playback, charts, what each district does, parameters, seed and hashes.

    The same result gives the same text. A browser that forbids the page every request shows it all.

    Raises:
        BadInputError: the plan has no result.
    """
    if plan.summary is None:
        raise BadInputError("evacuation_no_plan", name=plan.name)
    data = _contents(workspace, plan, plan.summary, lang)
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str)
    part = files("citymap.share.plan_capsule")
    filled = part.joinpath("capsule.html").read_text(encoding="utf-8")
    title = f"{plan.summary['name'] or plan.name} – {data['city']}"
    values = {
        "LANG": lang, "TITLE": escape(title),
        "STYLE": part.joinpath("capsule.css").read_text(encoding="utf-8"),
        "SCRIPT": part.joinpath("capsule.js").read_text(encoding="utf-8"),
        "DATA": text.replace("<", "\\u003c"),
    }  # fmt: skip
    for name, value in values.items():
        filled = filled.replace(f"@@{name}@@", value)
    return filled


def find(workspace: Workspace, run: str) -> Entry:
    """A plan by its name or by the folder of its result.

    Raises:
        BadInputError: there is no such plan.
    """
    folder = Path(run)
    if (folder / "summary.json").is_file():
        summary = reading.summary(folder)
        return plans.Entry(folder.resolve().name, folder, folder, {"evacuation": summary["scenario"]}, summary)  # fmt: skip
    return plans.entry(workspace, run)


def _contents(
    workspace: Workspace, plan: Entry, summary: dict[str, Any], lang: str
) -> dict[str, Any]:
    city = workspace.city()
    crowd = reading.people(plan.result)
    districts = reading.districts(workspace)
    listed = reading.shelters(plan.result)
    times, filled = reading.occupancy(crowd, listed[:MOST_SHELTERS], float(summary["duration_h"]))
    by_age, by_district = reading.stranded(crowd, {i: n for i, (n, _) in districts.items()})
    audience: Audience = "planner"
    places = reading.places(plan.result)
    return {
        "lang": lang, "words": _words(lang), "version": __version__,
        "city": city.name_en if lang == "en" and city.name_en else city.name,
        "attribution": city.attribution, "fictional": city.fictional,
        "name": summary["name"] or plan.name, "seed": summary["seed"],
        "counts": {n: summary[n] for n in COUNTS}, "ci95": summary.get("ci95", {}),
        "count_names": {n: t(f"evacuation.{n}", lang) for n in COUNTS},
        "checks": reading.checks(summary, lang), "unfinished": reading.unfinished(summary, lang),
        "replicates": summary["replicates"],
        "scenario": [[name_of(k, lang), value_of(k, v, lang)] for k, v in summary["scenario"].items()],
        "assumptions": [in_language(line, lang) for line in summary["assumptions"]], "duration_h": summary["duration_h"],
        "inputs": summary["inputs"], "editions": _editions(workspace), "results": _hashes(plan.result),
        "arrivals": reading.arrivals(plan.result),
        "occupancy": {"t_h": times, "shelters": [{"name": s.name or s.id, "there": filled[s.id]} for s in listed[:MOST_SHELTERS]]},
        "shelters": [
            {"name": s.name or s.id, "capacity": s.capacity, "arrived": s.arrived,
             "turned_away": s.turned_away, "full_at": advice.clock(s.full_at_h), "at": places.get(s.id)} for s in listed
        ],
        "stranded": {"age": by_age, "district": by_district},
        "bottlenecks": [
            {**b, "name": advice.road_name(b, lang), "closes": advice.clock(b["closes_h"])}
            for b in reading.bottlenecks(plan.result)
        ],
        "districts": list(_districts(plan, crowd, districts, float(summary["scenario"].get("margin_min", 10)), lang)),
        "area": area_map(workspace, audience),
        "depths": [{"colour": list(c.colour), "text": c.text} for c in STANDARD],
        "people": _people(plan), "water": _water(workspace, plan),
    }  # fmt: skip


def _words(lang: str) -> dict[str, str]:
    return {k.removeprefix("capsule."): t(k, lang) for k in catalogue() if k.startswith("capsule.")}


def _editions(workspace: Workspace) -> list[dict[str, Any]]:
    """What was imported into the city, in order: when, which edition, how many files and their hash."""
    found = []
    for path in sorted(workspace.imports.glob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        sums = sorted(str(f.get("sha256", "")) for f in data.get("files", []))
        found.append({
            "id": path.stem, "started": data.get("started"), "edition": data.get("edition"),
            "files": len(sums), "sha256": hashlib.sha256("".join(sums).encode()).hexdigest(),
        })  # fmt: skip
    return found


def _hashes(result: Path) -> dict[str, str]:
    names = ("people.parquet", "links.parquet", "shelters.csv", "arrivals.csv", "replicates.json")
    return {
        n: hashlib.sha256((result / n).read_bytes()).hexdigest()
        for n in names
        if (result / n).is_file()
    }


def _districts(
    plan: Entry, crowd: pd.DataFrame, districts: reading.Districts, margin: float, lang: str
) -> Iterator[dict[str, Any]]:
    for key, (name, shape) in sorted(districts.items()):
        found = advice.advice(plan.result, crowd, key, name, margin_min=margin)
        if found is None or shape is None:
            continue
        rings = [
            [
                [round(float(x), 6), round(float(y), 6)]
                for x, y in shapely.get_coordinates(p.exterior)
            ]
            for p in shapely.get_parts(shapely.simplify(shape, SIMPLER_DEG))
            if p.geom_type == "Polygon"
        ]
        yield {
            "id": key, "name": name, "rings": rings, "counts": found.counts,
            "do": [line.replace("**", "") for line in advice.sentences(found, margin, lang)],
        }  # fmt: skip


def _packed(body: bytes) -> str:
    return base64.b64encode(gzip.compress(body, 9, mtime=0)).decode("ascii")


def _people(plan: Entry) -> str | None:
    path = plan.result / "trips" / playback.NAME
    if not path.is_file():
        return None
    head, arrays = playback.read_arrays(path)
    every = -(-len(arrays["x"]) // MOST_VERTICES)
    if every <= 1:
        return _packed(path.read_bytes())
    with TemporaryDirectory() as folder:
        thin = Path(folder) / playback.NAME
        playback.write_arrays(thin, *playback.thinned(head, arrays, every))
        return _packed(thin.read_bytes())


def _water(workspace: Workspace, plan: Entry) -> str | None:
    flood = plans.flood_of(workspace, plan)
    if flood is None:
        return None
    with TemporaryDirectory() as folder:
        path = Path(folder) / "water.bin"
        write_water(path, flood)
        return _packed(path.read_bytes())
