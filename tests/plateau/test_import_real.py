"""Every real data set imports with what an independent count with lxml gives."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from lxml import etree

from citymap.plateau.importer import ImportOptions, import_sources
from citymap.progress import Quiet
from citymap.workspace import Workspace

SETS = {
    "osaka": ("plateau_citygml/youryugi+shade-aware_route_planing/bldg",),
    "yokosuka": (
        "plateau_citygml/MIERUNE+plateau-gis-converter/nusamai-plateau/tests/data/yokosuka-shi",
    ),
    "sapporo": ("plateau_citygml/MIERUNE+plateau-gis-converter/docs/src",),
    "ogasawara": (
        "plateau_citygml/reearth+reearth-flow/engine/testing/data/testcases/data-convert",
    ),
    "tokyo-iur-1.4": ("plateau_citygml/Synesthesias+PLATEAU-SDK-for-Unity/_history",),
    "citygml-3.0": (
        "plateau_citygml/reearth+reearth-flow/engine/testing/data/testcases/quality-check/plateau6",
    ),
}


@dataclass
class Count:
    """What lxml alone says of the buildings."""

    buildings: int = 0
    heights: list[float] = field(default_factory=list)
    storeys: int = 0
    risks: Counter[str] = field(default_factory=Counter)
    depth_sum: float = 0.0


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname


def independent_count(files: list[Path]) -> Count:
    count = Count()
    for path in files:
        for b in etree.parse(str(path)).iter("{*}Building"):
            count.buildings += 1
            own = list(b.iter("{*}measuredHeight")) or [
                e for h in b.iter("{*}Height") for e in h.iter("{*}value")
            ]
            values = [float(e.text) for e in own if float(e.text) not in (-9999.0, 9999.0)]
            if values:
                count.heights.append(values[0])
            storeys = b.find("{*}storeysAboveGround")
            count.storeys += storeys is not None and int(storeys.text) != 9999
            for e in b.iter():
                if not isinstance(e.tag, str):
                    continue
                name = _local(e)
                if name.endswith("RiskAttribute") and name[0].isupper():
                    stem = name.removesuffix("RiskAttribute").removeprefix("Building")
                    count.risks[stem] += 1
                    depth = e.findtext("{*}depth")
                    if depth and float(depth) not in (-9999.0, 9999.0):
                        count.depth_sum += float(depth)
                if name == "genericAttributeSet":
                    inner = {x.get("name"): x.findtext("{*}value") for x in e}
                    if "浸水ランク" in inner:
                        count.risks["RiverFlooding"] += 1
                        count.depth_sum += float(inner.get("浸水深") or 0)
    return count


HAZARDS = {
    "RiverFlooding": "river_flood", "Tsunami": "tsunami", "HighTide": "high_tide",
    "InlandFlooding": "inland_flood", "LandSlide": "landslide",
}  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_a_real_data_set_imports_with_the_counts_of_lxml(
    real_data: Path, tmp_path: Path, name: str
) -> None:
    sources = [real_data / s for s in SETS[name]]
    if not all(s.exists() for s in sources):
        pytest.skip(f"{name} is not among the real data here")
    files = sorted(f for s in sources for f in s.rglob("*.gml") if "_bldg_" in f.name)
    assert files
    expected = independent_count(files)
    workspace = Workspace(tmp_path / "city")
    record = import_sources(files, workspace, options=ImportOptions(workers=1), progress=Quiet())
    assert record.failed == []
    table = pq.read_table(workspace.buildings).to_pydict()
    assert len(table["gml_id"]) == expected.buildings > 0
    assert len(set(table["gml_id"])) == expected.buildings
    heights = [h for h in table["measured_height_m"] if h is not None]
    assert len(heights) == len(expected.heights)
    assert math.isclose(sum(heights), sum(expected.heights), rel_tol=1e-12, abs_tol=1e-9)
    assert sum(s is not None for s in table["storeys_above"]) == expected.storeys
    risks = Counter(r["hazard"] for row in table["risks"] for r in row)
    assert risks == Counter({HAZARDS[k]: v for k, v in expected.risks.items()})
    depths = sum(r["depth_m"] or 0 for row in table["risks"] for r in row)
    assert math.isclose(depths, expected.depth_sum, rel_tol=1e-9, abs_tol=1e-9)


def test_the_good_part_of_a_file_that_is_not_well_formed_is_imported(
    real_data: Path, tmp_path: Path
) -> None:
    path = (
        real_data
        / "plateau_citygml/yuuhayashi+citygml-osm/src/test/resources/51357441_bldg_Issue138-B.gml"
    )
    if not path.exists():
        pytest.skip("the broken sample is not among the real data here")
    workspace = Workspace(tmp_path / "city")
    record = import_sources([path], workspace, options=ImportOptions(), progress=Quiet())
    assert record.counts["buildings"] == 2
    assert [(s.line, s.reason) for s in record.skipped] == [(202, "xml_broken")]
