"""The whole demo city: plan, ground, lots, buildings, floods, then every file."""

from __future__ import annotations

import shutil
from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from citymap.demo import (
    area_files,
    building_files,
    codelists,
    flood,
    ground,
    land_files,
    names,
    opendata,
    parcels,
    plan,
    streets,
)
from citymap.demo import buildings as buildings_module
from citymap.errors import BadInputError
from citymap.progress import Part, Progress

FOLDER = f"{plan.CITY_CODE}_midorikawa-shi_city_2024_citygml_1_op"
MOST_BUILDINGS = 1_000_000
_METADATA = f"""<?xml version="1.0" encoding="UTF-8"?>
<MD_Metadata xmlns="http://zgate.gsi.go.jp/ch/jmp/">
<fileIdentifier>udx{plan.CITY_CODE}_2024</fileIdentifier>
<language><isoCode>jpn</isoCode></language>
<identificationInfo><MD_DataIdentification>
<citation><title>3D都市モデル（{plan.CITY_NAME}：架空）</title></citation>
<abstract>架空の都市の合成データです。実在の土地、建物、人とは関係ありません。
Synthetic data of a fictional city.</abstract>
</MD_DataIdentification></identificationInfo>
</MD_Metadata>
"""
Stock = buildings_module.Buildings


def _settle(
    count: int, seed: int
) -> tuple[plan.Plan, list[streets.Street], list[streets.Block], parcels.Parcels, Stock]:
    """A plan whose lots hold just over `count` buildings, and those buildings less the excess."""
    radius = 1055 * (count / 5000) ** 0.5
    radius = max(radius, 620.0)
    for _ in range(12):
        drawn = plan.draw(radius_m=radius, seed=seed)
        roads, blocks = streets.lay_out(drawn)
        lots = parcels.divide(drawn, blocks)
        all_of, _at = buildings_module.place(drawn, lots)
        if len(all_of) >= count:
            break
        radius *= max((count / len(all_of)) ** 0.5, 1.004)
    excess = len(all_of) - count
    keep = np.ones(len(all_of), bool)
    if excess > 0:
        usual = np.isin(all_of.kind, [parcels.CODE[k] for k in ("house", "farmhouse", "barn")])
        draw = np.random.default_rng([seed, 61]).random(len(all_of))
        if excess < 0.3 * count:  # vacant lots here and there
            order = draw + ~usual * 10.0
        else:  # far fewer than the smallest plan holds: thinned out, landmarks stay
            common = ("house", "farmhouse", "barn", "rowshop", "office", "apartment", "factory")
            order = draw + ~np.isin(all_of.kind, [parcels.CODE[k] for k in common]) * 10.0
        keep[np.argsort(order, kind="stable")[:excess]] = False
    chosen = {f.name: getattr(all_of, f.name)[keep] for f in fields(all_of)}
    return drawn, roads, blocks, lots, Stock(**chosen)


def _sites(
    *, drawn: plan.Plan, lots: parcels.Parcels, stock: Stock, named: list[tuple[str, str]],
    addresses: list[str], quarters: list[names.District], tin: ground.Tin,
) -> list[opendata.Site]:  # fmt: skip
    """Public places: named buildings, then parks big enough to gather in."""
    out = []
    for i, (name, kana) in enumerate(named):
        if name:
            quarter = quarters[stock.cell[i]]
            x, y = stock.centre[i].tolist()
            out.append(
                opendata.Site(
                    name,
                    kana,
                    parcels.KINDS[stock.kind[i]],
                    quarter,
                    addresses[i],
                    x,
                    y,
                    float(stock.ground_m[i]),
                    int(stock.storeys[i]),
                    float(stock.area_m2[i]),
                )
            )
    for k, corners in _parks(drawn, lots):
        quarter = quarters[lots.cell[k]]
        x, y = corners.mean(axis=0).tolist()
        (ax, ay), (bx, by) = corners[2] - corners[0], corners[3] - corners[1]
        area = float(abs(ax * by - ay * bx) / 2)
        if area < 2500:
            continue
        z = float(tin.elevation_m(np.array([x]), np.array([y]))[0])
        where = names.address(quarter, int(lots.block[k]), int(lots.number[k]))
        same = sum(s.kind == "park" and s.district.town == quarter.town for s in out)
        tail = (
            ("公園", "こうえん") if same == 0 else (f"第{same + 1}公園", f"だい{same + 1}こうえん")
        )
        kana = opendata.town_kana(quarter)
        out.append(opendata.Site(quarter.town + tail[0], kana + tail[1], "park", quarter, where,
                                 x, y, z, 0, area))  # fmt: skip
    return out


def _parks(drawn: plan.Plan, lots: parcels.Parcels) -> list[tuple[int, plan.Array]]:
    """Park lots with their corners in the zone."""
    at = np.flatnonzero(lots.kind == parcels.CODE["park"])
    corners = buildings_module.corners_of(drawn, lots, at)
    return list(zip(at.tolist(), corners, strict=True))


def generate(out_dir: Path, *, buildings: int = 5000, seed: int = 1, progress: Progress) -> Path:
    """Write the source data set under `out_dir` and return its CityGML folder.

    The same `buildings` and `seed` give the same bytes. Beside the CityGML folder stand
    `opendata/` (CSV, GeoJSON) and `hazard/` (depth GeoTIFFs, EPSG:6677).
    """
    if not 1 <= buildings <= MOST_BUILDINGS:
        raise BadInputError("demo_buildings", buildings=buildings, most=MOST_BUILDINGS)
    progress.update(0, 1, "plan")
    drawn, roads, blocks, lots, stock = _settle(buildings, seed)
    folder = out_dir / FOLDER
    for old in (folder, out_dir / "opendata", out_dir / "hazard"):
        if old.is_dir():  # no mesh of an earlier, larger city may stay behind
            shutil.rmtree(old)
    tin = ground.build(drawn, spacing_m=25.0 if buildings <= 30000 else 40.0)
    stock = replace(
        stock,
        ground_m=buildings_module.ground_under(tin, stock.ring, stock.corners, stock.centre),
    )
    quarters = names.districts(drawn)
    addresses = [
        names.address(quarters[c], b, n)
        for c, b, n in zip(
            stock.cell.tolist(), stock.block.tolist(), stock.number.tolist(), strict=True
        )
    ]
    named = opendata.building_names(stock, quarters)
    progress.update(0.1, 1, "flood")
    flooding = flood.compute(drawn, tin, cell_m=5.0 if buildings <= 30000 else 10.0)
    x, y = buildings_module.centroid(stock).T
    risks = [
        building_files.Risk(
            sc.description, sc.admin, sc.scale, flooding.at(flooding.depth_m[sc.file_id], x, y),
            flooding.at(flooding.duration_h[sc.file_id], x, y)
            if sc.file_id in flooding.duration_h else None,
        )
        for sc in flood.SCENARIOS
    ]  # fmt: skip
    flood.write_rasters(out_dir / "hazard", flooding)
    flood.write_collapse_zones(out_dir / "hazard", drawn)
    building_files.write(
        folder, stock, names=[n for n, _ in named], addresses=addresses,
        land_use=[area_files.LAND_USE[parcels.KINDS[k]] for k in stock.kind.tolist()],
        risks=risks, seed=seed, progress=Part(progress, 0.2, 0.75),
    )  # fmt: skip
    land_files.write_terrain(folder, tin, seed=seed, progress=Part(progress, 0.75, 0.8))
    segments = streets.segments(drawn, roads)
    land_files.write_roads(folder, segments, seed=seed, progress=Part(progress, 0.8, 0.88))
    land_files.write_bridges(folder, segments, tin, seed=seed)
    progress.update(0.88, 1, "luse")
    areas = area_files.land(drawn, blocks, lots, ground.MARGIN_M)
    area_files.write_land_use(folder, areas, seed=seed)
    area_files.write_water(folder, areas, seed=seed)
    area_files.write_zoning(folder, drawn, seed=seed)
    area_files.write_railway(folder, drawn, margin_m=ground.MARGIN_M, seed=seed)
    progress.update(0.93, 1, "fld")
    area_files.write_floods(folder, flooding, seed=seed)
    progress.update(0.95, 1, "opendata")
    codelists.write(folder)
    metadata = folder / "metadata"
    metadata.mkdir(exist_ok=True)
    (metadata / f"udx{plan.CITY_CODE}_2024.xml").write_text(_METADATA, "utf-8", newline="\n")
    public = out_dir / "opendata"
    public.mkdir(parents=True, exist_ok=True)
    sites = _sites(
        drawn=drawn, lots=lots, stock=stock, named=named, addresses=addresses, quarters=quarters,
        tin=tin,
    )  # fmt: skip
    opendata.write_shelters(public / "shelters.csv", sites, flooding)
    opendata.write_wifi(public / "wifi.csv", sites)
    opendata.write_aed(public / "aed.csv", sites)
    opendata.write_districts(public / "districts.geojson", quarters)
    opendata.write_addresses(public / "addresses.csv", stock, addresses, quarters)
    progress.update(1, 1, "demo")
    return folder
