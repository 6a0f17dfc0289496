"""The project and the mapfile, served by the real QGIS Server and MapServer and read by GDAL and OWSLib."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import rasterio
from lxml import etree
from PIL import Image

import ogc_service
from citymap.share.servers import write
from citymap.share.servers.mapfile import text
from citymap.workspace import Workspace

MAPSERVER = Path("/usr/lib/cgi-bin/mapserv")
QGIS_SERVER = Path("/usr/lib/cgi-bin/qgis_mapserv.fcgi")
PYQGIS = Path("/usr/lib/python3/dist-packages/qgis/core")
GATEWAY = Path(__file__).with_name("cgi_gateway.py")
VECTORS = {"buildings": 30, "exposure-combined": 30, "hazard-river-L2": 2, "shelters": 3}
PLACED = {**VECTORS, "shelters": 2}  # MapServer has no way to serve a feature without a place
needs_mapserver = pytest.mark.skipif(
    not MAPSERVER.exists(), reason="Debian's cgi-mapserver is not installed"
)
needs_qgis = pytest.mark.skipif(not QGIS_SERVER.exists(), reason="Debian's qgis-server is not installed")  # fmt: skip


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return ogc_service.make(tmp_path_factory.mktemp("servers") / "city")


@pytest.fixture(scope="module")
def folder(city: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("served")
    write(city, out)
    return out


@contextmanager
def gateway(program: Path, **environment: str) -> Iterator[str]:
    port = ogc_service.free_port()
    pairs = [f"{k}={v}" for k, v in environment.items()]
    process = subprocess.Popen([sys.executable, str(GATEWAY), str(port), str(program), *pairs])
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/s", timeout=60).close()
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/s"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def mapserver(folder: Path) -> Iterator[str]:
    config = folder / "mapserver.conf"
    config.write_text(
        f'CONFIG ENV MS_MAP_NO_PATH "1" END MAPS citymap "{folder}/citymap.map" END END'
    )
    with gateway(MAPSERVER, MAPSERVER_CONFIG_FILE=str(config), CGI_QUERY="map=citymap") as url:
        yield url


@pytest.fixture(scope="module")
def qgis_server(folder: Path) -> Iterator[str]:
    with gateway(QGIS_SERVER, QGIS_PROJECT_FILE=str(folder / "citymap.qgz"), QT_QPA_PLATFORM="offscreen",
                 QGIS_OPTIONS_PATH=str(folder), HOME=str(folder)) as url:  # fmt: skip
        yield url


def colours(url: str, layer: str) -> Counter[tuple[int, ...]]:
    """Pixels by colour of the depth grid's place, by WMS 1.3 (latitude first)."""
    query = (
        f"SERVICE=WMS&VERSION=1.3.0&REQUEST=GetMap&LAYERS={layer}&STYLES=&CRS=EPSG:4326&WIDTH=330&HEIGHT=250"
        "&BBOX=36.5495,139.8795,36.5520,139.8828&FORMAT=image/png&TRANSPARENT=TRUE"
    )
    with urllib.request.urlopen(f"{url}?{query}", timeout=60) as answer:  # noqa: S310
        body = answer.read()
    image = np.asarray(Image.open(io.BytesIO(body)).convert("RGBA")).reshape(-1, 4)
    return Counter(map(tuple, image.tolist()))


def layers_of(url: str, version: str) -> set[str]:
    from owslib.wfs import WebFeatureService

    service = WebFeatureService(url, version=version)
    return {name.rpartition(":")[2] for name in service.contents}


def maps_of(url: str) -> set[str]:
    from owslib.wms import WebMapService

    return set(WebMapService(url, version="1.3.0").contents) - {"citymap"}


def wfs(url: str, version: str, layer: str) -> pyogrio.raw.Any:
    """A layer as GDAL's WFS client reads it."""
    return pyogrio.read_dataframe(
        f"WFS:{url}?SERVICE=WFS&VERSION={version}", layer=layer, use_arrow=False
    )


@needs_mapserver
def test_mapserver_offers_every_layer_by_wms_and_wfs(mapserver: str) -> None:
    assert maps_of(mapserver) == {*VECTORS, "hazard-river-L2-grid"}
    assert layers_of(mapserver, "2.0.0") == set(VECTORS)
    assert layers_of(mapserver, "1.1.0") == set(VECTORS)


@needs_mapserver
@pytest.mark.parametrize(("layer", "count"), PLACED.items())
def test_gdal_counts_the_same_features_by_wfs_2(
    city: Workspace, mapserver: str, layer: str, count: int
) -> None:
    found = wfs(mapserver, "2.0.0", f"ms:{layer}")
    assert len(found) == count
    if layer == "buildings":
        original = pq.read_table(city.buildings)
        assert found["building_id"].tolist() == original["building_id"].to_pylist()
        assert found["usage"].tolist() == original["usage"].to_pylist()
        west, south, east, north = found.total_bounds
        assert (west, south) == pytest.approx((139.88, 36.55), abs=1e-6)
        assert (east, north) == pytest.approx((139.9092, 36.5502), abs=1e-6)


@needs_qgis
def test_qgis_server_offers_every_layer_by_wms_and_wfs(qgis_server: str) -> None:
    assert maps_of(qgis_server) == {*VECTORS, "hazard-river-L2-grid"}
    assert layers_of(qgis_server, "1.1.0") == set(VECTORS)


@needs_qgis
@pytest.mark.parametrize(("layer", "count"), VECTORS.items())
def test_gdal_counts_the_same_features_of_qgis_server(
    city: Workspace, qgis_server: str, layer: str, count: int
) -> None:
    found = wfs(qgis_server, "1.0.0", layer)
    assert len(found) == count
    if layer == "buildings":
        assert (
            found["building_id"].tolist()
            == pq.read_table(city.buildings)["building_id"].to_pylist()
        )
        assert found.total_bounds[:2] == pytest.approx((139.88, 36.55), abs=1e-6)


@pytest.mark.parametrize("server", ["mapserver", "qgis_server"])
def test_maps_have_the_official_colours_and_dry_is_transparent(
    request: pytest.FixtureRequest, server: str
) -> None:
    program = {"mapserver": MAPSERVER, "qgis_server": QGIS_SERVER}[server]
    if not program.exists():
        pytest.skip(f"{program.name} is not installed")
    url = request.getfixturevalue(server)
    shallow, deep = (247, 245, 169, 255), (255, 183, 183, 255)  # under 0.5 m; 3 m to 5 m
    for layer in ("hazard-river-L2-grid", "hazard-river-L2"):
        seen = colours(url, layer)
        assert seen[shallow] > 1200
        assert seen[deep] > 1800
        # 16 + 24 wet cells of 400; everything else shows nothing.
        assert seen[0, 0, 0, 0] / seen.total() > 0.93
    verdicts = colours(url, "exposure-combined")
    assert verdicts[213, 94, 0, 255] > 100  # leave
    assert verdicts[120, 120, 120, 255] > 100  # unknown is grey, never pale


@pytest.mark.skipif(not PYQGIS.exists(), reason="Debian's python3-qgis is not installed")
def test_qgis_opens_the_project_and_our_ogc_api(
    city: Workspace, folder: Path, tmp_path: Path
) -> None:
    script = tmp_path / "open.py"
    script.write_text(_PYQGIS)
    with ogc_service.serving(city) as address:
        done = subprocess.run(
            ["/usr/bin/python3", str(script), str(folder / "citymap.qgz"), f"{address}/ogc"],
            capture_output=True, text=True, check=False, timeout=300,
            env={"PATH": "/usr/bin:/bin", "QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    assert "{" in done.stdout, done.stderr
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert found["crs"] == "EPSG:6677"
    assert found["project"] == {**VECTORS, "hazard-river-L2-grid": None}
    assert found["ogc"] == VECTORS
    assert found["in_box"] == [f"bldg_{i:04d}" for i in range(1, 6)]


_PYQGIS = """
import json, sys
from qgis.core import QgsApplication, QgsFeatureRequest, QgsProject, QgsRectangle, QgsVectorLayer
app = QgsApplication([], False)
app.initQgis()
project = QgsProject.instance()
assert project.read(sys.argv[1])
found = {"crs": project.crs().authid(), "project": {}, "ogc": {}}
for layer in project.mapLayers().values():
    assert layer.isValid(), layer.name()
    count = sum(1 for _ in layer.getFeatures()) if hasattr(layer, "getFeatures") else None
    found["project"][layer.shortName()] = count
def remote(name):
    layer = QgsVectorLayer(f" pagingEnabled='true' url='{sys.argv[2]}' typename='{name}' srsname='EPSG:6677'", name, "OAPIF")
    assert layer.isValid(), name
    return layer
for name in ("buildings", "exposure-combined", "hazard-river-L2", "shelters"):
    found["ogc"][name] = sum(1 for _ in remote(name).getFeatures())
layer = QgsVectorLayer(f" url='{sys.argv[2]}' typename='buildings' restrictToRequestBBOX='1'", "b", "OAPIF")
box = QgsRectangle(139.8805, 36.5495, 139.8855, 36.5505)
found["in_box"] = sorted(f["gml_id"] for f in layer.getFeatures(QgsFeatureRequest(box)))
print(json.dumps(found))
"""


def test_the_project_is_a_zip_of_xml_that_names_files_beside_it(folder: Path) -> None:
    with zipfile.ZipFile(folder / "citymap.qgz") as archive:
        (name,) = archive.namelist()
        tree = etree.fromstring(archive.read(name))
    sources = [e.text or "" for e in tree.iter("datasource")]
    assert len(sources) == len(VECTORS) + 1
    for source in sources:
        assert source.startswith("./layers/")
        assert (folder / source.partition("|")[0]).is_file()
    for path in re.findall(
        r'(?:CONNECTION|DATA) "(layers/[^"]+)"', (folder / "citymap.map").read_text()
    ):
        assert (folder / path).is_file()


def test_the_same_layers_make_the_same_project(
    city: Workspace, folder: Path, tmp_path: Path
) -> None:
    write(city, tmp_path)
    for name in ("citymap.qgz", "citymap.map"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_the_grid_keeps_its_values_and_loses_its_tags(city: Workspace, tmp_path: Path) -> None:
    with rasterio.open(city.hazards / "river-L2.tif", "r+", driver="GTiff") as source:
        source.update_tags(owner="secret-name")
        before = source.read(1)
    write(city, tmp_path)
    grid = tmp_path / "layers/hazard-river-L2-grid.tif"
    with rasterio.open(grid, driver="GTiff") as found:
        assert np.array_equal(found.read(1), before, equal_nan=True)
        assert found.crs.to_epsg() == 6677
    assert b"secret-name" not in grid.read_bytes()


def test_a_title_cannot_write_a_mapfile() -> None:
    assert text('x" END\nLAYER') == '"x” END LAYER"'
    assert text("a\\") == '"a／"'
