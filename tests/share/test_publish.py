"""The static site: whole or not at all, packed twins that agree, answers as the server gives them."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import shapely
from tests import small_city

from citymap.assess.place import Places
from citymap.errors import BadInputError
from citymap.live import openings
from citymap.places import import_places
from citymap.progress import Quiet
from citymap.share import publish as site
from citymap.share import residents
from citymap.share.paper import sheet
from citymap.store import Store, open_store
from citymap.workspace import Workspace


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    tmp = tmp_path_factory.mktemp("publish")
    workspace = small_city.make(tmp / "city")
    (tmp / "s.csv").write_text(
        f"ID,名称,緯度,経度,災害種別_洪水,電話番号\n1,第一小,{small_city.SOUTH},{small_city.WEST},1,028-000-0000\n",
        encoding="utf-8",
    )
    import_places(workspace, [tmp / "s.csv"])
    return workspace


@pytest.fixture
def store(city: Workspace) -> Iterator[Store]:
    opened = open_store(city)
    yield opened
    opened.close()


@pytest.fixture
def static(tmp_path: Path) -> Path:
    home = tmp_path / "static" / "home"
    (home / "assets").mkdir(parents=True)
    (home / "index.html").write_text(
        '<script src="./assets/a.js"></script>' + " " * 500, encoding="utf-8"
    )
    (home / "assets" / "a.js").write_text("let a = 1;" * 100)
    (home / "sw.js").write_text("self;")
    (tmp_path / "static" / "index.html").write_text("map")
    (tmp_path / "static" / "report").mkdir()
    (tmp_path / "static" / "report" / "index.html").write_text("form")
    return tmp_path / "static"


def test_a_whole_site(city: Workspace, store: Store, static: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    done = site.publish(city, store, target, static, progress=Quiet())
    about = json.loads((target / "site.json").read_text())
    data = target / about["data"]
    assert (data / "search.json").is_file() and done.places >= 4
    assert '="./home/assets/a.js"' in (target / "index.html").read_text()
    assert not (target / "report").exists() and (target / "map" / "index.html").is_file()
    assert len(list((target / "words").glob("*.json"))) == 7
    everything = b""
    for path in target.rglob("*"):
        if path.is_file() and path.suffix != ".gz":
            everything += path.read_bytes()
        elif path.suffix == ".gz":
            assert gzip.decompress(path.read_bytes()) == path.with_suffix("").read_bytes()
    assert b"028-000-0000" not in everything


def test_the_files_answer_as_the_server_does(city: Workspace) -> None:
    files = dict(site.place_files(city, progress=Quiet()))
    lon, lat = small_city.WEST + 0.0011, small_city.SOUTH + 0.0001
    tile = json.loads(files[site.tile_of(lon, lat)])
    asked = Places(city).answer(lon, lat)
    (found,) = [b for b in tile["buildings"] if b[2]["gml_id"] == asked["building"]["gml_id"]]
    record = tile["records"][found[1]]
    assert (record["verdict"], record["reasons"]) == (asked["verdict"], asked["reasons"])
    west, south, east, north = site.bounds_of(site.tile_of(lon, lat))
    assert west <= lon < east and south < lat <= north


def test_a_new_version_takes_over_and_the_last_one_stays(
    city: Workspace, store: Store, static: Path, tmp_path: Path
) -> None:
    target = tmp_path / "site"
    first = site.publish(city, store, target, static, progress=Quiet()).version
    assert (
        site.publish(city, store, target, static, progress=Quiet()).version == first
    )  # the same data
    for number in range(3):
        (target / "data" / f"old{number}").mkdir()
    site.publish(city, store, target, static, progress=Quiet())
    kept = {p.name for p in (target / "data").iterdir()}
    assert first in kept and len(kept) == 2


def test_the_status_alone(city: Workspace, store: Store, static: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    site.publish(city, store, target, static, progress=Quiet())
    before = {p: p.stat().st_mtime_ns for p in target.rglob("*") if p.is_file()}
    openings.say(store, "1", "open", head_count=2, by="test")
    site.write_status(city, store, target)
    changed = {p.name for p, t in before.items() if p.stat().st_mtime_ns != t}
    assert changed == {"status.json", "status.json.gz"}
    assert json.loads((target / "status.json").read_text())["openings"]["1"]["state"] == "open"


def test_what_is_no_site_is_not_written_over(
    city: Workspace, store: Store, static: Path, tmp_path: Path
) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "thesis.txt").write_text("x")
    with pytest.raises(BadInputError) as e:
        site.publish(city, store, tmp_path / "documents", static, progress=Quiet())
    assert e.value.key == "publish_not_empty"
    with pytest.raises(BadInputError) as e:
        site.publish(city, store, tmp_path / "new", tmp_path / "nothing", progress=Quiet())
    assert e.value.key == "publish_not_built"


def test_a_city_corrects_its_words_and_a_broken_file_breaks_nothing(tmp_path: Path) -> None:
    city = Workspace(tmp_path)
    (tmp_path / "residents").mkdir()
    (tmp_path / "residents" / "en.toml").write_text(
        'title = "Kasumi"\nnonsense = "x"\n', encoding="utf-8"
    )
    words = residents.words(city, "en") or {}
    assert words["title"] == "Kasumi" and "nonsense" not in words
    (tmp_path / "residents" / "en.toml").write_text("title = ", encoding="utf-8")
    assert (residents.words(city, "en") or {})["title"] == "Is my place safe?"
    assert residents.words(city, "../../etc/passwd") is None
    assert list(residents.catalogues())[:3] == ["ja", "easy", "en"]


def test_the_paper_maps_are_part_of_it_and_are_drawn_once(
    city: Workspace, store: Store, static: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (static / "paper").mkdir()
    (static / "paper" / "sheet.css").write_text("p{}")
    (static / "paper" / "sheet.js").write_text("1;")
    area = shapely.box(small_city.WEST, small_city.SOUTH, small_city.WEST + 0.004, small_city.SOUTH + 0.003)  # fmt: skip
    monkeypatch.setattr(sheet, "districts", lambda *_: [sheet.District('1/"x', "本町", area)])
    target = tmp_path / "site"
    site.publish(city, store, target, static, progress=Quiet(), url="https://map.example/")
    assert json.loads((target / "site.json").read_text())["paper"] == "paper/"
    drawn = {p: p.stat().st_mtime_ns for p in target.glob("paper/*/*/*/*.html")}
    assert {p.parent.name for p in drawn} == {"ja", "en"}
    for name in ("index.html", "en.html"):
        listed = (target / "paper" / name).read_text()
        for there in re.findall(r'href="([^"#?]+)', listed):
            if not there.startswith("data:"):
                assert (target / "paper" / there).exists(), there
    for path in drawn:
        text = path.read_text()
        assert "本町" in text and 'data-url="https://map.example/"' in text
        assert "028-000-0000" not in text
        for there in re.findall(r'(?:href|src|data-status|data-root)="([^"#]+)"', text):
            if not there.startswith("data:"):
                assert (path.parent / there).exists(), there
    site.publish(city, store, target, static, progress=Quiet(), url="https://map.example/")
    assert {p: p.stat().st_mtime_ns for p in target.glob("paper/*/*/*/*.html")} == drawn
    site.publish(city, store, target, static, progress=Quiet(), url="https://other.example/")
    assert len([p for p in (target / "paper").iterdir() if p.is_dir()]) == 2
    site.publish(city, store, target, static, progress=Quiet(), paper=False)
    assert json.loads((target / "site.json").read_text())["paper"] is None
