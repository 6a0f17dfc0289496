"""The files an operator starts from: units, container, bundle, and the guide that names them."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from citymap import cli
from citymap.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service")) + sorted(
    (DEPLOY / "systemd").glob("*.timer")
)


def known() -> set[str]:
    return {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {"CITYMAP_CONFIG"}


def test_the_settings_of_the_unit_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYMAP_CONFIG", str(DEPLOY / "systemd" / "citymap.toml"))
    got = Settings()
    assert (got.single_user, got.tls_cert) == (False, Path("/etc/citymap/tls/cert.pem"))


@pytest.mark.parametrize(
    "path", [*UNITS, *sorted((DEPLOY / "container").iterdir())], ids=lambda p: p.name
)
def test_every_variable_named_is_a_setting(path: Path) -> None:
    named = set(re.findall(r"CITYMAP_[A-Z_]+", path.read_text(encoding="utf-8")))
    assert named - known() - {"CITYMAP_DB_PASSWORD"} == set()


def test_the_commands_of_the_units_exist() -> None:
    if "doctor" not in {c.name for c in cli.app.registered_commands}:
        cli._register()
    for unit in UNITS:
        for line in re.findall(r"^Exec\w+=\S*/citymap (.+)$", unit.read_text(), re.MULTILINE):
            name, *words = line.split()
            got = CliRunner().invoke(cli.app, [name, "--help"])
            assert got.exit_code == 0, line
            for option in (w for w in words if w.startswith("--")):
                assert option in got.output, line


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    for unit in UNITS:  # our command is not installed here
        text = unit.read_text().replace("/opt/citymap/venv/bin/citymap", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        [analyze, "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_composition_is_app_and_database_on_loopback() -> None:
    found = yaml.safe_load((DEPLOY / "container" / "compose.yaml").read_text(encoding="utf-8"))
    app, database = found["services"]["app"], found["services"]["database"]
    assert "postgis" in database["image"]
    assert all(port.startswith("127.0.0.1:") for port in app["ports"])
    assert app["read_only"] is True
    assert app["cap_drop"] == ["ALL"]
    assert (ROOT / app["build"]["dockerfile"]).is_file()


def test_the_container_runs_as_nobody_special_and_installs_offline() -> None:
    lines = (DEPLOY / "container" / "Containerfile").read_text(encoding="utf-8").replace("\\\n", "")
    words = [line.split()[0] for line in lines.splitlines() if line and line[0].isupper()]
    assert words[0] == "FROM"
    assert set(words) <= {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENV", "EXPOSE", "VOLUME",
                          "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}  # fmt: skip
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert "--no-index" in lines
    assert ":latest" not in lines


def test_a_lock_becomes_constraints_without_losing_a_package() -> None:
    spec = importlib.util.spec_from_file_location("bundle", ROOT / "scripts" / "bundle.py")
    assert spec is not None
    assert spec.loader is not None
    bundle = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bundle)
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = bundle.constraints(lock).splitlines()
    assert len(pins) == len(re.findall(r"^[A-Za-z0-9][^\s=]*==", lock, re.MULTILINE))
    assert not any("--hash" in pin or "\\" in pin for pin in pins)


def test_the_guide_names_files_that_are_there() -> None:
    text = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")
    for path in re.findall(r"deploy/[\w./*-]+\w", text):
        assert list(ROOT.glob(path)), path
    assert re.search("[\u3040-\u30ff]", text)
    assert "From an empty Debian 12 machine" in text
