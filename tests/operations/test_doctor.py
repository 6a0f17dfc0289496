"""The doctor finds what is broken, says what to do, and changes nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from citymap import cli
from citymap.i18n import LANGUAGES, catalogue
from citymap.operations import doctor
from citymap.operations.doctor import Finding, examine
from citymap.store import open_store
from citymap.workspace import Workspace


def by_id(findings: list[Finding]) -> dict[str, Finding]:
    return {f.id: f for f in findings}


def failed(city: Workspace) -> set[str]:
    return {f.id for f in examine(city.root) if f.level == "failed"} - {"renderer"}


def test_a_sound_city_has_no_failure(city: Workspace) -> None:
    before = {p: p.stat().st_mtime_ns for p in city.root.rglob("*") if "store" not in p.name}
    found = by_id(examine(city.root))
    assert failed(city) == set()
    assert {"versions", "tables_fine", "store_fine", "disk_fine", "clock_fine"} <= set(found)
    assert {
        p: p.stat().st_mtime_ns for p in city.root.rglob("*") if "store" not in p.name
    } == before


def test_one_flipped_bit_in_a_table_is_found(city: Workspace) -> None:
    body = bytearray(city.buildings.read_bytes())
    body[200] ^= 1  # inside the first column's page
    city.buildings.write_bytes(body)
    assert "tables" in failed(city)
    assert "buildings.parquet" in by_id(examine(city.root))["tables"].message("ja")


def test_a_damaged_tile_is_found(city: Workspace) -> None:
    tile = next(city.tiles.rglob("*.bin.gz"))
    body = bytearray(tile.read_bytes())
    body[-6] ^= 1  # the CRC
    tile.write_bytes(body)
    assert "tiles" in failed(city)


def test_a_corrupted_page_of_the_store_is_found_with_the_way_back(city: Workspace) -> None:
    path = city.root / "store.sqlite"
    with closing(sqlite3.connect(path)) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = plain.execute("PRAGMA page_count").fetchone()[0]
    body = bytearray(path.read_bytes())
    size = len(body) // pages
    for page in range(2, pages):
        body[page * size : page * size + 64] = b"\xff" * 64
    path.write_bytes(body)
    found = by_id(examine(city.root))["store_damaged"]
    assert found.level == "failed"
    assert "backups/" in found.remedy("en")


def test_half_applied_tables_are_found(city: Workspace) -> None:
    with closing(sqlite3.connect(city.root / "store.sqlite")) as plain:
        plain.execute("DROP TABLE job_log")
        plain.commit()
    assert "store_half" in failed(city)


def test_a_store_of_a_newer_citymap_is_not_touched(city: Workspace) -> None:
    with closing(sqlite3.connect(city.root / "store.sqlite")) as plain:
        plain.execute("UPDATE alembic_version SET version_num = '9999'")
        plain.commit()
    assert "store_newer" in failed(city)


def test_a_store_of_an_earlier_version_stays_as_it_is(city: Workspace) -> None:
    for path in city.root.glob("store.sqlite*"):
        path.unlink()
    open_store(city, to="0001").close()
    assert by_id(examine(city.root))["store_behind"].values["revision"] == "0001"
    with closing(sqlite3.connect(city.root / "store.sqlite")) as plain:
        assert plain.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)


def test_a_clock_that_is_two_days_behind_is_found(
    city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr(doctor.time, "time", lambda: now - 2 * 86400)
    assert by_id(examine(city.root))["clock"].values["hours"] == "48"


def test_little_room_is_said_before_it_is_none(
    city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1 << 30

    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: Usage)
    assert by_id(examine(city.root))["disk"].level == "warning"
    Usage.free = 1 << 20
    assert by_id(examine(city.root))["disk"].level == "failed"


def test_what_an_interrupted_build_left_is_named(city: Workspace) -> None:
    stale = city.root / ".city.toml.1.tmp"
    os.utime(stale, (0, 0))
    assert stale.name in by_id(examine(city.root))["leftovers"].message("en")


def test_open_to_the_network_without_tls_or_accounts_is_a_warning(
    city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYMAP_HOST", "0.0.0.0")  # noqa: S104
    found = by_id(examine(city.root))
    assert found["no_tls"].level == found["no_accounts"].level == "warning"


def test_wrong_settings_are_a_finding_not_a_crash(
    city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CITYMAP_PROT", "1")
    if "doctor" not in {c.name for c in cli.app.registered_commands}:
        cli._register()
    got = CliRunner().invoke(cli.app, ["doctor", "--json", "--city", str(city.root)])
    assert got.exit_code == 1
    wrong = next(f for f in json.loads(got.stdout)["findings"] if f["id"] == "settings")
    assert "CITYMAP_PORT" in wrong["message"]
    assert wrong["remedy"]
    monkeypatch.setenv("CITYMAP_LANG", "ja")
    assert "という設定はありません" in doctor.examine(city.root)[-1].message("ja")
    assert "no setting" in doctor.examine(city.root)[-1].message("en").lower()


def test_every_finding_has_its_text_and_every_bad_one_its_remedy() -> None:
    import ast

    tree = ast.parse(Path(doctor.__file__).read_text(encoding="utf-8"))
    used: dict[str, set[str]] = {"_ok": set(), "_bad": set()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in used:
            names = (
                [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)]
                if node.args
                else []
            )
            used[node.func.id] |= {n for n in names if isinstance(n, str)}
    texts = {k.removeprefix("doctor.") for k in catalogue() if k.startswith("doctor.")}
    remedies = {k.removeprefix("doctor_do.") for k in catalogue() if k.startswith("doctor_do.")}
    assert used["_ok"] | used["_bad"] == texts
    assert used["_bad"] == remedies
    assert all(set(catalogue()[f"doctor.{k}"]) == set(LANGUAGES) for k in texts)
