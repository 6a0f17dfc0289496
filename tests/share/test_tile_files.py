"""Every file that the builder makes goes out as it should; no other file does."""

from __future__ import annotations

import json
from pathlib import Path

import planted
import pytest

from citymap.share.tile_files import passage
from citymap.workspace import Workspace


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return planted.make(tmp_path_factory.mktemp("tiled") / "city")


def test_whatever_the_builder_makes_is_described(city: Workspace) -> None:
    """A new file or manifest key needs a line in `citymap.share.tile_files` or `tile_manifest.toml`."""
    version = json.loads((city.tiles / "manifest.json").read_text())["version"]
    made = {
        p.relative_to(city.tiles).as_posix().removesuffix(".gz")
        for p in city.tiles.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    }
    hidden = {name for name in made if passage(name, "public") is None}
    assert hidden == {
        "people.json", "backup.parquet", f"{version}/people/0.json", f"{version}/cards/notes.txt",
        f"{version}/attributes/owner.json",
    }  # fmt: skip


def test_the_manifest_keeps_everything_but_what_was_planted(city: Workspace) -> None:
    body = (city.tiles / "manifest.json").read_bytes()
    found = passage("manifest.json", "public")
    assert found is not None
    assert found.rewrite is not None
    before, after = json.loads(body), json.loads(found.rewrite(body, "public"))
    assert before.keys() - after.keys() == {"operator"}
    assert {k: before[k] for k in after} == after


@pytest.mark.parametrize(
    "path",
    ["", "../store.sqlite", "manifest.json/x", "a1b2c3d4/cards/../../x.json", "a1b2c3d4/cards/0.json.bak",
     "a1b2c3d4/mvt/1/2/3.json", "abc/cards/0.json", "a1b2c3d4/people/0.json", "a1b2c3d4/3d/x.exe"],
)  # fmt: skip
def test_other_paths_stay_in(path: str) -> None:
    assert passage(path, "public") is None
    assert Path(path) != Path("manifest.json")
