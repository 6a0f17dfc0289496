"""The demo city a year later: the same source data set with changes that are known one by one."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely

from citymap import crs
from citymap.demo import building_files, gml
from citymap.demo.city import FOLDER
from citymap.demo.plan import CITY_CODE, EPSG

if TYPE_CHECKING:
    from collections.abc import Sequence

YEAR = "2025"
_MEMBER = re.compile(r"<core:cityObjectMember>\n(.*?)</core:cityObjectMember>\n", re.S)
_ID = re.compile(r'<bldg:Building gml:id="([^"]+)"')
_BUILDING_ID = re.compile(r"<uro:buildingID>([^<]+)</uro:buildingID>")
_HEIGHT = re.compile(r'<bldg:measuredHeight uom="m">([0-9.]+)</bldg:measuredHeight>')
_RING = re.compile(r"<bldg:lod0\w+>.*?<gml:posList>([^<]+)</gml:posList>", re.S)
_LOD1 = re.compile(r"<bldg:lod1Solid>.*?<gml:posList>([^<]+)</gml:posList>", re.S)


@dataclass(frozen=True, slots=True)
class Truth:
    """What was done, by gml:id; `renamed`, `split` and `merged` say what became of what."""

    removed: tuple[str, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]
    renamed: dict[str, str]
    split: dict[str, tuple[str, ...]]
    merged: dict[str, str]


@dataclass(slots=True)
class _House:
    file: Path
    text: str
    gml_id: str
    ring: np.ndarray[tuple[int, ...], np.dtype[np.float64]]  # east, north in the zone
    low: float
    plain: bool  # a rectangle with a measured height, at the first level only


def _houses(folder: Path) -> list[_House]:
    out = []
    for path in sorted((folder / "udx" / "bldg").glob("*.gml")):
        for found in _MEMBER.finditer(path.read_text("utf-8")):
            text = found[1]
            name, ring, solid = _ID.search(text), _RING.search(text), _LOD1.search(text)
            assert name is not None  # noqa: S101  (our own file)
            if ring is None or solid is None:
                continue
            lat, lon = np.array(ring[1].split(), float).reshape(-1, 3)[:, :2].T
            xy = np.stack(crs.project(lon, lat, EPSG), axis=1)
            low = float(np.array(solid[1].split(), float).reshape(-1, 3)[:, 2].min())
            plain = len(xy) == 5 and bool(_HEIGHT.search(text)) and "lod2" not in text
            out.append(_House(path, text, name[1], xy[:-1], low, plain))
    return out


def _block(
    gml_id: str, number: str, xy: np.ndarray[tuple[int, ...], np.dtype[np.float64]], low: float
) -> str:
    """A plain building of 7 m."""
    ring = gml.lat_lon_text(xy)
    flat = gml.multi_surface([gml.polygon([f"{p} 0" for p in ring])])
    faces = building_files._prism(ring, [], f"{low:.3f}", f"{low + 7:.3f}")
    return (
        f'<bldg:Building gml:id="{gml_id}">\n'
        + gml.code("bldg:class", "Building_class", "3001")
        + gml.code("bldg:usage", "Building_usage", "411")
        + '\n<bldg:measuredHeight uom="m">7.0</bldg:measuredHeight>\n'
        "<bldg:storeysAboveGround>2</bldg:storeysAboveGround>\n"
        f"<bldg:lod0FootPrint>{flat}</bldg:lod0FootPrint>\n"
        f"<bldg:lod1Solid>{building_files._solid(faces)}</bldg:lod1Solid>\n"
        "<uro:buildingIDAttribute><uro:BuildingIDAttribute>"
        f"<uro:buildingID>{CITY_CODE}-bldg-{number}</uro:buildingID>"
        + gml.code("uro:prefecture", "Common_localPublicAuthorities", building_files.PREFECTURE)
        + gml.code("uro:city", "Common_localPublicAuthorities", CITY_CODE)
        + "</uro:BuildingIDAttribute></uro:buildingIDAttribute>\n</bldg:Building>\n"
    )


def _pairs_to_join(houses: Sequence[_House], count: int) -> list[tuple[int, int]]:
    """Plain neighbours whose hull is mostly built on and holds no third house."""
    shapes = [shapely.Polygon(h.ring) for h in houses]
    tree = shapely.STRtree(shapes)
    out: list[tuple[int, int]] = []
    used: set[int] = set()
    for i, house in enumerate(houses):
        if len(out) == count:
            break
        if not house.plain or i in used:
            continue
        for j in sorted(tree.query(shapes[i].buffer(4.0)).tolist()):
            if j <= i or j in used or not houses[j].plain:
                continue
            hull = shapely.unary_union([shapes[i], shapes[j]]).convex_hull
            held = (shapes[i].area + shapes[j].area) / hull.area
            if held > 0.65 and len(tree.query(hull, predicate="intersects")) == 2:
                out.append((i, j))
                used |= {i, j}
                break
    return out


def write(source: Path, target: Path, *, each: int = 3, seed: int = 1) -> Truth:
    """Write the next edition of the demo's CityGML folder `source` to `target`, `each` changes of a
    kind: removed, added, higher, renamed (both ids), split in two, two joined.

    Returns:
        What was changed.
    """
    shutil.copytree(source, target, dirs_exist_ok=False)
    houses = _houses(target)
    rng = np.random.default_rng([seed, 71])
    joined = _pairs_to_join(houses, each)
    taken = {k for pair in joined for k in pair}
    plain = [k for k in rng.permutation(len(houses)).tolist() if houses[k].plain and k not in taken]
    gone, higher, renamed, cut = (plain[k * each : (k + 1) * each] for k in range(4))
    edits: dict[int, str] = dict.fromkeys(gone, "")
    number = 900_000

    def fresh() -> tuple[str, str]:
        nonlocal number
        number += 1
        return gml.uid("bldg", seed, number), str(number)

    for k in higher:
        raised = f'<bldg:measuredHeight uom="m">{float(_HEIGHT.search(houses[k].text)[1]) + 6:.1f}</bldg:measuredHeight>'  # type: ignore[index]
        edits[k] = _HEIGHT.sub(raised, houses[k].text, count=1)
    ids: dict[str, str] = {}
    for k in renamed:
        gml_id, new_number = fresh()
        text = houses[k].text.replace(houses[k].gml_id, gml_id)
        edits[k] = _BUILDING_ID.sub(f"<uro:buildingID>{CITY_CODE}-bldg-{new_number}</uro:buildingID>", text)  # fmt: skip
        ids[houses[k].gml_id] = gml_id
    split: dict[str, tuple[str, ...]] = {}
    extra: dict[int, list[str]] = {}
    for k in cut:
        a, b, c, d = houses[k].ring
        halves = (
            np.array([a, a + (b - a) * 0.48, d + (c - d) * 0.48, d]),
            np.array([a + (b - a) * 0.52, b, c, d + (c - d) * 0.52]),
        )
        parts = [fresh(), fresh()]
        edits[k] = ""
        extra[k] = [
            _block(g, n, half, houses[k].low) for (g, n), half in zip(parts, halves, strict=True)
        ]
        split[houses[k].gml_id] = tuple(g for g, _ in parts)
    merged: dict[str, str] = {}
    for i, j in joined:
        hull = shapely.MultiPoint(np.concatenate([houses[i].ring, houses[j].ring])).convex_hull
        xy = np.array(shapely.geometry.polygon.orient(hull).exterior.coords)[:-1]
        gml_id, new_number = fresh()
        edits[i] = edits[j] = ""
        extra[i] = [_block(gml_id, new_number, xy, houses[i].low)]
        merged |= {houses[i].gml_id: gml_id, houses[j].gml_id: gml_id}
    added = []
    south = min(float(h.ring[:, 1].min()) for h in houses) - 60.0
    anchor = min(range(len(houses)), key=lambda k: float(houses[k].ring[:, 1].min()))
    for n in range(each):
        gml_id, new_number = fresh()
        x = float(houses[anchor].ring[:, 0].mean()) + 20.0 * n
        xy = np.array([[x, south], [x + 9, south], [x + 9, south + 8], [x, south + 8]])
        extra.setdefault(anchor, []).append(_block(gml_id, new_number, xy, houses[anchor].low))
        added.append(gml_id)
    _rewrite(houses, edits, extra)
    return Truth(
        tuple(houses[k].gml_id for k in gone), tuple(added),
        tuple(houses[k].gml_id for k in higher), ids, split, merged,
    )  # fmt: skip


def _rewrite(houses: Sequence[_House], edits: dict[int, str], extra: dict[int, list[str]]) -> None:
    """Put the changed members into their files."""
    texts: dict[Path, str] = {}
    for k in sorted({*edits, *extra}):
        house = houses[k]
        whole = texts.setdefault(house.file, house.file.read_text("utf-8"))
        kept = edits.get(k, house.text)
        members = [m for m in (kept, *extra.get(k, ())) if m]
        new = "".join(f"<core:cityObjectMember>\n{m}</core:cityObjectMember>\n" for m in members)
        old = f"<core:cityObjectMember>\n{house.text}</core:cityObjectMember>\n"
        texts[house.file] = whole.replace(old, new, 1)
    for path, text in texts.items():
        path.write_text(text, "utf-8", newline="\n")


def write_with_truth(made: Path, target: Path, *, each: int = 20, seed: int = 1) -> Truth:
    """The next edition of the data set that `generate` wrote under `made`, and `truth.json` beside it."""
    name = FOLDER.replace("_2024_", f"_{YEAR}_")
    truth = write(made / FOLDER, target / name, each=each, seed=seed)
    text = json.dumps(asdict(truth), ensure_ascii=False, indent=1)
    (target / "truth.json").write_text(text, "utf-8")
    return truth
