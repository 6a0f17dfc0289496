"""Networks: planar, connected where they should be and nowhere else; routes that stay dry."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from citymap.errors import BadInputError
from citymap.evacuation.attach import attach
from citymap.evacuation.network import build, lines, split
from citymap.evacuation.network_files import read_barriers, read_lines, read_roads
from citymap.evacuation.routing import Goal, NoRoute, Route, Router, route
from citymap.evacuation.slope import slope_factor
from citymap.workspace import Workspace
from tests.evacuation import towns


def test_lines_that_cross_meet_unless_one_is_a_bridge() -> None:
    cross = np.array(
        [shapely.LineString([(0, 0), (100, 0)]), shapely.LineString([(50, -50), (50, 50)])]
    )
    flat = build(lines(cross), epsg=6677)
    assert (flat.nodes, flat.edges) == (5, 4)
    assert flat.repairs.crossings_joined == 1
    assert flat.component_sizes() == [5]
    over = build(lines(cross, level=np.array([0, 1], np.int8)), epsg=6677)
    assert (over.nodes, over.edges) == (4, 2)
    assert over.repairs.crossings_apart == 1
    assert over.component_sizes() == [2, 2]
    assert over.bridge.tolist() == [False, True]


def test_an_end_on_a_line_divides_it_and_near_ends_are_one() -> None:
    shapes = np.array([
        shapely.LineString([(0, 0), (100, 0)]), shapely.LineString([(40, 0.2), (40, 50)]),
        shapely.LineString([(100.3, 0), (150, 0)]),
    ])  # fmt: skip
    network = build(lines(shapes), epsg=6677)
    assert network.component_sizes() == [5]
    assert network.edges == 4
    assert network.length_m.sum() == pytest.approx(100 + 49.8 + 49.7, abs=0.1)


def test_lengths_and_node_numbers_of_the_source_are_kept() -> None:
    shapes = np.array(
        [shapely.LineString([(0, 0), (100, 0)]), shapely.LineString([(100, 0), (200, 0)])]
    )
    source = lines(shapes, ends=np.array([[7, 9], [11, 12]]))
    assert build(source, epsg=6677).component_sizes() == [2, 2]  # 9 and 11 are not one node


def test_no_lines_and_bad_lengths_are_errors() -> None:
    with pytest.raises(BadInputError) as caught:
        build(lines(np.empty(0, object)), epsg=6677)
    assert caught.value.key == "evacuation_no_network"


def test_splitting_keeps_length_and_width() -> None:
    network = towns.grid(3)
    cut, nodes, of = split(network, np.array([0, 0, 5]), np.array([30.0, 60.0, 0.1]))
    assert cut.edges == network.edges + 2
    assert cut.length_m.sum() == pytest.approx(network.length_m.sum())
    assert nodes[2] == network.u[5]
    assert np.bincount(of, minlength=network.edges).sum() == cut.edges
    at = np.column_stack([cut.x[nodes[:2]], cut.y[nodes[:2]]])
    assert np.allclose(
        at, [shapely.linestrings(network.line(0)).interpolate(d).coords[0] for d in (30, 60)]
    )


def test_a_house_never_joins_the_road_across_the_river() -> None:
    banks = np.array(
        [shapely.LineString([(0, 0), (100, 0)]), shapely.LineString([(0, 100), (100, 100)])]
    )
    network = build(lines(banks), epsg=6677)
    river = np.array([shapely.box(-200, 10, 300, 40)], object)
    x, y = np.array([50.0, 50.0]), np.array([45.0, 5.0])
    free = attach(network, x, y)
    assert free.edge.tolist() == [0, 0]
    fenced = attach(network, x, y, barriers=river)
    assert fenced.edge.tolist() == [1, 0]
    assert fenced.off_m[0] == pytest.approx(55)
    assert fenced.across.tolist() == [True, False]
    railway = np.array([shapely.LineString([(-10, 60), (300, 60)])], object)
    shut_in = attach(network, x[:1], y[:1], barriers=np.concatenate([river, railway]), limit_m=100)
    assert shut_in.edge.tolist() == [-1]


def test_nobody_steps_onto_a_bridge_from_the_side() -> None:
    shapes = np.array(
        [shapely.LineString([(0, 0), (100, 0)]), shapely.LineString([(0, 30), (100, 30)])]
    )
    network = build(lines(shapes, level=np.array([1, 0], np.int8)), epsg=6677)
    assert attach(network, np.array([50.0]), np.array([5.0])).edge.tolist() == [1]


def test_the_street_town_reads_back(tmp_path: Path) -> None:
    network = read_roads(towns.street_town(tmp_path))
    assert network.nodes == 36
    assert network.component_sizes() == [36]
    assert network.width_m.tolist() == [6.0] * network.edges


def test_a_road_over_water_without_word_is_taken_for_a_bridge(tmp_path: Path) -> None:
    workspace = towns.street_town(tmp_path)
    towns.write_roads(
        workspace,
        [{"points": [(0, 0), (100, 0)]}, {"points": [(100, 0), (100, 100)], "bridge": False}],
    )
    towns.write_base(
        workspace, "water", [shapely.box(40, -20, 60, 20), shapely.box(90, 40, 120, 60)]
    )
    assert read_roads(workspace).bridge.tolist() == [True, False]
    assert len(read_barriers(workspace)) == 2


def test_an_openstreetmap_file_says_who_may_use_what(tmp_path: Path) -> None:
    shapes = [shapely.LineString([(139.88, 36.55), (139.881, 36.55)]),
              shapely.LineString([(139.881, 36.55), (139.882, 36.55)]),
              shapely.LineString([(139.882, 36.55), (139.883, 36.55)]),
              shapely.LineString([(139.88, 36.551), (139.883, 36.551)])]  # fmt: skip
    frame = geopandas.GeoDataFrame(
        {"highway": ["motorway", "steps", "residential", None], "oneway": ["yes", None, "-1", None],
         "width": [None, "1.5 m", None, None], "bridge": ["yes", None, None, None],
         "waterway": [None, None, None, "river"]},
        geometry=shapes, crs=4326,
    )  # fmt: skip
    frame.to_file(tmp_path / "roads.geojson")
    network = read_lines(tmp_path / "roads.geojson", epsg=6677)
    assert network.edges == 3
    assert network.foot.tolist() == [False, True, True]
    assert network.stairs.tolist() == [False, True, False]
    assert network.bridge.tolist() == [True, False, False]
    assert network.width_m.tolist() == [10.0, 1.5, 4.5]
    assert network.car_forward.tolist() == [True, False, False]
    assert network.car_backward.tolist() == [False, False, True]
    frame.set_crs(None, allow_override=True).to_parquet(tmp_path / "bare.parquet")
    with pytest.raises(BadInputError) as caught:
        read_lines(tmp_path / "bare.parquet", epsg=6677)
    assert caught.value.key == "evacuation_no_crs"
    with pytest.raises(BadInputError):
        read_lines(tmp_path / "absent.geojson", epsg=6677)


def test_real_openstreetmap_extracts_are_read(real_data: Path) -> None:
    folder = real_data / "osm_roads/crest-cassia+CrowdWalk/crowdwalk/sample/osm"
    network = read_lines(folder / "aist.osm", epsg=6677)
    assert network.component_sizes()[0] > 0.98 * network.nodes
    assert network.bridge.sum() == 7


def test_stairs_and_slopes_slow_people_down() -> None:
    from dataclasses import replace

    network = towns.grid(2)
    steep = replace(
        network, rise_m=np.array([10.0, 0.0, np.nan, 0.0]), stairs=np.array([0, 1, 0, 0], bool)
    )
    factor = slope_factor(steep)
    assert factor[0] == pytest.approx(np.exp(-0.35))  # uphill 10 %
    assert factor[1] == 1.0  # gently downhill is never faster than the level
    assert factor[2:4].tolist() == [0.6, 0.6]
    assert factor[4:].tolist() == [1.0] * 4


def brute_force(
    router: Router, place: tuple[float, float], goals: list[tuple[float, float]]
) -> float:
    """Length by a graph that is cut finely at every metre of every edge."""
    n = router.network
    points = [place, *goals]
    joined = attach(n, np.array([p[0] for p in points]), np.array([p[1] for p in points]))
    cut, nodes, _ = split(n, joined.edge, joined.at_m)
    matrix = coo_matrix((cut.length_m, (cut.u, cut.v)), (cut.nodes, cut.nodes))
    far = dijkstra(matrix, directed=False, indices=int(nodes[0]))
    return float(
        joined.off_m[0] + min(far[nodes[k]] + joined.off_m[k] for k in range(1, len(points)))
    )


@pytest.mark.parametrize("seed", range(12))
def test_routes_are_the_shortest(seed: int) -> None:
    from citymap import crs

    rng = np.random.default_rng(seed)
    network = towns.grid(5)
    router = Router(network)
    places = rng.uniform(-20, 420, (4, 2))
    lon, lat = crs.unproject(places[:, 0], places[:, 1], network.epsg)
    goals = [Goal(str(k), lon[k], lat[k]) for k in range(1, 4)]
    found = router.route(lon[0], lat[0], goals)
    assert isinstance(found, Route)
    assert found.length_m == pytest.approx(
        brute_force(router, tuple(places[0]), [tuple(p) for p in places[1:]]), abs=0.6
    )
    drawn = np.column_stack(crs.project(*np.array(found.lon_lat).T, network.epsg))
    assert np.hypot(*np.diff(drawn, axis=0).T).sum() == pytest.approx(found.length_m, abs=0.6)
    assert found.minutes == pytest.approx(found.length_m / 60, rel=1e-6)


def test_a_route_goes_round_the_water_and_says_when_it_cannot(tmp_path: Path) -> None:
    workspace = towns.street_town(tmp_path)
    towns.write_shelters(workspace, [("s2", 495, 5, None)])
    home = towns.lon_lat(shapely.Point(250, 5))
    dry = route(workspace, home.x, home.y)
    assert isinstance(dry, Route)
    depth = np.zeros((120, 120), np.float32)
    depth[60:, 78:82] = 0.4  # water at x = 340–360 m up to y = 250 m
    raster = towns.write_depth(tmp_path / "depth.tif", depth)
    around = route(workspace, home.x, home.y, depth=raster)
    assert isinstance(around, Route)
    assert around.in_water_m == 0
    assert around.length_m == pytest.approx(
        dry.length_m + 600, abs=11
    )  # the shelter is at a corner
    depth[:, :] = 1.0
    through = route(workspace, home.x, home.y, depth=towns.write_depth(tmp_path / "all.tif", depth))
    assert isinstance(through, Route)
    assert through.in_water_m > 0.9 * through.length_m - 20
    sea = towns.lon_lat(shapely.Point(5000, 5000))
    assert route(workspace, sea.x, sea.y) == NoRoute("origin_off_network")


def test_a_confirmed_closure_changes_the_route_until_it_ends(tmp_path: Path) -> None:
    workspace = towns.street_town(tmp_path)
    towns.write_shelters(workspace, [("s1", 5, 5, None)])
    home = towns.lon_lat(shapely.Point(250, 5))
    before = route(workspace, home.x, home.y)
    assert isinstance(before, Route)
    towns.write_closures(workspace, [
        {"id": "r1", "shape": shapely.Point(150, 2), "valid_from": "2026-11-21T09:00:00+09:00",
         "valid_until": "2026-11-21T18:00:00+09:00"},
    ])  # fmt: skip
    during = route(workspace, home.x, home.y, at=datetime(2026, 11, 21, 3, tzinfo=UTC))
    assert isinstance(during, Route)
    assert during.length_m == pytest.approx(before.length_m + 200, abs=1)
    after = route(workspace, home.x, home.y, at=datetime(2026, 11, 21, 10, tzinfo=UTC))
    assert after == before
    towns.write_closures(workspace, [{"id": "r1", "shape": shapely.Point(150, 2), "active": False}])
    assert route(workspace, home.x, home.y) == before
    whole = [{"id": "r2", "shape": shapely.LineString([(-20, 50), (600, 50)])}]
    towns.write_closures(workspace, whole)
    north = towns.lon_lat(shapely.Point(250, 205))
    assert route(workspace, north.x, north.y) == NoRoute("no_way")
    towns.write_closures(
        workspace, [{"id": "r1", "shape": shapely.Point(150, 2), "valid_from": "soon"}]
    )
    with pytest.raises(BadInputError) as caught:
        route(workspace, home.x, home.y)
    assert caught.value.key == "evacuation_bad_closure"


def test_the_demo_city_sample_has_a_network(tmp_path: Path) -> None:
    assert not Workspace(tmp_path).roads.exists()
    with pytest.raises(BadInputError) as caught:
        read_roads(Workspace(tmp_path), epsg=6677)
    assert caught.value.key == "evacuation_no_network"
