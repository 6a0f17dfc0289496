"""The list of cities: who stands where, and what may not be shared."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_city
from citymap.cli.cities_served import check, environment_of
from citymap.errors import BadInputError
from citymap.layers import snapshots
from citymap.layers.remote import Allowed
from citymap.operations import cities, city_layers
from citymap.operations.cities import Cities


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for name in ("sano", "oyama"):
        small_city.make(tmp_path / name, 3)
    path = tmp_path / "cities.toml"
    cities.init(
        path, title="圏域", host="127.0.0.1", port=21650, staff_port=21651, first_port=21660
    )
    cities.add(path, "sano", tmp_path / "sano")
    cities.add(path, "oyama", tmp_path / "oyama")
    return path


def refused(do: Callable[[], object]) -> BadInputError:
    with pytest.raises(BadInputError) as error:
        do()
    assert "→" in error.value.message("ja")
    return error.value


def test_the_file_is_read_as_it_was_written(file: Path) -> None:
    read = cities.read(file)
    assert [(c.prefix, c.port, c.staff_port) for c in read.city] == [
        ("sano", 21660, 21661), ("oyama", 21662, 21663)
    ]  # fmt: skip
    assert [c.folder.resolve() for c in read.city] == [file.parent / "sano", file.parent / "oyama"]
    assert 'folder = "sano"' in file.read_text(encoding="utf-8")  # so that the whole can be moved
    cities.write(file, read)
    assert cities.read(file) == read


def test_prefixes_folders_and_ports_are_each_citys_own(file: Path, tmp_path: Path) -> None:
    assert refused(lambda: cities.add(file, "sano", tmp_path / "oyama")).key == "bad_cities_file"
    assert refused(lambda: cities.add(file, "third", tmp_path / "oyama")).key == "bad_cities_file"
    assert refused(lambda: cities.add(file, "third", tmp_path)).key == "not_a_city"
    for name in ("", "Sano", "佐野", "a/b", "..", "cities", "-a"):
        small_city.make(tmp_path / "third", 3) if not (tmp_path / "third").exists() else None
        assert (
            refused(lambda name=name: cities.add(file, name, tmp_path / "third")).key
            == "bad_cities_file"
        )  # type: ignore[misc]
    text = file.read_text(encoding="utf-8").replace("21663", "21650")
    file.write_text(text, encoding="utf-8")
    assert refused(lambda: cities.read(file)).key == "bad_cities_file"


@pytest.mark.parametrize("text", ["port = ", "unknown = 1", "[[city]]\nprefix = 'a'", "city = 3"])
def test_a_wrong_file_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_text(text, encoding="utf-8")
    assert refused(lambda: cities.read(tmp_path / "c.toml")).key == "bad_cities_file"
    assert refused(lambda: cities.read(tmp_path / "none.toml")).key == "no_cities_file"
    assert refused(lambda: cities.init(tmp_path / "c.toml", title="", host="", port=1, staff_port=2, first_port=3)).key == "cities_file_exists"  # fmt: skip


def test_two_cities_with_one_store_are_not_started(file: Path) -> None:
    for name in ("sano", "oyama"):
        (file.parent / name / "citymap.toml").write_text('store = "postgresql://x/one"\n')
    assert refused(lambda: check(cities.read(file))).key == "cities_share_store"
    assert refused(lambda: check(Cities())).key == "no_cities"


def test_nothing_of_our_environment_reaches_the_cities(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYMAP_STORE", "postgresql://all/cities")
    monkeypatch.setenv("CITYMAP_OIDC_CLIENT_SECRET", "secret")
    monkeypatch.setenv("CITYMAP_CONFIG", "/etc/all.toml")
    monkeypatch.setenv("CITYMAP_LANG", "en")
    one = cities.find(cities.read(file), "sano")
    given = {
        k: v for k, v in environment_of(one).items() if k.startswith("CITYMAP_") and "TEST" not in k
    }
    assert given == {
        "CITYMAP_CITY": str(one.folder), "CITYMAP_ROOT_PATH": "/sano", "CITYMAP_LANG": "en"
    }  # fmt: skip


def test_a_layer_is_taken_only_where_the_citys_own_settings_allow_it(file: Path) -> None:
    listed = cities.read(file)
    oyama = cities.find(listed, "oyama")
    assert (
        refused(lambda: city_layers.subscribe(listed, "oyama", "sano", "buildings")).key
        == "cities_not_allowed"
    )
    assert (
        refused(lambda: city_layers.subscribe(listed, "oyama", "oyama", "buildings")).key
        == "cities_same"
    )
    assert (
        refused(lambda: city_layers.subscribe(listed, "oyama", "kiryu", "buildings")).key
        == "no_such_city"
    )
    assert (
        refused(
            lambda: city_layers.subscribe(listed, "oyama", "sano", "nothing", allow_it=True)
        ).key
        == "export_no_layer"
    )
    made = city_layers.subscribe(listed, "oyama", "sano", "buildings", allow_it=True)
    settings = cities.settings_of(oyama)
    allowed = Allowed(settings.remote_hosts, settings.remote_private)
    assert allowed.host("127.0.0.1", 21660)
    assert not allowed.host("127.0.0.1", 21662)  # that port alone
    assert not allowed.host("127.0.0.1", 5432)
    watch = snapshots.watch(small_city.Workspace(oyama.folder), made["id"])
    assert (watch.url, watch.layer) == ("http://127.0.0.1:21660/sano/ogc", "buildings")
    assert watch.key in {"building_id", "gml_id"}
    assert not (file.parent / "sano" / "snapshots").exists()
    (oyama.folder / "citymap.toml").write_text('remote_hosts = ["gis.example.jp"]\n')
    assert (
        refused(
            lambda: city_layers.subscribe(listed, "oyama", "sano", "buildings", allow_it=True)
        ).key
        == "cities_not_allowed"
    )


def test_nginx_gets_a_place_for_every_city_on_both_sides(file: Path) -> None:
    text = cities.nginx(cities.read(file), port=80, staff_port=8080)
    for port in (21650, 21651, 21660, 21661, 21662, 21663):
        assert text.count(f"proxy_pass http://127.0.0.1:{port};") == 1
    assert text.count("location /sano/ {") == text.count("location /oyama/ {") == 2
    assert text.count("{") == text.count("}")
    assert refused(lambda: cities.nginx(Cities(), port=80, staff_port=81)).key == "no_cities"
    for port, staff in ((80, 80), (21650, 80), (80, 21650)):
        wrong = refused(
            lambda p=port, s=staff: cities.nginx(cities.read(file), port=p, staff_port=s)
        )  # type: ignore[misc]
        assert wrong.key == "cities_nginx_port"


def test_a_city_can_be_taken_out(file: Path) -> None:
    cities.remove(file, "sano")
    assert [c.prefix for c in cities.read(file).city] == ["oyama"]
    assert (file.parent / "sano" / "city.toml").is_file()
    assert refused(lambda: cities.remove(file, "sano")).key == "no_such_city"


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_itself_takes_the_configuration(file: Path, tmp_path: Path) -> None:
    text = cities.nginx(cities.read(file), port=21670, staff_port=21671)
    folders = "".join(
        f"{n}_temp_path {tmp_path / n};"
        for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    head = f"pid {tmp_path / 'pid'}; error_log stderr; events {{}}\nhttp {{ access_log off; {folders}\n"
    (tmp_path / "nginx.conf").write_text(head + text + "}\n", encoding="utf-8")
    nginx = shutil.which("nginx")
    assert nginx is not None
    said = subprocess.run([nginx, "-t", "-c", str(tmp_path / "nginx.conf")], capture_output=True, check=False)  # fmt: skip
    assert said.returncode == 0, said.stderr.decode()
