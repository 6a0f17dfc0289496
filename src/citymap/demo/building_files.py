"""Building files (udx/bldg): one CityGML file for every mesh of the third level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from citymap import crs, meshcode
from citymap.demo import gml
from citymap.demo.buildings import COURT, FLAT, GABLE, PARTS, RECT, Buildings
from citymap.demo.parcels import KINDS
from citymap.demo.plan import CITY_CODE, CITY_NAME, EPSG, Array
from citymap.progress import Progress

PREFECTURE = "09"


@dataclass(frozen=True, slots=True)
class Risk:
    """The flood of one river and scale at every building; NaN is outside."""

    description: str  # code of RiverFloodingRiskAttribute_description.xml
    admin: str
    scale: str
    depth_m: Array
    duration_h: Array | None


def rank_of(depth_m: float) -> int:
    """MLIT class of a depth, 1 to 6; a boundary value belongs to the upper class."""
    return 1 + sum(depth_m >= b for b in (0.5, 3.0, 5.0, 10.0, 20.0))


def meshes_of(xy: Array) -> list[str]:
    """8-digit mesh code of points of the zone (n, 2)."""
    lon, lat = crs.unproject(xy[:, 0], xy[:, 1], EPSG)
    return [meshcode.encode(a, b) for a, b in zip(lon.tolist(), lat.tolist(), strict=True)]


def _solid(faces: Sequence[str]) -> str:
    members = "".join(f"<gml:surfaceMember>{f}</gml:surfaceMember>\n" for f in faces)
    return (
        "<gml:Solid><gml:exterior><gml:CompositeSurface>\n"
        f"{members}</gml:CompositeSurface></gml:exterior></gml:Solid>"
    )


def _prism(ring: list[str], hole: list[str], low: str, high: str) -> list[str]:
    """Ground, walls and top of a block with vertical walls, all facing outwards."""
    down = [f"{p} {low}" for p in ring]
    up = [f"{p} {high}" for p in ring]
    hd, hu = [f"{p} {low}" for p in hole], [f"{p} {high}" for p in hole]
    holes = ([hd[::-1]], [hu]) if hole else ([], [])
    faces = [gml.polygon(down[::-1], holes[0])]
    for d, u in ((down, up), (hd, hu)):
        n = len(d)
        faces += [gml.polygon((d[i], d[(i + 1) % n], u[(i + 1) % n], u[i])) for i in range(n)]
    faces.append(gml.polygon(up, holes[1]))
    return faces


def _bounded(faces: list[tuple[str, str]], stem: str) -> tuple[str, str]:
    """lod2Solid by reference, and the boundary surfaces it refers to."""
    members, surfaces = [], []
    for i, (kind, face) in enumerate(faces):
        name = f"{stem}_{i}"
        members.append(f'<gml:surfaceMember xlink:href="#p{name}"/>\n')
        tagged = face.replace("<gml:Polygon>", f'<gml:Polygon gml:id="p{name}">', 1)
        surfaces.append(
            f'<bldg:boundedBy><bldg:{kind} gml:id="s{name}"><bldg:lod2MultiSurface>'
            f"<gml:MultiSurface><gml:surfaceMember>{tagged}</gml:surfaceMember></gml:MultiSurface>"
            f"</bldg:lod2MultiSurface></bldg:{kind}></bldg:boundedBy>\n"
        )
    solid = (
        "<bldg:lod2Solid><gml:Solid><gml:exterior><gml:CompositeSurface>\n"
        f"{''.join(members)}</gml:CompositeSurface></gml:exterior></gml:Solid></bldg:lod2Solid>\n"
    )
    return solid, "".join(surfaces)


def _roofed(
    ring: list[str], ridge: list[str], *, roof: int, low: str, eaves: str, top: str
) -> list[tuple[str, str]]:  # fmt: skip
    """Faces of a house with a gable or hip roof; the ridge runs along the first edge."""
    d = [f"{p} {low}" for p in ring]
    e = [f"{p} {eaves}" for p in ring]
    r = [f"{p} {top}" for p in ridge[:2]]
    faces = [("GroundSurface", gml.polygon(d[::-1]))]
    ends = {1: r[1], 3: r[0]}
    for i in range(4):
        j = (i + 1) % 4
        wall = [d[i], d[j], e[j], e[i]]
        if roof == GABLE and i in ends:
            wall = [d[i], d[j], e[j], ends[i], e[i]]
        faces.append(("WallSurface", gml.polygon(wall)))
    faces.append(("RoofSurface", gml.polygon((e[0], e[1], r[1], r[0]))))
    faces.append(("RoofSurface", gml.polygon((e[2], e[3], r[0], r[1]))))
    if roof != GABLE:
        faces.append(("RoofSurface", gml.polygon((e[1], e[2], r[1]))))
        faces.append(("RoofSurface", gml.polygon((e[3], e[0], r[0]))))
    return faces


def _roof_house(ring: list[str], roof_m: float, gid: str) -> str:
    """A 塔屋 on a flat roof, as an outer installation."""
    faces = _prism(ring, [], f"{roof_m:.3f}", f"{roof_m + 3.2:.3f}")[1:]  # it has no floor
    return (
        f'<bldg:outerBuildingInstallation><bldg:BuildingInstallation gml:id="{gid}_roofhouse">'
        f"<bldg:lod2Geometry>{gml.multi_surface(faces)}</bldg:lod2Geometry>"
        "</bldg:BuildingInstallation></bldg:outerBuildingInstallation>\n"
    )


def _risk_text(risks: Sequence[Risk], i: int) -> str:
    out = []
    c = gml.code
    for r in risks:
        depth = float(r.depth_m[i])
        if not depth > 0:
            continue
        hours = ""
        if r.duration_h is not None and r.duration_h[i] > 0:
            hours = f'<uro:duration uom="hour">{r.duration_h[i]:.1f}</uro:duration>'
        out.append(
            "<uro:bldgDisasterRiskAttribute><uro:RiverFloodingRiskAttribute>"
            + c("uro:description", "RiverFloodingRiskAttribute_description", r.description)
            + c("uro:rank", "RiverFloodingRiskAttribute_rank", str(rank_of(depth)))
            + f'<uro:depth uom="m">{depth:.3f}</uro:depth>'
            + c("uro:adminType", "RiverFloodingRiskAttribute_adminType", r.admin)
            + c("uro:scale", "RiverFloodingRiskAttribute_scale", r.scale)
            + hours
            + "</uro:RiverFloodingRiskAttribute></uro:bldgDisasterRiskAttribute>\n"
        )
    return "".join(out)


def write(
    folder: Path, b: Buildings, *, names: Sequence[str], addresses: Sequence[str],
    land_use: Sequence[str], risks: Sequence[Risk], seed: int, progress: Progress,
) -> None:  # fmt: skip
    """Write `folder`/udx/bldg/{mesh}_bldg_6697_op.gml for all buildings."""
    mesh = np.array(meshes_of(b.centre))
    done = 0
    for m in sorted(set(mesh.tolist())):
        at = np.flatnonzero(mesh == m)
        path = folder / "udx" / "bldg" / f"{m}_bldg_6697_op.gml"
        span = (float(b.ground_m[at].min()), float((b.ground_m + b.top_m)[at].max()))
        used = np.arange(8)[None, :] < b.corners[at][:, None]
        with gml.city_model(path, b.ring[at][used], span) as f:
            for start in range(0, len(at), 4000):
                part = at[start : start + 4000]
                rings, extras = gml.lat_lon_text(b.ring[part]), gml.lat_lon_text(b.extra[part])
                for k, i in enumerate(part.tolist()):
                    text = _building(
                        b,
                        i,
                        rings[8 * k : 8 * k + int(b.corners[i])],
                        extras[4 * k : 4 * k + 4],
                        name=names[i],
                        address=addresses[i],
                        land_use=land_use[i],
                        risk=_risk_text(risks, i),
                        seed=seed,
                    )
                    f.write(f"<core:cityObjectMember>\n{text}</core:cityObjectMember>\n")
        done += len(at)
        progress.update(done, len(mesh), "bldg")


def _building(
    b: Buildings, i: int, ring: list[str], extra: list[str], *,
    name: str, address: str, land_use: str, risk: str, seed: int,
) -> str:  # fmt: skip
    c = gml.code
    # gaps and sentinels as real data sets have them; drawn from the number, not from a stream
    gap = np.random.default_rng([seed, 51, i]).random(8)
    gid = gml.uid("bldg", seed, i)
    kind, roof, shape = KINDS[b.kind[i]], int(b.roof[i]), int(b.shape[i])
    low = f"{b.ground_m[i]:.3f}"
    eaves, top = b.ground_m[i] + b.eaves_m[i], b.ground_m[i] + b.top_m[i]
    measured = f'<bldg:measuredHeight uom="m">{b.top_m[i]:.1f}</bldg:measuredHeight>\n'
    if gap[0] < 0.05:
        measured = ""
    elif gap[0] < 0.07:
        measured = '<bldg:measuredHeight uom="m">-9999</bldg:measuredHeight>\n'
    storeys = (
        f"<bldg:storeysAboveGround>{b.storeys[i]}</bldg:storeysAboveGround>\n"
        f"<bldg:storeysBelowGround>{b.basement[i]}</bldg:storeysBelowGround>\n"
    )
    if gap[1] < 0.04:
        storeys = (
            "<bldg:storeysAboveGround>9999</bldg:storeysAboveGround>\n"
            "<bldg:storeysBelowGround>9999</bldg:storeysBelowGround>\n"
        )
    elif gap[1] < 0.10:
        storeys = ""
    year = f"<bldg:yearOfConstruction>{b.year[i]}</bldg:yearOfConstruction>\n"
    if gap[2] < 0.20:
        year = ""
    elif gap[2] < 0.24:
        year = "<bldg:yearOfConstruction>0001</bldg:yearOfConstruction>\n"
    solid_class = b.structure[i] in ("602", "603") or (b.structure[i] == "604" and b.storeys[i] > 2)
    klass = "3002" if solid_class else "3001"
    if kind == "barn" and gap[3] < 0.25:
        klass = "3003"
    out = [f'<bldg:Building gml:id="{gid}">\n']
    if name:
        out.append(f"<gml:name>{escape(name)}</gml:name>\n")
    out.append(f"<core:creationDate>{gml.CREATED}</core:creationDate>\n")
    out.append(c("bldg:class", "Building_class", klass) + "\n")
    out.append(c("bldg:usage", "Building_usage", str(b.usage[i])) + "\n")
    out += [year, measured, storeys]
    hole = extra if shape == COURT else []
    zero = [gml.polygon([f"{p} 0" for p in ring], [[f"{p} 0" for p in hole]] if hole else [])]
    lod0 = "lod0RoofEdge" if b.lod2[i] else "lod0FootPrint"
    out.append(f"<bldg:{lod0}>{gml.multi_surface(zero)}</bldg:{lod0}>\n")
    tail = ""
    parts = ""
    if shape == PARTS:
        heights = (f"{eaves:.3f}", f"{b.ground_m[i] + b.part_m[i]:.3f}")
        lots = (
            [ring[0], extra[0], extra[1], ring[3]], [extra[0], ring[1], ring[2], extra[1]],
        )  # fmt: skip
        for k, (lot, high, h) in enumerate(
            zip(lots, heights, (b.eaves_m[i], b.part_m[i]), strict=True)
        ):
            faces = _prism(lot, [], low, high)
            shaped = f"<bldg:lod1Solid>{_solid(faces)}</bldg:lod1Solid>\n"
            if b.lod2[i]:
                kinds = ["GroundSurface", *["WallSurface"] * 4, "RoofSurface"]
                two, bound = _bounded(list(zip(kinds, faces, strict=True)), f"{gid}_{k}")
                shaped += two + bound
            parts += (
                f'<bldg:consistsOfBuildingPart><bldg:BuildingPart gml:id="{gid}_part{k + 1}">\n'
                + c("bldg:usage", "Building_usage", str(b.usage[i]))
                + f'\n<bldg:measuredHeight uom="m">{h:.1f}</bldg:measuredHeight>\n{shaped}'
                + "</bldg:BuildingPart></bldg:consistsOfBuildingPart>\n"
            )
        high_text = ""
    else:
        high_text = f"{eaves if roof == FLAT else (eaves + top) / 2:.3f}"
    if high_text:
        faces = _prism(ring, hole, low, high_text)
        out.append(f"<bldg:lod1Solid>{_solid(faces)}</bldg:lod1Solid>\n")
        if b.lod2[i]:
            if roof == FLAT:
                walls = len(ring) + len(hole)
                kinds = ["GroundSurface", *["WallSurface"] * walls, "RoofSurface"]
                typed = list(zip(kinds, faces, strict=True))
            else:
                typed = _roofed(
                    ring, extra, roof=roof, low=low, eaves=f"{eaves:.3f}", top=f"{top:.3f}"
                )
            two, tail = _bounded(typed, gid)
            out.append(two)
            if roof == FLAT and shape == RECT and b.storeys[i] >= 5:
                out.append(_roof_house(extra, eaves, gid))
    out += [tail, parts]
    if address:
        out.append(
            "<bldg:address><core:Address><core:xalAddress><xAL:AddressDetails><xAL:Country>"
            f'<xAL:CountryName>日本</xAL:CountryName><xAL:Locality><xAL:LocalityName Type="Town">'
            f"{escape(CITY_NAME + address)}</xAL:LocalityName></xAL:Locality></xAL:Country>"
            "</xAL:AddressDetails></core:xalAddress></core:Address></bldg:address>\n"
        )
    detail: list[str] = []
    floors = max(int(b.storeys[i]), 1)
    detail.append(
        f'<uro:totalFloorArea uom="m2">{b.area_m2[i] * floors * 0.94:.2f}</uro:totalFloorArea>'
    )
    detail.append(
        f'<uro:buildingFootprintArea uom="m2">{b.area_m2[i]:.2f}</uro:buildingFootprintArea>'
    )
    if gap[4] < 0.52:
        detail.append(
            c(
                "uro:buildingStructureType",
                "BuildingDetailAttribute_buildingStructureType",
                "611" if gap[4] < 0.02 else str(b.structure[i]),
            )
        )
    fire = {"601": "1003", "605": "1002", "604": "1002"}.get(str(b.structure[i]), "1001")
    detail += [
        c("uro:fireproofStructureType", "BuildingDetailAttribute_fireproofStructureType", fire),
        c("uro:urbanPlanType", "Common_urbanPlanType", "21"),
        c("uro:landUseType", "Common_landUseType", land_use),
        "<uro:surveyYear>2023</uro:surveyYear>",
    ]
    out.append(
        "<uro:bldgDataQualityAttribute><uro:DataQualityAttribute>"
        + c("uro:geometrySrcDescLod0", "DataQualityAttribute_geometrySrcDesc", "000")
        + c("uro:geometrySrcDescLod1", "DataQualityAttribute_geometrySrcDesc", "000")
        + c(
            "uro:geometrySrcDescLod2",
            "DataQualityAttribute_geometrySrcDesc",
            "000" if b.lod2[i] else "999",
        )
        + c("uro:thematicSrcDesc", "DataQualityAttribute_thematicSrcDesc", "201")
        + c("uro:lod1HeightType", "DataQualityAttribute_lod1HeightType", "2")
        + (c("uro:lodType", "Building_lodType", "2.0") if b.lod2[i] else "")
        + "</uro:DataQualityAttribute></uro:bldgDataQualityAttribute>\n"
    )
    out.append(risk)
    out.append(
        "<uro:buildingDetailAttribute><uro:BuildingDetailAttribute>"
        + "".join(detail)
        + "</uro:BuildingDetailAttribute></uro:buildingDetailAttribute>\n"
    )
    if gap[5] > 0.01:
        out.append(
            "<uro:buildingIDAttribute><uro:BuildingIDAttribute>"
            f"<uro:buildingID>{CITY_CODE}-bldg-{i + 1}</uro:buildingID>"
            + c("uro:prefecture", "Common_localPublicAuthorities", PREFECTURE)
            + c("uro:city", "Common_localPublicAuthorities", CITY_CODE)
            + "</uro:BuildingIDAttribute></uro:buildingIDAttribute>\n"
        )
    out.append("</bldg:Building>\n")
    return "".join(out)
