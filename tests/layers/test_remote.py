"""Layers of other servers, against one that misbehaves on purpose."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import geopandas
import pytest
from owslib.wms import WebMapService

from citymap.errors import BadInputError
from citymap.layers import remote, remote_tileset
from citymap.layers.catalogue import Layer
from citymap.layers.remote import Allowed
from citymap.tiles.overlay import png_of_nothing
from citymap.workspace import Workspace

HERE = Allowed(("127.0.0.1",), private=True)
PICTURE = png_of_nothing()
WMS = """<?xml version="1.0"?><WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms">
<Service><Name>WMS</Name><Title>t</Title></Service><Capability><Request><GetMap><Format>image/png</Format>
<DCPType><HTTP><Get><OnlineResource xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="http://x/"/></Get></HTTP></DCPType></GetMap></Request><Layer><Title>root</Title><Layer>
<Name>roads</Name><Title>道路台帳</Title></Layer></Layer></Capability></WMS_Capabilities>"""
WMTS = """<?xml version="1.0"?><Capabilities xmlns="http://www.opengis.net/wmts/1.0"
xmlns:ows="http://www.opengis.net/ows/1.1" xmlns:xlink="http://www.w3.org/1999/xlink" version="1.0.0">
<Contents><Layer><ows:Title>航空写真</ows:Title><ows:Identifier>photo</ows:Identifier>
<Style isDefault="true"><ows:Identifier>default</ows:Identifier></Style><Format>image/png</Format>
<TileMatrixSetLink><TileMatrixSet>web</TileMatrixSet></TileMatrixSetLink></Layer>
<TileMatrixSet><ows:Identifier>web</ows:Identifier><ows:SupportedCRS>urn:ogc:def:crs:EPSG::3857</ows:SupportedCRS>
<TileMatrix><ows:Identifier>EPSG:3857:1</ows:Identifier><ScaleDenominator>279541132.0143589</ScaleDenominator>
<TopLeftCorner>-20037508 20037508</TopLeftCorner><TileWidth>256</TileWidth><TileHeight>256</TileHeight>
<MatrixWidth>2</MatrixWidth><MatrixHeight>2</MatrixHeight></TileMatrix></TileMatrixSet></Contents></Capabilities>"""
BOX = [[[139.88, 36.55], [139.89, 36.55], [139.89, 36.56], [139.88, 36.55]]]


def collection(swapped: bool = False) -> dict[str, object]:
    ring = [[p[::-1] if swapped else p for p in BOX[0]]]
    shape = {"type": "Polygon", "coordinates": ring}
    return {"type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {"name": "甲"}, "geometry": shape}]}  # fmt: skip


@dataclass
class Server:
    url: str = ""
    mood: str = "good"
    asked: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            status, mime, body = 200, "image/png", PICTURE
            if self.path in state.files:
                body = state.files[self.path]
            elif state.mood == "html":
                mime, body = "text/html", b"<!doctype html><html>sorry</html>"
            elif state.mood == "huge":
                body = PICTURE + b"\0" * (6 << 20)
            elif state.mood == "error":
                status = 503
            elif state.mood == "hang":
                time.sleep(1.5)
            elif state.mood == "inwards":
                self.send_response(302)
                self.send_header("Location", "http://169.254.169.254/latest/meta-data")
                self.end_headers()
                return
            elif "GetCapabilities" in self.path:
                body = (WMTS if "WMTS" in self.path else WMS).encode()
            elif "GetFeature" in self.path:
                body = json.dumps(collection(swapped=state.mood == "swapped")).encode()
            elif self.path.startswith("/api/collections/spots/items"):
                first = "offset" not in self.path
                page = collection() | {
                    "links": [{"rel": "next", "href": "?offset=1"}] if first else []
                }
                body = json.dumps(page).encode()
            elif self.path.startswith("/api/collections"):
                body = json.dumps({"collections": [{"id": "spots", "title": "地点"}]}).encode()
            self.send_response(status)
            self.send_header("Content-Type", mime)
            if state.mood == "lies":
                self.send_header("Content-Length", str(len(body) + 1000))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    monkeypatch.setattr(remote, "_resting", remote._Resting())
    yield state
    httpd.shutdown()
    httpd.server_close()


def layer(server: Server, kind: str, **source: object) -> Layer:
    given = {"kind": kind, "url": f"{server.url}/x", "layer": "roads", "refresh_h": 1.0} | source
    return Layer.model_validate({
        "id": "own-remote", "title": {"ja": "よその地図"}, "audience": ["staff"], "attribution": {"ja": ""},
        "licence": "", "vintage": "", "source": given,
    })  # fmt: skip


def old(workspace: Workspace, one: Layer) -> None:
    remote.forget(workspace, one)


@pytest.mark.parametrize("mood", ["html", "huge", "error", "hang", "lies"])
def test_the_last_good_copy_serves_while_the_other_server_fails(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mood: str
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.5)
    workspace, one = Workspace(tmp_path), layer(server, "wms")
    body, mime, kept = remote.tile(workspace, one, HERE, 5, 28, 12)
    assert (body, mime, kept.error) == (PICTURE, "image/png", None)
    assert len(server.asked) == 1
    remote.tile(workspace, one, HERE, 5, 28, 12)
    assert len(server.asked) == 1  # fresh: not asked again
    old(workspace, one)
    server.mood = mood
    body, _, kept = remote.tile(workspace, one, HERE, 5, 28, 12)
    assert body == PICTURE
    assert kept.error is not None
    with pytest.raises(BadInputError):
        remote.tile(workspace, one, HERE, 5, 28, 13)  # of this one there is no copy


def test_a_server_that_is_down_is_left_alone_for_a_while(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.3)
    server.mood = "hang"
    one = layer(server, "xyz", url=f"{server.url}/{{z}}/{{x}}/{{y}}.png")
    for x in range(4):
        with pytest.raises(BadInputError):
            remote.tile(Workspace(tmp_path), one, HERE, 5, x, 12)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("url", "allowed", "key"),
    [
        ("http://127.0.0.1:1/", Allowed(), "remote_not_allowed"),
        ("http://127.0.0.1:1/", Allowed(("127.0.0.1",)), "remote_private"),
        ("http://localhost:1/", Allowed(("localhost",)), "remote_private"),
        ("http://[::1]:1/", Allowed(("::1",)), "remote_private"),
        ("http://[::ffff:127.0.0.1]:1/", Allowed(("::ffff:127.0.0.1",)), "remote_private"),
        ("http://169.254.169.254/", Allowed(("169.254.169.254",)), "remote_private"),
        ("http://me:word@127.0.0.1/", HERE, "remote_address"),
        ("file:///etc/passwd", HERE, "remote_address"),
        ("http://127.0.0.1:99999/", HERE, "remote_address"),
        ("http://evil.example.jp.attacker.test/", Allowed((".example.jp",)), "remote_not_allowed"),
    ],
)
def test_no_address_is_asked_that_was_not_allowed(url: str, allowed: Allowed, key: str) -> None:
    with pytest.raises(BadInputError) as caught:
        remote.fetch(url, allowed)
    assert caught.value.key == key


def test_a_redirection_into_the_house_is_refused(server: Server) -> None:
    server.mood = "inwards"
    with pytest.raises(BadInputError) as caught:
        remote.fetch(server.url, HERE)
    assert caught.value.key == "remote_not_allowed"


def test_a_wms_is_asked_in_web_mercator_and_lists_its_layers(
    server: Server, tmp_path: Path
) -> None:
    (one,) = remote.offered(f"{server.url}/wms?map=a", "wms", HERE)
    assert (one.name, one.title) == ("roads", "道路台帳")
    assert (
        WebMapService(server.url, version="1.3.0", xml=WMS.encode()).contents["roads"].title
        == one.title
    )
    remote.tile(Workspace(tmp_path), layer(server, **one.source), HERE, 1, 1, 0)
    query = server.asked[-1]
    assert "map=a" in query
    assert "CRS=EPSG:3857" in query
    west, south, east, north = (float(v) for v in query.split("BBOX=")[1].split("&")[0].split(","))
    assert (west, south) == (0.0, 0.0)
    assert (east, north) == pytest.approx((20037508.34, 20037508.34))


def test_a_wmts_pyramid_with_prefixed_names_is_asked_by_them(
    server: Server, tmp_path: Path
) -> None:
    (one,) = remote.offered(server.url, "wmts", HERE)
    remote.tile(Workspace(tmp_path), layer(server, **one.source), HERE, 12, 3, 4)
    assert "TILEMATRIX=EPSG:3857:12" in server.asked[-1].replace("%3A", ":")
    assert "TILEROW=4" in server.asked[-1]
    assert "TILECOL=3" in server.asked[-1]


@pytest.mark.parametrize("mood", ["good", "swapped"])
def test_features_of_a_wfs_come_as_a_table_in_the_right_place(
    server: Server, tmp_path: Path, mood: str
) -> None:
    server.mood = mood
    kept = remote.table(Workspace(tmp_path), layer(server, "wfs"), HERE)
    found = geopandas.read_parquet(kept.path)
    assert found.total_bounds == pytest.approx((139.88, 36.55, 139.89, 36.56))
    assert found["name"].tolist() == ["甲"]
    assert found.crs.to_epsg() == 6668


def test_features_of_an_ogc_api_are_read_page_by_page_and_survive_an_outage(
    server: Server, tmp_path: Path
) -> None:
    (offer,) = remote.offered(f"{server.url}/api", "oapif", HERE)
    one, workspace = layer(server, **offer.source), Workspace(tmp_path)
    kept = remote.table(workspace, one, HERE)
    assert len(geopandas.read_parquet(kept.path)) == 2
    old(workspace, one)
    server.mood = "html"
    kept = remote.table(workspace, one, HERE)
    assert kept.error is not None
    assert kept.error.key == "remote_no_features"
    assert len(geopandas.read_parquet(kept.path)) == 2


@pytest.mark.parametrize("kind", ["wms", "wmts", "wfs", "oapif"])
def test_a_page_instead_of_a_service_is_said(server: Server, kind: str) -> None:
    server.mood = "html"
    with pytest.raises(BadInputError) as caught:
        remote.offered(server.url, kind, HERE)
    assert caught.value.key == "remote_no_service"


TILESET = {"asset": {"version": "1.1"}, "root": {"content": {"uri": "data/a.b3dm"}}}


def test_3d_tiles_of_another_server_come_through_ours_and_survive_an_outage(
    server: Server, tmp_path: Path
) -> None:
    files = {"/city/tileset.json": json.dumps(TILESET).encode(), "/city/data/a.b3dm": b"b3dm\1\0"}
    server.files.update(files)
    workspace, one = (
        Workspace(tmp_path),
        layer(server, "tileset", url=f"{server.url}/city/tileset.json"),
    )
    (found,) = remote_tileset.offered(f"{server.url}/city/tileset.json", HERE)
    assert found.source == {"kind": "tileset", "url": f"{server.url}/city/tileset.json"}
    assert remote_tileset.name_of(one) == "tileset.json"
    for path, mime in (
        ("tileset.json", "application/json"),
        ("data/a.b3dm", "application/octet-stream"),
    ):
        body, said, kept = remote_tileset.file(workspace, one, HERE, path)
        assert (body, said, kept.error) == (files[f"/city/{path}"], mime, None)
    asked = len(server.asked)
    remote_tileset.file(workspace, one, HERE, "data/a.b3dm")
    assert len(server.asked) == asked  # fresh: not asked again
    old(workspace, one)
    server.mood = "html"
    server.files.clear()
    body, _, kept = remote_tileset.file(workspace, one, HERE, "data/a.b3dm")
    assert body == files["/city/data/a.b3dm"]
    assert kept.error is not None and kept.error.key == "remote_no_tiles"


@pytest.mark.parametrize(
    "path",
    ["../secret.json", "data/../../x.json", "a.html", "//other.example/x.json", "a.json?x=1", ""],
)
def test_a_tileset_gives_no_other_file(server: Server, tmp_path: Path, path: str) -> None:
    one = layer(server, "tileset", url=f"{server.url}/city/tileset.json")
    with pytest.raises(BadInputError) as e:
        remote_tileset.file(Workspace(tmp_path), one, HERE, path)
    assert e.value.key == "layer_unknown" and server.asked == []


def test_a_page_is_no_tileset(server: Server) -> None:
    server.mood = "html"
    with pytest.raises(BadInputError) as e:
        remote_tileset.offered(f"{server.url}/city/tileset.json", HERE)
    assert e.value.key == "remote_no_service"
