"""Every door is declared, and no planted secret leaves through any of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import planted
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.routing import BaseRoute, Mount

import citymap.share
from asgi_client import TestClient
from citymap import web
from citymap.settings import Settings
from citymap.share import doors as registry
from citymap.share.doors import Door
from citymap.share.gate import AUDIENCES
from citymap.web.public import create_app
from citymap.workspace import Workspace

HOW = (
    "declare it beside its code: citymap.share.doors.declare(Door(id, kinds=(…), knocks=… or emit=…)); "
    "records pass citymap.share.gate.release"
)
WITHOUT_A_DOOR = {
    "gate",
    "doors",
    "tile_files",
    "live_record",
}  # the gate, and what doors are made of


def route_ids(routes: list[BaseRoute], prefix: str = "") -> Iterator[str]:
    """Paths as doors are entered: `{name:path}` without the converter, a mounted app with a slash."""
    for route in routes:
        path = prefix + getattr(route, "path", "")
        if isinstance(route, Mount) and route.routes:
            yield from route_ids(list(route.routes), path)
        else:
            yield re.sub(r"\{(\w+):\w+\}", r"{\1}", path) + (
                "/" if isinstance(route, Mount) else ""
            )


def declared() -> dict[str, Door]:
    for module in iter_modules(citymap.share.__path__):
        import_module(f"citymap.share.{module.name}")
    return registry.doors()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return planted.make(tmp_path_factory.mktemp("planted") / "city")


def test_every_route_is_a_declared_door() -> None:
    undeclared = set(route_ids(web.routes(Settings(city=None)))) - set(declared())
    assert undeclared == set(), HOW


def test_every_module_of_share_declares_its_doors() -> None:
    """A new export is a new module of `citymap.share`: it cannot be forgotten here."""
    silent = []
    for module in iter_modules(citymap.share.__path__):
        if module.name in WITHOUT_A_DOOR or module.name.startswith("_"):
            continue
        spec = module.module_finder.find_spec(f"citymap.share.{module.name}", None)  # type: ignore[call-arg]
        assert spec is not None
        assert spec.origin is not None
        sources = [Path(spec.origin)]
        if module.ispkg:
            sources = sorted(Path(spec.origin).parent.rglob("*.py"))
        if not any("declare(" in s.read_text(encoding="utf-8") for s in sources):
            silent.append(module.name)
    assert silent == [], HOW


def test_a_door_says_what_passes_or_why_nothing_does() -> None:
    with pytest.raises(ValueError, match="name its kinds"):
        Door("/x")
    with pytest.raises(ValueError, match="nobody describes"):
        Door("/x", kinds=("secrets",), emit=lambda *_: [])
    with pytest.raises(ValueError, match="either knocks or emit"):
        Door("/x", kinds=("buildings",))


def answers(door: Door, city: Workspace, client: TestClient) -> Iterator[tuple[str, bytes]]:
    """What a door gives: web doors to the public, the others to every audience that may not know."""
    if door.emit is not None:
        for audience in AUDIENCES:
            if audience == "public":
                for number, body in enumerate(door.emit(city, audience)):
                    yield f"{door.id} {number}", body
        return
    assert door.knocks is not None
    given = 0
    for knock in door.knocks(city):
        got = client.request(
            knock.method, knock.url, content=knock.body, headers=dict(knock.headers)
        )
        given += got.status_code < 300 and bool(got.content)
        yield f"{door.id} {knock.url}", got.content
    assert given, f"no knock at {door.id} was answered: its test is empty"


def leaks(door: Door, city: Workspace, client: TestClient, folder: Path) -> list[str]:
    return [
        where
        for where, body in answers(door, city, client)
        if any(hidden in one for one in planted.readings(body, folder) for hidden in planted.HIDDEN)
    ]


@pytest.mark.parametrize("door", [d for d in declared().values() if d.kinds], ids=lambda d: d.id)
def test_no_planted_secret_leaves(door: Door, city: Workspace, tmp_path: Path) -> None:
    client = TestClient(create_app(Settings(city=city.root, rate_api_per_minute=0)))
    assert leaks(door, city, client, tmp_path) == []


def test_the_search_for_leaks_finds_one(city: Workspace, tmp_path: Path) -> None:
    """Otherwise the test above could not fail."""
    files = [
        city.buildings,
        city.tiles / "manifest.json",
        next(city.tiles.rglob("cards/0.json.gz")),
    ]
    leaky = Door("leaky", kinds=("buildings",), emit=lambda w, _: [f.read_bytes() for f in files])
    client = TestClient(create_app(Settings(city=city.root)))
    assert len(leaks(leaky, city, client, tmp_path)) == len(files)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12),
    attribute=st.sampled_from(["gen:owner", "owner", "GEN:x", "uroo:x", ""]),
)
def test_whatever_a_new_column_is_called_it_stays_in(
    name: str, attribute: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from citymap.share.gate import fields

    if name in {*fields("buildings", "public"), "owner", "geometry"}:
        return
    folder = tmp_path_factory.mktemp("named")
    workspace = planted.make(folder / "city", tiles=False)
    planted.plant_column(workspace.buildings, name)
    planted.plant_attribute(workspace.building_attributes, attribute)
    client = TestClient(create_app(Settings(city=workspace.root, rate_api_per_minute=0)))
    for door_id in ("/api/buildings/{gml_id}", "/api/search", "download of buildings"):
        assert leaks(declared()[door_id], workspace, client, folder) == []
