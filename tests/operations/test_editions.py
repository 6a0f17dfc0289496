"""A new edition of the model: compared, put in force at once, taken back, crash or not."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import geopandas
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from citymap import cli
from citymap import workspace as workspace_module
from citymap.assess import verdict_history
from citymap.assess.exposure import compute
from citymap.demo import generate, second_edition
from citymap.demo.city import FOLDER
from citymap.errors import BadInputError
from citymap.operations import editions, model_changes, report_buildings
from citymap.plateau.importer import ImportOptions, import_sources
from citymap.progress import Quiet
from citymap.store import audit, open_store
from citymap.tiles import build
from citymap.workspace import Workspace

sys.path.insert(0, str(Path(__file__).parents[1] / "reports"))
import report_samples

from citymap.reports import desk, receive
from citymap.reports.model import Sender

EACH = 3
Truth = second_edition.Truth


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Truth]:
    """A demo city with its second edition beside it, imported and compared once for all tests."""
    made = tmp_path_factory.mktemp("made")
    generate(made, buildings=300, seed=1, progress=Quiet())
    later = made / "later" / FOLDER.replace("_2024_", "_2025_")
    truth = second_edition.write(made / FOLDER, later, each=EACH, seed=1)
    city = Workspace(made / "city")
    import_sources([made / FOLDER], city, options=ImportOptions(), progress=Quiet())
    build(city, progress=Quiet(), workers=1)
    compute(city, progress=Quiet())
    editions.add(city, [later], "2025", workers=1, progress=Quiet())
    return city.root, later, truth


@pytest.fixture
def city(town: tuple[Path, Path, Truth], tmp_path: Path) -> Workspace:
    """A copy to change."""
    shutil.copytree(town[0], tmp_path / "city")
    return Workspace(tmp_path / "city")


def ids(city: Workspace) -> set[str]:
    return set(pq.read_table(city.buildings, columns=["gml_id"])["gml_id"].to_pylist())


def everything(city: Workspace) -> dict[str, bytes]:
    """Every file that a reader of the city may open."""
    names = [*editions.TABLES, "city.toml", "tiles/manifest.json"]
    paths = [city.root / n for n in names]
    paths += sorted((city.root / "exposure").glob("*")) + sorted(city.hazards.glob("*"))
    paths += [*sorted(city.base.glob("*")), city.roads, city.terrain]
    paths = [p for p in paths if p.is_file() and not p.name.startswith(".")]
    return {p.relative_to(city.root).as_posix(): p.read_bytes() for p in paths}


def centre(city: Workspace, gml_id: str) -> tuple[float, float]:
    table = geopandas.read_parquet(city.buildings).set_index("gml_id")
    point = table.geometry[gml_id].representative_point()
    return point.x, point.y


def test_the_differences_are_exactly_those_that_were_made(
    city: Workspace, town: tuple[Path, Path, Truth]
) -> None:
    truth = town[2]
    found = model_changes.rows(city, "2025")

    def of(kind: str, column: str) -> set[str]:
        return set(found.loc[found["kind"] == kind, column])

    assert of("removed", "old_gml_id") == set(truth.removed)
    assert of("added", "new_gml_id") == set(truth.added)
    assert of("changed", "old_gml_id") == set(truth.changed)
    renamed = found[found["kind"] == "renamed"]
    assert dict(zip(renamed["old_gml_id"], renamed["new_gml_id"], strict=True)) == truth.renamed
    split = found[found["kind"] == "split"].groupby("old_gml_id")["new_gml_id"].agg(set)
    assert dict(split) == {k: set(v) for k, v in truth.split.items()}
    merged = found[found["kind"] == "merged"]
    assert dict(zip(merged["old_gml_id"], merged["new_gml_id"], strict=True)) == truth.merged
    changed = found[found["kind"] == "changed"]
    assert set(changed["columns"]) == {"measured_height_m"}
    assert (
        (changed["new_measured_height_m"] - changed["old_measured_height_m"]).round(3).eq(6).all()
    )
    summary = editions.edition(city, "2025").changes
    assert summary is not None
    assert summary["same"] == summary["old_total"] - 6 * EACH
    assert summary["split_from"] == EACH
    assert summary["merged_into"] == EACH


def test_nothing_changes_before_the_change(city: Workspace, town: tuple[Path, Path, Truth]) -> None:
    assert not ids(city) & set(town[2].added)
    assert editions.in_force(city).name == "2024"
    assert [e.name for e in editions.listed(city)] == ["2025"]


def test_the_change_and_the_way_back(city: Workspace, town: tuple[Path, Path, Truth]) -> None:
    truth, before = town[2], everything(city)
    store = open_store(city)
    done = editions.activate(city, "2025", store=store, by="planner", progress=Quiet())
    assert (done.name, done.before) == ("2025", "2024")
    assert ids(city) >= set(truth.added)
    assert not ids(city) & set(truth.removed)
    manifest = json.loads((city.tiles / "manifest.json").read_text())
    assert manifest["buildings"]["count"] == pq.read_metadata(city.buildings).num_rows
    assert (city.tiles / manifest["version"]).is_dir()
    assert manifest["version"] == build(city, progress=Quiet())["version"]  # as if built in place
    assert verdict_history.state_of(city) is not None  # exposure is of these buildings
    editions.rollback(city, store=store, by="planner", progress=Quiet())
    assert everything(city) == before
    assert [e.action for e in audit.entries(store)] == ["model.activate", "rollback.activate"]
    editions.rollback(city, store=store, by="planner", progress=Quiet())  # and forward again
    assert ids(city) >= set(truth.added)
    store.close()


def test_reports_follow_their_buildings_and_none_is_dropped(
    city: Workspace, town: tuple[Path, Path, Truth]
) -> None:
    truth, store = town[2], open_store(city)
    numbers: dict[str, str] = {}

    def report(name: str, gml_id: str) -> None:
        lon, lat = centre(city, gml_id)
        sent = report_samples.checked(report_samples.body(lon=lon, lat=lat, id=str(uuid.uuid4())))
        receipt = receive.accept(store, city, sent, sender=Sender(), at=report_samples.AT)
        numbers[name] = receipt.id

    stayed = next(
        iter(
            ids(city)
            - {*truth.removed, *truth.changed, *truth.renamed, *truth.split, *truth.merged}
        )
    )
    cut, renamed, merged = (next(iter(d)) for d in (truth.split, truth.renamed, truth.merged))
    for name, gml_id in (("stayed", stayed), ("removed", truth.removed[0]), ("renamed", renamed),
                         ("split", cut), ("merged", merged)):  # fmt: skip
        report(name, gml_id)
    done = editions.activate(city, "2025", store=store, by="planner", progress=Quiet())
    found = report_buildings.read(city)

    def now(name: str) -> tuple[str | None, str]:
        row = found[numbers[name]]
        return row["gml_id"], row["rule"]

    assert now("stayed")[0] == stayed
    assert now("removed") == (None, "lost")
    assert found[numbers["removed"]]["from_gml_id"] == truth.removed[0]
    assert now("renamed") == (truth.renamed[renamed], "overlap")
    assert now("split")[0] in truth.split[cut]
    assert now("split")[1] == "split"
    assert now("merged")[0] == truth.merged[merged]
    assert len(done.lost) == 1
    assert [r["report_id"] for r in model_changes.lost_reports(city)] == [numbers["removed"]]
    assert desk.count(store) == 5
    editions.rollback(city, store=store, by="planner", progress=Quiet())
    back = report_buildings.read(city)
    expected = {"stayed": stayed, "removed": truth.removed[0], "renamed": renamed, "split": cut}
    assert {n: back[numbers[n]]["gml_id"] for n in expected} == expected
    store.close()


def test_the_history_of_verdicts_goes_on_under_the_new_id(
    city: Workspace, town: tuple[Path, Path, Truth]
) -> None:
    truth = town[2]
    editions.activate(city, "2025", store=None, by="planner", progress=Quiet())
    old, new = next(iter(truth.renamed.items()))
    words = verdict_history.history(city, new)
    assert [w.gml_id for w in words] == [new, old]
    assert [w.cause for w in words] == ["model", "exposure"]
    assert words[0].rule == "overlap"
    gone = verdict_history.history(city, truth.removed[0])
    assert gone[0].verdict is None
    assert gone[1].verdict is not None
    part = verdict_history.history(city, truth.split[cut := next(iter(truth.split))][0])
    assert part[1].gml_id == cut


class Crash(BaseException):
    """The machine goes off."""


@pytest.mark.parametrize("at", range(0, 14, 2))
def test_a_crash_leaves_the_one_edition_or_the_other_never_a_mixture(
    city: Workspace, town: tuple[Path, Path, Truth], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop at the n-th rename of the change, then open the city anew."""
    before = everything(city)
    renames, real = 0, Path.replace

    def failing(self: Path, target: Path) -> Path:
        nonlocal renames
        if switching and target.parent in {
            city.root,
            city.root / "exposure",
            city.tiles,
            city.hazards,
        }:
            if renames == at:
                raise Crash
            renames += 1
        return real(self, target)

    switching = False
    keep = editions._keep

    def kept(*given: object) -> None:
        nonlocal switching
        keep(*given)  # type: ignore[arg-type]
        switching = True

    with monkeypatch.context() as patch:
        patch.setattr(editions, "_keep", kept)
        patch.setattr(Path, "replace", failing)
        with pytest.raises(Crash):
            editions.activate(city, "2025", store=None, by="planner", progress=Quiet())
    again = Workspace(city.root)
    again.city()  # opening finishes or leaves
    assert not (city.root / workspace_module.JOURNAL).exists()
    if at == 0:  # the journal itself was not written
        assert everything(again) == before
        assert editions.in_force(again).name == "2024"
        editions.activate(again, "2025", store=None, by="planner", progress=Quiet())
    assert editions.in_force(again).name == "2025"
    assert ids(again) >= set(town[2].added)
    assert verdict_history.state_of(again) is not None
    editions.rollback(again, store=None, by="planner", progress=Quiet())
    assert everything(again) == before


KILLED = """
import os, sys
from pathlib import Path
from citymap.operations import editions
from citymap.progress import Quiet
from citymap.workspace import Workspace
city, stop, done, real = Workspace(Path(sys.argv[1])), int(sys.argv[2]), 0, Path.replace
keep = editions._keep
def failing(self, target):
    global done
    if target.parent in {city.root, city.root / "exposure", city.tiles}:
        if done == stop:
            os.kill(os.getpid(), 9)
        done += 1
    return real(self, target)
def kept(*given):
    keep(*given)
    Path.replace = failing
editions._keep = kept
editions.activate(city, "2025", store=None, by="planner", progress=Quiet())
"""


@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_killed_process_leaves_the_one_edition_or_the_other(
    city: Workspace, town: tuple[Path, Path, Truth], at: int
) -> None:
    before = everything(city)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(city.root), str(at)], check=False)
    assert killed.returncode == -9
    city.city()
    if at == 0:
        assert everything(city) == before
    else:
        assert editions.in_force(city).name == "2025"
        assert ids(city) >= set(town[2].added)
        assert verdict_history.state_of(city) is not None
        editions.rollback(city, store=None, by="planner", progress=Quiet())
        assert everything(city) == before


def test_the_commands_say_the_same_as_the_house(city: Workspace, tmp_path: Path) -> None:
    cli._register()
    run = CliRunner().invoke
    listed = json.loads(run(cli.app, ["model", "list", "--city", str(city.root), "--json"]).stdout)
    assert listed["in_force"]["name"] == "2024"
    assert [e["name"] for e in listed["editions"]] == ["2025"]
    out = tmp_path / "changes.csv"
    place = ["--city", str(city.root), "--json"]
    compared = run(cli.app, ["model", "compare", "2025", "--out", str(out), *place])
    assert compared.exit_code == 0
    assert json.loads(compared.stdout)["changes"]["removed"] == EACH
    assert out.is_file()
    assert run(cli.app, ["model", "activate", "2030", *place]).exit_code == 1
    switched = json.loads(run(cli.app, ["model", "activate", "2025", *place]).stdout)
    assert (switched["name"], switched["before"]) == ("2025", "2024")
    assert json.loads(run(cli.app, ["model", "rollback", *place]).stdout)["name"] == "2024"
    assert run(cli.app, ["model", "drop", "2025", *place]).exit_code == 0
    assert run(cli.app, ["model", "rollback", *place]).exit_code == 1


def test_a_hazard_map_that_came_meanwhile_counts_in_the_new_edition(city: Workspace) -> None:
    path = next(iter(sorted(city.hazards.glob("*.parquet"))))
    one = editions.edition(city, "2025")
    name = path.relative_to(city.root).as_posix()
    assert editions.is_ready(city, one)
    table = pq.read_table(path)
    if name in one.owned:
        path, name = city.hazards / "extra.parquet", "hazards/extra.parquet"
        described = next(iter(sorted(city.hazards.glob("*.toml"))))
        (city.hazards / "extra.toml").write_text(
            described.read_text(encoding="utf-8"), encoding="utf-8"
        )
    pq.write_table(table.slice(0, max(1, table.num_rows // 2)), path)
    assert not editions.is_ready(city, one)
    editions.activate(city, "2025", store=None, by="planner", progress=Quiet())
    assert pq.read_metadata(city.root / name).num_rows == max(1, table.num_rows // 2)


@pytest.mark.parametrize(
    ("do", "key"),
    [
        (lambda c, s: editions.add(c, [s], "2025", progress=Quiet()), "edition_exists"),
        (lambda c, s: editions.add(c, [s], "2024", progress=Quiet()), "edition_exists"),
        (lambda c, s: editions.add(c, [s], "../x", progress=Quiet()), "bad_edition_name"),
        (lambda c, s: editions.activate(c, "2030", store=None, by="a", progress=Quiet()), "no_edition"),
        (lambda c, s: editions.activate(c, "2024", store=None, by="a", progress=Quiet()), "no_edition"),
        (lambda c, s: editions.rollback(c, store=None, by="a", progress=Quiet()), "no_edition_before"),
        (lambda c, s: editions.drop(c, "2024"), "edition_in_force"),
        (lambda c, s: model_changes.export(c, "2025", c.root / "x.xls"), "model_format"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said(
    city: Workspace,
    town: tuple[Path, Path, Truth],
    do: Callable[[Workspace, Path], object],
    key: str,
) -> None:
    with pytest.raises(BadInputError) as error:
        do(city, town[1])
    assert error.value.key == key


def test_an_import_that_fails_leaves_nothing(city: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError):
        editions.add(city, [tmp_path / "empty"], "2026", progress=Quiet())
    assert not (city.editions / "2026").exists()
    assert [e.name for e in editions.listed(city)] == ["2025"]


def test_dropping_frees_the_name(city: Workspace) -> None:
    editions.drop(city, "2025")
    assert editions.listed(city) == []
    assert not (city.editions / "2025").exists()


def test_the_differences_as_files(city: Workspace, tmp_path: Path) -> None:
    rows = len(model_changes.rows(city, "2025"))
    assert rows == 9 * EACH - EACH  # a split gives two rows, a merger two
    assert model_changes.export(city, "2025", tmp_path / "a.gpkg") == rows
    package = geopandas.read_file(tmp_path / "a.gpkg")
    assert len(package) == rows
    assert package.crs.to_epsg() == 6668
    model_changes.export(city, "2025", tmp_path / "a.csv", ["removed"])
    text = (tmp_path / "a.csv").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    read = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    assert len(read) == EACH
    west, south, east, north = city.city().bbox or (0, 0, 0, 0)
    assert all(west <= float(r["lon"]) <= east and south <= float(r["lat"]) <= north for r in read)
    model_changes.export(city, "2025", tmp_path / "a.parquet")
    assert len(geopandas.read_parquet(tmp_path / "a.parquet")) == rows


def test_the_edition_that_waits_shares_the_files_that_are_the_same(city: Workspace) -> None:
    """Nothing of the stage is the city's own: writing there does not reach the city."""
    before = everything(city)
    stage = editions.staged(city, "2025")
    compute(stage, progress=Quiet())
    assert everything(city) == before
