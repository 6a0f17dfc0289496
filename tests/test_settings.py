"""Settings: files and environment in order, wrong keys and values refused where they stand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from citymap import cli
from citymap.errors import BadInputError
from citymap.settings import Settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory and no CITYMAP_* but ours."""
    for name in list(os.environ):
        if name.startswith("CITYMAP_"):
            monkeypatch.delenv(name)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


def city_with(tmp_path: Path, text: str) -> Path:
    city = tmp_path / "city"
    city.mkdir(exist_ok=True)
    (city / "citymap.toml").write_text(text, encoding="utf-8")
    return city


def test_the_environment_wins_over_the_city_and_the_city_over_the_directory(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "citymap.toml").write_text('port = 1001\nstaff_port = 1002\nlang = "en"')
    city = city_with(tmp_path, "port = 2001\nstaff_port = 2002")
    assert (Settings(city=city).port, Settings(city=city).lang) == (2001, "en")
    monkeypatch.setenv("CITYMAP_PORT", "3001")
    got = Settings(city=city)
    assert (got.port, got.staff_port) == (3001, 2002)
    assert Settings(city=city, port=4001).port == 4001


def test_the_file_in_the_directory_may_name_the_city_whose_file_counts_too(
    tmp_path: Path, elsewhere: Path
) -> None:
    city_with(tmp_path, "workers = 3")
    (elsewhere / "citymap.toml").write_text('city = "../city"')
    got = Settings()
    assert got.city is not None
    assert got.city.samefile(tmp_path / "city")
    assert got.workers == 3


def test_a_named_file_is_the_only_one(
    tmp_path: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "citymap.toml").write_text("port = 1001")
    other = tmp_path / "other.toml"
    other.write_text('tls_cert = "certs/a.pem"')
    monkeypatch.setenv("CITYMAP_CONFIG", str(other))
    assert Settings().port == 8500
    assert Settings().tls_cert == tmp_path / "certs/a.pem"
    monkeypatch.setenv("CITYMAP_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(BadInputError) as caught:
        Settings()
    assert caught.value.key == "not_found"


def test_a_wrong_key_is_refused_with_line_and_suggestion(tmp_path: Path) -> None:
    city = city_with(tmp_path, "lang = 'ja'\n# port\nstaff-prot = 9000\n")
    with pytest.raises(BadInputError) as caught:
        Settings(city=city)
    assert caught.value.place == f"{city / 'citymap.toml'}:3"
    assert caught.value.values["suggestion"] == "staff_port"
    assert "staff_port" in caught.value.message("ja")


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("CITYMAP_PROT", "CITYMAP_PORT"), ("CITYMAP_ROOTPATH", "CITYMAP_ROOT_PATH"),
     ("CITYMAP_STAFFPORT", "CITYMAP_STAFF_PORT"), ("citymap_citty", "CITYMAP_CITY")],
)  # fmt: skip
def test_a_wrong_variable_is_refused_with_a_suggestion(
    name: str, suggestion: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(BadInputError) as caught:
        Settings()
    assert caught.value.values["suggestion"] == suggestion
    assert suggestion in caught.value.message("en")


@pytest.mark.parametrize(
    ("text", "line"), [("\nport = 70000", 2), ("workers = 'two'", 1), ("lang = 'fr'", 1),
                       ("metrics_allow = ['nowhere']", 1), ("root_path = '/../etc'", 1)],
)  # fmt: skip
def test_a_wrong_value_is_refused_where_it_stands(tmp_path: Path, text: str, line: int) -> None:
    city = city_with(tmp_path, text)
    with pytest.raises(BadInputError) as caught:
        Settings(city=city)
    assert caught.value.key == "bad_setting"
    assert caught.value.place == f"{city / 'citymap.toml'}:{line}"


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    city = city_with(tmp_path, "port = \n")
    with pytest.raises(BadInputError) as caught:
        Settings(city=city)
    assert caught.value.key == "bad_settings_file"
    assert "line 1" in str(caught.value.values["reason"])


def test_the_password_of_the_store_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYMAP_STORE", "postgresql://a:hush@db/x")
    assert "hush" not in repr(Settings())


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYMAP_METRICS_ALLOW", "10.0.0.0/8, ::1")
    assert Settings().metrics_allow == ("10.0.0.0/8", "::1")


@pytest.mark.parametrize(("given", "kept"), [("sano", "/sano"), ("/a/b/", "/a/b"), ("/", "")])
def test_a_prefix_is_brought_into_one_form(given: str, kept: str) -> None:
    assert Settings(root_path=given).root_path == kept


def test_the_command_refuses_a_wrong_setting_as_wrong_usage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CITYMAP_PROT", "1")
    got = CliRunner().invoke(cli.app, ["info"])
    assert got.exit_code == 2
    assert "CITYMAP_PORT" in got.stderr
