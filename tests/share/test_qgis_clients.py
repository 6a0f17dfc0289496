"""Each of our services opened in real QGIS (PyQGIS of Debian): the same features with the same attributes."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyogrio
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import ogc_service
from citymap.progress import Quiet
from citymap.share.servers import write
from citymap.store import accounts, keys, open_store
from citymap.store.accounts import Role
from citymap.store.keys import Scope
from citymap.tiles import build
from citymap.workspace import Workspace

PYQGIS = Path("/usr/lib/python3/dist-packages/qgis/core")
MAPSERVER = Path("/usr/lib/cgi-bin/mapserv")
GATEWAY = Path(__file__).with_name("cgi_gateway.py")
COUNTS = {"buildings": 30, "exposure-combined": 30, "hazard-river-L2": 2, "shelters": 3}

pytestmark = [
    pytest.mark.skipif(not PYQGIS.exists(), reason="Debian's python3-qgis is not installed"),
    pytest.mark.skipif(not MAPSERVER.exists(), reason="Debian's cgi-mapserver is not installed"),
]


@contextmanager
def mapserver(city: Workspace, folder: Path) -> Iterator[str]:
    port = ogc_service.free_port()
    write(city, folder, url=f"http://127.0.0.1:{port}/s")
    config = folder / "mapserver.conf"
    config.write_text(
        f'CONFIG ENV MS_MAP_NO_PATH "1" END MAPS citymap "{folder}/citymap.map" END END'
    )
    process = subprocess.Popen([
        sys.executable, str(GATEWAY), str(port), str(MAPSERVER), f"MAPSERVER_CONFIG_FILE={config}",
        "CGI_QUERY=map=citymap",
    ])  # fmt: skip
    try:
        ogc_service.wait_for(port)
        yield f"http://127.0.0.1:{port}/s"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = ogc_service.make(tmp_path_factory.mktemp("qgis") / "city")
    build(workspace, progress=Quiet())
    return workspace


@pytest.fixture(scope="module")
def found(city: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What QGIS saw of every service, asked in one run of it."""
    store = open_store(city)
    accounts.add(store, "gis", Role.STAFF, None, by="test", oidc_subject="issuer gis")
    key = keys.add(store, "gis", scopes=[Scope.FEATURES], by="test")[1]
    store.close()
    folder = tmp_path_factory.mktemp("served")
    script = folder / "look.py"
    script.write_text(_LOOK)
    with ogc_service.serving(city) as address, mapserver(city, folder) as cgi:
        done = subprocess.run(
            ["/usr/bin/python3", str(script), f"{address}/ogc", cgi, key],
            capture_output=True, text=True, check=False, timeout=300,
            env={"PATH": "/usr/bin:/bin", "QT_QPA_PLATFORM": "offscreen", "HOME": str(folder), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    assert "{" in done.stdout, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    return seen


_LOOK = """
import base64, json, sys
from qgis.core import *
from qgis.PyQt.QtCore import QEventLoop, QSize, QUrl
ogc, cgi, key = sys.argv[1:]
app = QgsApplication([], False)
app.initQgis()
KEEP = ("gml_id", "building_id", "usage", "measured_height_m", "verdict", "depth_max_m", "name")

def rows(layer):
    names = [f.name() for f in layer.fields()]
    return [
        {n: (None if v is None or str(v) == "NULL" else v) for n, v in zip(names, f.attributes()) if n in KEEP}
        for f in layer.getFeatures()
    ]

def features(uri, name, provider):
    layer = QgsVectorLayer(uri, name, provider)
    return {"valid": layer.isValid(), "crs": layer.crs().authid(), "rows": rows(layer) if layer.isValid() else []}

def oapif(name, extra=""):
    return features(f" pagingEnabled='true' pageSize='7' url='{ogc}' typename='{name}'{extra}", name, "OAPIF")

names = ("buildings", "exposure-combined", "hazard-river-L2", "shelters")
found = {"oapif": {n: oapif(n) for n in names}, "staff_without": oapif("flood-breach")["valid"]}
found["staff_with"] = len(oapif("flood-breach", f" username='gis' password='{key}'")["rows"])
found["wfs"] = {
    n: features(f" pagingEnabled='true' url='{cgi}' version='2.0.0' typename='ms:{n}' srsname='EPSG:6668'", n, "WFS")
    for n in names
}
wms = QgsRasterLayer(f"crs=EPSG:3857&format=image/png&layers=hazard-river-L2-grid&styles&url={cgi}", "w", "wms")
found["wms"] = {"valid": wms.isValid(), "colours": {}}

def colours(layers, box, crs):
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(QgsCoordinateReferenceSystem(crs))
    settings.setOutputSize(QSize(200, 200))
    settings.setExtent(box)
    job, loop = QgsMapRendererParallelJob(settings), QEventLoop()
    job.finished.connect(loop.quit)
    job.start()
    loop.exec_()
    image = job.renderedImage()
    seen = {}
    for x in range(200):
        for y in range(200):
            c = image.pixelColor(x, y).name()
            seen[c] = seen.get(c, 0) + 1
    return seen

to_map = QgsCoordinateTransform(QgsCoordinateReferenceSystem("EPSG:4326"), QgsCoordinateReferenceSystem("EPSG:3857"), QgsProject.instance())
box = to_map.transformBoundingBox(QgsRectangle(139.88, 36.55, 139.8822, 36.5518))
found["wms"]["colours"] = colours([wms], box, "EPSG:3857")
tiles = f"{ogc}/tiles/WebMercatorQuad"
vector = QgsVectorTileLayer(
    f"type=xyz&url={tiles}/%7Bz%7D/%7By%7D/%7Bx%7D&zmin=10&zmax=16&styleUrl={tiles}/style.json", "t"
)
found["tiles"] = {"valid": vector.isValid(), "styled": vector.loadDefaultStyle()[1]}
near = to_map.transformBoundingBox(QgsRectangle(139.88, 36.55, 139.8803, 36.5503))
found["tiles"]["colours"] = colours([vector], near, "EPSG:3857")
matrix = QgsTileMatrix.fromWebMercator(14)
at = matrix.mapToTileCoordinates(QgsPointXY(box.center()))
from qgis.PyQt.QtNetwork import QNetworkRequest
request = QgsBlockingNetworkRequest()
request.get(QNetworkRequest(QUrl(f"{tiles}/14/{int(at.y())}/{int(at.x())}")))
raw = bytes(request.reply().content())
found["tiles"]["raw"] = base64.b64encode(raw).decode()
found["tiles"]["at"] = [14, int(at.x()), int(at.y())]
print(json.dumps(found, default=str))
"""


@pytest.mark.parametrize("service", ["oapif", "wfs"])
def test_qgis_counts_the_same_features_with_the_same_attributes(
    found: dict[str, Any], city: Workspace, service: str
) -> None:
    for name, count in COUNTS.items():
        layer = found[service][name]
        assert layer["valid"], name
        # MapServer serves no feature without a place.
        assert len(layer["rows"]) == count - (service == "wfs" and name == "shelters"), name
    original = pq.read_table(
        city.buildings, columns=["building_id", "usage", "measured_height_m"]
    ).to_pylist()
    seen = sorted(found[service]["buildings"]["rows"], key=lambda r: int(r["building_id"].rpartition("-")[2]))  # fmt: skip
    assert [(r["building_id"], r["usage"], r["measured_height_m"]) for r in seen] == [
        (r["building_id"], r["usage"], r["measured_height_m"]) for r in original
    ]
    exposed = pq.read_table(city.root / "exposure/combined.parquet").to_pylist()
    by_id = {r["building_id"]: r for r in found[service]["exposure-combined"]["rows"]}
    for one in exposed:
        assert by_id[one["building_id"]]["verdict"] == one["verdict"]
        assert by_id[one["building_id"]]["depth_max_m"] == pytest.approx(one["depth_max_m"])


def test_qgis_logs_in_with_a_key_for_layers_of_staff(found: dict[str, Any]) -> None:
    assert found["staff_without"] is False
    assert found["staff_with"] == 2


def test_qgis_draws_the_official_colours_of_our_wms(found: dict[str, Any]) -> None:
    assert found["wms"]["valid"]
    assert found["wms"]["colours"]["#f7f5a9"] > 500  # under 0.5 m
    assert found["wms"]["colours"]["#ffb7b7"] > 500  # 3 m to 5 m


def test_qgis_draws_our_vector_tiles_in_our_style_and_they_hold_every_building(
    found: dict[str, Any], city: Workspace, tmp_path: Path
) -> None:
    tiles = found["tiles"]
    assert tiles["valid"]
    assert tiles["styled"]
    assert tiles["colours"]["#cfc6b8"] > 1000  # a building
    zoom, x, y = tiles["at"]
    folder = tmp_path / str(zoom) / str(x)
    folder.mkdir(parents=True)
    path = folder / f"{y}.mvt"
    path.write_bytes(base64.b64decode(tiles["raw"]))
    table = pyogrio.read_dataframe(path, layer="buildings")
    heights = pq.read_table(city.buildings)["measured_height_m"].to_pylist()
    assert len(table) > 15  # of 30: the row of houses crosses into the next tile
    for row, height in zip(table["row"].astype(int), table["h"], strict=True):
        if heights[row] is not None:
            assert height == pytest.approx(heights[row], abs=0.06)
