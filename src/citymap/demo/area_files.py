"""Files of areas: land use, planning zones, water, railway and flood extents."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from citymap.demo import gml
from citymap.demo.building_files import PREFECTURE, meshes_of
from citymap.demo.flood import SCENARIOS, Flooding, north_up
from citymap.demo.ground import WATER_HALF_M
from citymap.demo.names import extent, sheet_ring
from citymap.demo.parcels import KINDS, Parcels
from citymap.demo.plan import CITY_CODE, CITY_NAME, Array, Plan
from citymap.demo.streets import Block, to_xy

LAND_USE = {
    "house": "211", "rowshop": "212", "office": "212", "tower": "212", "apartment": "211",
    "bigbox": "212", "factory": "213", "warehouse": "216", "school": "214", "gym": "214",
    "hospital": "214", "cityhall": "214", "temple": "214", "hall": "214", "annex": "214", "station": "216",
    "farmhouse": "211", "barn": "219", "utility": "214", "parking": "222", "park": "217",
    "field": "201", "yard": "224", "plaza": "215", "dryfield": "202",
}  # fmt: skip
_CELL_LAND = {
    "core": "212", "centre": "212", "grid": "211", "curved": "211", "newtown": "211",
    "industry": "213", "farm": "211", "forest": "203",
}  # fmt: skip
# 用途地域, building coverage and floor area ratio
_ZONING = {
    "core": ("10", "0.8", "6"), "centre": ("9", "0.8", "3"), "grid": ("5", "0.6", "2"),
    "curved": ("1", "0.5", "0.8"), "newtown": ("3", "0.6", "1.5"), "industry": ("12", "0.6", "2"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Area:
    """A surface with its land-use code and name."""

    ring: Array
    code: str
    name: str = ""


def block_ring(plan: Plan, b: Block) -> Array:
    """Closed ring of a block in the zone."""
    n, m = max(2, int((b.s1 - b.s0) / 16) + 2), max(2, int((b.t1 - b.t0) / 16) + 2)
    s, t = np.linspace(b.s0, b.s1, n), np.linspace(b.t0, b.t1, m)
    ss = np.concatenate([s, np.full(m - 1, b.s1), s[-2::-1], np.full(m - 1, b.s0)])
    tt = np.concatenate([np.full(n, b.t0), t[1:], np.full(n - 1, b.t1), t[-2::-1]])
    return to_xy(plan, b.cell, ss, tt)


def land(plan: Plan, blocks: list[Block], parcels: Parcels, margin_m: float) -> list[Area]:
    """Land use of the whole sheet: whole blocks, and open lots by themselves."""
    out: list[Area] = []
    mixed = ("farm", "industry")
    special = {"park": "217", "school": "214", "hospital": "214", "cityhall": "214",
               "temple": "214", "plaza": "215"}  # fmt: skip
    owner = list(zip(parcels.cell.tolist(), parcels.block.tolist(), strict=True))
    kinds = [KINDS[k] for k in parcels.kind.tolist()]
    open_in = {o for o, k in zip(owner, kinds, strict=True) if k in ("park", "parking", "yard")}
    whole: set[tuple[int, int]] = set()
    for b in blocks:
        of = (b.cell.number, b.number)
        if b.kind or (b.cell.use not in mixed and of not in open_in):
            whole.add(of)
            out.append(Area(block_ring(plan, b), special.get(b.kind, _CELL_LAND[b.cell.use])))
    runs: list[tuple[tuple[int, int], str, list[float]]] = []
    for k, kind in enumerate(kinds):
        if kind == "station" or owner[k] in whole:
            continue
        s0, t0, s1, t1 = parcels.rect[k].tolist()
        code = LAND_USE[kind]
        if kind == "field" and (int(parcels.block[k]) * 7 + int(parcels.number[k]) * 3) % 5 == 0:
            code = "202"
        if runs and runs[-1][:2] == (owner[k], code):  # lots side by side of one use are one area
            last = runs[-1][2]
            if last[1::2] == [t0, t1] and abs(last[2] - s0) < 1e-6:
                last[2] = s1
                continue
            if last[::2] == [s0, s1] and abs(last[3] - t0) < 1e-6:
                last[3] = t1
                continue
        runs.append((owner[k], code, [s0, t0, s1, t1]))
    for of, code, (s0, t0, s1, t1) in runs:
        lot = Block(plan.cells[of[0]], 0, s0, t0, s1, t1, trunk=False)
        out.append(Area(block_ring(plan, lot), code))
    out += [Area(extent(plan, c), "203") for c in plan.cells if c.use == "forest"]
    s0, t0, s1, t1 = plan.bounds
    low, high = s0 - margin_m, s1 + margin_m
    even = np.linspace(low, high, max(2, round((high - low) / 320)) + 1).tolist()
    for a, b_ in itertools.pairwise(even):
        ring = sheet_ring(plan, a, -WATER_HALF_M, b_, WATER_HALF_M)
        out.append(Area(ring, "204", "みどり川"))
    for side, edge, wild in ((1, t1, "203"), (-1, -t0, "201")):
        mouths = [at for at, bank in plan.tributaries if bank == side]
        marks = sorted({*even, *(m + d for m in mouths for d in (-20, 20))})
        for i, (a, b_) in enumerate(itertools.pairwise(marks)):
            if any(abs((a + b_) / 2 - m) < 20 for m in mouths):
                continue  # the tributary has it
            green = "217" if i % 4 == (1 if side > 0 else 3) else "205"
            for near, far, code in (
                (WATER_HALF_M, 62.0, green), (62.0, 90.0, "205"), (edge + 8, edge + margin_m, wild),
            ):  # fmt: skip
                lo, hi = sorted((side * near, side * far))
                name = "みどり川河川敷公園" if code == "217" else ""
                out.append(Area(sheet_ring(plan, a, lo, b_, hi), code, name))
    for a, b_, lo, hi in ((low, s0 - 6, 100.0, t1), (low, s0 - 6, t0, -100.0),
                          (s1 + 6, high, 100.0, t1), (s1 + 6, high, t0, -100.0)):  # fmt: skip
        far = 0.8 * plan.radius_m
        if hi > far:
            out.append(Area(sheet_ring(plan, a, far, b_, hi), "203"))
        out.append(Area(sheet_ring(plan, a, lo, b_, min(hi, far)), "201"))
    for at, side in plan.tributaries:
        end = (t1 if side > 0 else -t0) + margin_m
        cuts = np.linspace(WATER_HALF_M, end, max(2, round(end / 300)) + 1).tolist()
        for a, b_ in itertools.pairwise(cuts):
            lo, hi = sorted((side * a, side * b_))
            out.append(Area(sheet_ring(plan, at - 6, lo, at + 6, hi), "204"))
            for w, e in ((at - 20, at - 6), (at + 6, at + 20)):
                out.append(Area(sheet_ring(plan, w, lo, e, hi), "205"))
    return out


def _by_mesh(rings: list[Array]) -> list[tuple[str, list[int]]]:
    middle = np.array([r[:-1].mean(axis=0) for r in rings])
    groups: dict[str, list[int]] = {}
    for k, m in enumerate(meshes_of(middle)):
        groups.setdefault(m, []).append(k)
    return sorted(groups.items())


def _flat(ring: Array, z: str = "0") -> str:
    return gml.polygon([f"{p} {z}" for p in gml.lat_lon_text(ring)])


def _write(path: Path, rings: Iterable[Array], members: Iterable[str],
           z: tuple[float, float] = (0, 0)) -> None:  # fmt: skip
    with gml.city_model(path, np.concatenate(list(rings)), z) as f:
        for m in members:
            f.write(f"<core:cityObjectMember>\n{m}</core:cityObjectMember>\n")


def write_land_use(folder: Path, areas: list[Area], *, seed: int) -> None:
    """Write udx/luse/{mesh}_luse_6697_op.gml."""
    c = gml.code
    for mesh, at in _by_mesh([a.ring for a in areas]):

        def member(k: int) -> str:
            a = areas[k]
            name = f"<gml:name>{a.name}</gml:name>\n" if a.name else ""
            return (
                f'<luse:LandUse gml:id="{gml.uid("luse", seed, k)}">\n{name}'
                f"<core:creationDate>{gml.CREATED}</core:creationDate>\n"
                + c("luse:class", "Common_landUseType", a.code) + "\n<luse:lod1MultiSurface>"
                + gml.multi_surface([_flat(a.ring)]) + "</luse:lod1MultiSurface>\n"
                "<uro:landUseDetailAttribute><uro:LandUseDetailAttribute>"
                + c("uro:prefecture", "Common_localPublicAuthorities", PREFECTURE)
                + c("uro:city", "Common_localPublicAuthorities", CITY_CODE)
                + "<uro:surveyYear>2023</uro:surveyYear></uro:LandUseDetailAttribute>"
                "</uro:landUseDetailAttribute>\n</luse:LandUse>\n"
            )  # fmt: skip

        _write(folder / "udx" / "luse" / f"{mesh}_luse_6697_op.gml",
               [areas[k].ring for k in at], map(member, at))  # fmt: skip


def write_zoning(folder: Path, plan: Plan, *, seed: int) -> None:
    """Write udx/urf/{mesh6}_urf_6697_op.gml: 用途地域, 市街化区域 and 市街化調整区域."""
    c = gml.code
    rings = [extent(plan, cell) for cell in plan.cells]
    groups: dict[str, list[int]] = {}
    for mesh, at in _by_mesh(rings):
        groups.setdefault(mesh[:6], []).extend(at)

    def member(k: int) -> str:
        cell = plan.cells[k]
        urban = cell.use in _ZONING
        surface = gml.multi_surface([_flat(rings[k])])

        def zone(kind: str, codelist: str, value: str, extra: str) -> str:
            return (
                f'<urf:{kind} gml:id="{gml.uid("urf", seed, kind, k)}">\n'
                f"<core:creationDate>{gml.CREATED}</core:creationDate>\n"
                + c("urf:function", codelist, value)
                + "\n<urf:validFrom>2019-04-01</urf:validFrom>\n"
                + c("urf:validFromType", "Common_validType", "1")
                + f"\n<urf:custodian>{CITY_NAME}</urf:custodian>\n"
                + c("urf:prefecture", "Common_localPublicAuthorities", PREFECTURE) + "\n"
                + c("urf:city", "Common_localPublicAuthorities", CITY_CODE) + "\n"
                f"<urf:lod1MultiSurface>{surface}</urf:lod1MultiSurface>\n{extra}</urf:{kind}>\n"
            )  # fmt: skip

        out = zone("AreaClassification", "Common_areaClassificationType",
                   "22" if urban else "23", "")  # fmt: skip
        if urban:
            code, coverage, floor = _ZONING[cell.use]
            extra = (
                f"<urf:floorAreaRate>{floor}</urf:floorAreaRate>\n"
                f"<urf:buildingCoverageRate>{coverage}</urf:buildingCoverageRate>\n"
            )
            both = zone("UseDistrict", "Common_districtsAndZonesType", code, extra)
            out += f"</core:cityObjectMember>\n<core:cityObjectMember>\n{both}"
        return out

    for six, at in sorted(groups.items()):
        _write(folder / "udx" / "urf" / f"{six}_urf_6697_op.gml",
               [rings[k] for k in at], map(member, at))  # fmt: skip


def write_water(folder: Path, areas: list[Area], *, seed: int) -> None:
    """Write udx/wtr/{mesh}_wtr_6697_op.gml: the open water of land-use class 204."""
    c = gml.code
    wet = [a for a in areas if a.code == "204"]
    for mesh, at in _by_mesh([a.ring for a in wet]):

        def member(k: int) -> str:
            name = f"<gml:name>{wet[k].name}</gml:name>\n" if wet[k].name else ""
            return (
                f'<wtr:WaterBody gml:id="{gml.uid("wtr", seed, k)}">\n{name}'
                f"<core:creationDate>{gml.CREATED}</core:creationDate>\n"
                + c("wtr:class", "WaterBody_class", "1030") + "\n<wtr:lod1MultiSurface>"
                + gml.multi_surface([_flat(wet[k].ring)])
                + "</wtr:lod1MultiSurface>\n</wtr:WaterBody>\n"
            )  # fmt: skip

        _write(folder / "udx" / "wtr" / f"{mesh}_wtr_6697_op.gml",
               [wet[k].ring for k in at], map(member, at))  # fmt: skip


def write_railway(folder: Path, plan: Plan, *, margin_m: float, seed: int) -> None:
    """Write udx/rwy/{mesh}_rwy_6697_op.gml: the railway land between its fences."""
    s0, _, s1, _ = plan.bounds
    low, high = s0 - margin_m, s1 + margin_m
    marks = np.linspace(low, high, max(2, round((high - low) / 300)) + 1).tolist()
    rings = [
        sheet_ring(plan, a, plan.rail_t - 5.5, b, plan.rail_t + 5.5)
        for a, b in itertools.pairwise(marks)
    ]
    for mesh, at in _by_mesh(rings):

        def member(k: int) -> str:
            run = np.linspace(marks[k], marks[k + 1], 16)
            line = np.stack(plan.to_xy(run, np.full_like(run, plan.rail_t)), axis=-1)
            points = " ".join(f"{p} 0" for p in gml.lat_lon_text(line))
            return (
                f'<tran:Railway gml:id="{gml.uid("rwy", seed, k)}">\n'
                "<gml:name>みどり川線</gml:name>\n"
                f"<core:creationDate>{gml.CREATED}</core:creationDate>\n"
                "<tran:lod0Network><gml:CompositeCurve><gml:curveMember><gml:LineString>"
                f"<gml:posList>{points}</gml:posList></gml:LineString></gml:curveMember>"
                "</gml:CompositeCurve></tran:lod0Network>\n"
                f"<tran:lod1MultiSurface>{gml.multi_surface([_flat(rings[k])])}"
                "</tran:lod1MultiSurface>\n</tran:Railway>\n"
            )

        _write(folder / "udx" / "rwy" / f"{mesh}_rwy_6697_op.gml",
               [rings[k] for k in at], map(member, at))  # fmt: skip


def write_floods(folder: Path, flooding: Flooding, *, seed: int) -> None:
    """Write udx/fld/{natl|pref}/{river}/{mesh}_fld_6697_l{1|2}_op.gml: extents by depth rank.

    Surfaces are cut every 500 m and lie at the mean 標高 of the water on them.
    """
    import rasterio.features  # noqa: PLC0415

    half = 2  # every second cell: the extent, not the model, is what this file is for
    c, size = gml.code, max(8, round(500 / (flooding.cell_m * half)))
    step = flooding.cell_m * half
    ground = flooding.ground_m[::half, ::half]
    for sc in SCENARIOS:
        depth = flooding.depth_m[sc.file_id][::half, ::half]
        rank = np.zeros(depth.shape, np.uint8)
        wet = np.isfinite(depth)
        rank[wet] = 1 + np.searchsorted([0.5, 3, 5, 10, 20], depth[wet], side="right")
        found: list[tuple[Array, list[Array], int, float]] = []
        for r in range(0, depth.shape[0], size):
            for k in range(0, depth.shape[1], size):
                tile = rank[r : r + size, k : k + size]
                if not tile.any():
                    continue
                corner = (flooding.west + k * step, flooding.north - r * step)
                at = north_up(*corner, step)
                level = ground[r : r + size, k : k + size] + depth[r : r + size, k : k + size]
                for shape, value in rasterio.features.shapes(tile, mask=tile > 0, transform=at):
                    outer, *holes = (np.asarray(v, float) for v in shape["coordinates"])
                    z = float(np.nanmean(level[tile == value]))
                    found.append((outer, list(holes), int(value), z))
        for mesh, at_ in _by_mesh([f[0] for f in found]) if found else []:

            def member(k: int, found=found, sc=sc) -> str:  # type: ignore[no-untyped-def]
                outer, holes, value, z = found[k]
                text = gml.polygon(
                    [f"{p} {z:.2f}" for p in gml.lat_lon_text(outer)],
                    [[f"{p} {z:.2f}" for p in gml.lat_lon_text(h)] for h in holes],
                )
                risk = "uro:WaterBodyRiverFloodingRiskAttribute"
                return (
                    f'<wtr:WaterBody gml:id="{gml.uid("fld", seed, sc.file_id, k)}">\n'
                    + c("wtr:class", "WaterBody_class", "1140", up=4) + "\n"
                    + c("wtr:function", "WaterBody_function", "1", up=4) + "\n"
                    "<wtr:lod1MultiSurface>" + gml.multi_surface([text])
                    + f"</wtr:lod1MultiSurface>\n<uro:floodingRiskAttribute><{risk}>"
                    + c("uro:description", "RiverFloodingRiskAttribute_description",
                        sc.description, up=4)
                    + c("uro:rank", "RiverFloodingRiskAttribute_rank", str(value), up=4)
                    + c("uro:adminType", "RiverFloodingRiskAttribute_adminType", sc.admin, up=4)
                    + c("uro:scale", "RiverFloodingRiskAttribute_scale", sc.scale, up=4)
                    + f"</{risk}></uro:floodingRiskAttribute>\n</wtr:WaterBody>\n"
                )  # fmt: skip

            levels = [found[k][3] for k in at_]
            name = f"{mesh}_fld_6697_l{sc.scale}_op.gml"
            path = folder / "udx" / "fld" / sc.folder / name
            _write(path, [found[k][0] for k in at_], map(member, at_), (min(levels), max(levels)))
