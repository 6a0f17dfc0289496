"""Every output of a run opens in the real QGIS: place, values, units and missing cells as in the files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from test_run import BASIC, CELL, COLUMNS, ROWS, terrain, write

from citymap.flood import run as runs
from citymap.flood.scenario import read

PYQGIS = Path("/usr/lib/python3/dist-packages/qgis/core")
UNITS = {"max_depth": "m", "arrival": "h", "duration": "h", "max_dv": "m2 s-1"}
HOLE = (slice(0, 3), slice(0, 4))  # at the rim, so that it stays a hole
SCRIPT = """
import json, math, sys
from osgeo import gdal
from qgis.core import QgsApplication, QgsPointXY, QgsRasterLayer
app = QgsApplication([], False)
app.initQgis()
folder = sys.argv[1]
at, hole = QgsPointXY(1305, 1895), QgsPointXY(1005, 1995)
found = {}
sources = {n: f"{folder}/{n}.tif" for n in ("max_depth", "arrival", "duration", "max_dv")}
sources |= {n: f'NETCDF:"{folder}/flood.nc":{n}' for n in ("depth", "u", "v", "ground")}
for name, source in sources.items():
    layer = QgsRasterLayer(source, name)
    assert layer.isValid(), name
    provider, box = layer.dataProvider(), layer.extent()
    last = layer.bandCount()
    value, ok = provider.sample(at, last)
    _, there = provider.sample(hole, last)
    opened = gdal.Open(source)  # a band does not keep its file open
    band = opened.GetRasterBand(last)
    found[name] = {
        "crs": layer.crs().authid(), "bands": last, "size": [layer.width(), layer.height()],
        "extent": [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()],
        "nodata": provider.sourceHasNoDataValue(last) and math.isnan(provider.sourceNoDataValue(last)),
        "value": value if ok else None, "hole_is_missing": not there, "unit": band.GetUnitType(),
    }
print(json.dumps(found))
"""


@pytest.mark.skipif(not PYQGIS.exists(), reason="Debian's python3-qgis is not installed")
def test_qgis_opens_every_output(tmp_path: Path) -> None:
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    values = 20 - 0.05 * y + 0.02 * np.abs(x - COLUMNS / 2)
    values[HOLE] = np.nan
    terrain(tmp_path / "terrain.tif", values)
    out = tmp_path / "out"
    runs.run(read(write(tmp_path, BASIC)), out)
    script = tmp_path / "open.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        ["/usr/bin/python3", str(script), str(out)], capture_output=True, text=True, check=False, timeout=300,
        env={"PATH": "/usr/bin:/bin", "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.stdout.strip().endswith("}"), done.stderr
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert set(found) == {*UNITS, "depth", "u", "v", "ground"}
    for name, one in found.items():
        assert one["crs"] == "EPSG:6677", name
        assert one["size"] == [COLUMNS, ROWS], name
        extent = [1000, 2000 - ROWS * CELL, 1000 + COLUMNS * CELL, 2000]
        assert one["extent"] == pytest.approx(extent), name
        assert one["nodata"], name
        assert one["hole_is_missing"], name
        assert one["bands"] == (4 if name in {"depth", "u", "v"} else 1), name
    for name, unit in UNITS.items():
        assert found[name]["unit"] == unit
        with rasterio.open(out / f"{name}.tif", driver="GTiff") as source:
            wanted = next(source.sample([(1305, 1895)]))[0]
        assert found[name]["value"] == pytest.approx(float(wanted), rel=1e-6), name
    assert found["depth"]["unit"] == found["ground"]["unit"] == "m"
    assert found["u"]["unit"] == "m s-1"
    assert found["ground"]["value"] == pytest.approx(values[10, 30], abs=1e-5)
    assert found["max_depth"]["value"] >= found["depth"]["value"] > 0
