"""Snapshots: nothing takes effect unseen, and a server that is down or lies changes nothing."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

import ogc_service
import small_city
from citymap.errors import BadInputError
from citymap.layers import snapshots
from citymap.layers.remote import Allowed
from citymap.layers.snapshots import Difference, Watch, compared
from citymap.workspace import Workspace

HERE = Allowed(("127.0.0.1",), private=True)
AT = datetime(2026, 9, 10, 3, 0, tzinfo=UTC)


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "city")


def table(rows: dict[str, str], name: str = "name") -> geopandas.GeoDataFrame:
    """Points by key, 0.001° apart, with a text."""
    keys = sorted(rows)
    points = [shapely.Point(139.88 + int(k) * 0.001, 36.55) for k in keys]
    return geopandas.GeoDataFrame({"id": keys, name: [rows[k] for k in keys]}, geometry=points, crs="EPSG:6668")  # fmt: skip


def drop(folder: Path, rows: dict[str, str], name: str = "ledger", suffix: str = ".shp") -> None:
    """A file as somebody leaves it in the folder, a while ago."""
    folder.mkdir(exist_ok=True)
    table(rows).to_file(folder / f"{name}{suffix}", encoding="UTF-8")
    for path in folder.glob(f"{name}.*"):
        os.utime(path, (time.time() - 60,) * 2)


def watching(city: Workspace, folder: Path, **more: str) -> Watch:
    (city.root / "snapshots").mkdir(exist_ok=True)
    values = {"id": "ledger", "kind": "folder", "folder": str(folder), "key": "id", **more}
    text = "".join(f'{k} = "{v}"\n' for k, v in values.items())
    (city.root / "snapshots/ledger.toml").write_text(text)
    (one,) = snapshots.watches(city)
    return one


def names(city: Workspace) -> list[str]:
    found = snapshots.in_effect(city, "ledger")
    return [] if found is None else sorted(found["name"])


def test_what_differs_waits_until_it_is_accepted_and_can_be_taken_back(
    city: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "drop"
    one = watching(city, folder)
    drop(folder, {"1": "一", "2": "二", "3": "三"})
    first = snapshots.take(city, one, HERE, at=AT)
    assert first.pending is not None
    assert first.pending.added == 3
    assert names(city) == []
    snapshots.accept(city, one)
    assert names(city) == ["一", "三", "二"]
    assert snapshots.take(city, one, HERE).pending is None  # the same again
    drop(folder, {"1": "一", "2": "弐", "4": "四"})
    second = snapshots.take(city, one, HERE).pending
    assert second is not None
    assert (second.added, second.removed, second.changed, second.same) == (1, 1, 1, 1)
    assert set(second.examples) == {
        Difference("added", "4"), Difference("removed", "3"), Difference("changed", "2", ("name",)),
    }  # fmt: skip
    assert snapshots.state(city, "ledger").pending == second
    assert names(city) == ["一", "三", "二"]
    snapshots.accept(city, one)
    assert names(city) == ["一", "四", "弐"]
    snapshots.rollback(city, one)
    assert names(city) == ["一", "三", "二"]
    assert snapshots.take(city, one, HERE).pending is None  # taken back: not offered again
    with pytest.raises(BadInputError):
        snapshots.rollback(city, one)


def test_a_refused_snapshot_is_not_offered_again_but_another_is(
    city: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "drop"
    one = watching(city, folder)
    drop(folder, {"1": "一"})
    snapshots.take(city, one, HERE)
    snapshots.refuse(city, one)
    assert snapshots.take(city, one, HERE).pending is None
    drop(folder, {"1": "壱"})
    assert snapshots.take(city, one, HERE).pending is not None


def test_a_broken_missing_or_half_copied_file_changes_nothing(
    city: Workspace, tmp_path: Path
) -> None:
    folder = tmp_path / "drop"
    one = watching(city, folder)
    drop(folder, {"1": "一"})
    snapshots.take(city, one, HERE)
    snapshots.accept(city, one)
    for path in folder.glob("*"):
        path.unlink()
    assert snapshots.take(city, one, HERE).error
    drop(folder, {"2": "二"})
    (folder / "ledger.dbf").unlink()  # not all of it is there yet
    assert snapshots.take(city, one, HERE).error
    drop(folder, {"2": "二"})
    os.utime(folder / "ledger.dbf")  # still being written
    assert snapshots.take(city, one, HERE).error
    (folder / "x.geojson").write_text('{"type": "FeatureCollection", "features": [')
    os.utime(folder / "x.geojson", (time.time() - 30,) * 2)
    assert snapshots.take(city, one, HERE).error
    assert names(city) == ["一"]


def test_an_ogc_api_is_copied_and_an_outage_keeps_what_waits(
    tmp_path: Path, city: Workspace
) -> None:
    theirs = ogc_service.make(tmp_path / "theirs")
    with ogc_service.serving(theirs) as address:
        text = f'id = "theirs"\nkind = "oapif"\nurl = "{address}/ogc"\nlayer = "buildings"\nkey = "gml_id"\n'
        (city.root / "snapshots").mkdir()
        (city.root / "snapshots/theirs.toml").write_text(text)
        one = snapshots.watch(city, "theirs")
        with_it = snapshots.take(city, one, HERE, at=AT)
        assert with_it.pending is not None
        assert with_it.pending.added == 30
        assert snapshots.take(city, one, Allowed(), at=AT).error  # nobody allowed it
    down = snapshots.take(city, one, HERE, at=AT + timedelta(hours=25))
    assert down.error
    assert down.pending == with_it.pending
    snapshots.accept(city, one)
    found = snapshots.in_effect(city, "theirs")
    assert found is not None
    assert len(found) == 30
    assert found.crs.to_epsg() == 6668


def test_a_watch_is_due_after_its_hours(city: Workspace, tmp_path: Path) -> None:
    one = watching(city, tmp_path / "none")
    assert snapshots.due(city, one, AT)
    snapshots.take(city, one, HERE, at=AT)
    assert not snapshots.due(city, one, AT + timedelta(hours=23))
    assert snapshots.due(city, one, AT + timedelta(hours=24))


@pytest.mark.parametrize(
    "text",
    ["x", 'id = "ledger"', 'id = "other"\nkind = "folder"\nfolder = "/x"', 'id = "ledger"\nkind = "folder"',
     'id = "ledger"\nkind = "wfs"\nurl = "file:///etc"\nlayer = "a"', 'id = "ledger"\nkind = "wfs"\nurl = "https://a.example"',
     'id = "ledger"\nkind = "folder"\nfolder = "/x"\nnobody = 1'],
)  # fmt: skip
def test_a_watch_that_cannot_be_is_said(city: Workspace, text: str) -> None:
    (city.root / "snapshots").mkdir()
    (city.root / "snapshots/ledger.toml").write_text(text)
    with pytest.raises(BadInputError) as caught:
        snapshots.watches(city)
    assert caught.value.key == "bad_watch"


def test_new_and_lost_columns_are_differences(city: Workspace) -> None:
    found = compared(table({"1": "a"}), table({"1": "a"}, "title"), "id")
    assert found.any
    assert (found.columns_added, found.columns_removed) == (("title",), ("name",))


ROWS = st.dictionaries(st.integers(0, 6).map(str), st.sampled_from(["a", "b"]), min_size=1)


@settings(deadline=None)
@given(ROWS, ROWS)
def test_differences_are_those_of_the_sets(old: dict[str, str], new: dict[str, str]) -> None:
    keyed = compared(table(old), table(new), "id")
    assert keyed.added == len(set(new) - set(old))
    assert keyed.removed == len(set(old) - set(new))
    assert keyed.changed == sum(old[k] != new[k] for k in set(old) & set(new))
    assert keyed.same == sum(old[k] == new[k] for k in set(old) & set(new))
    plain = compared(table(old), table(new), "")
    assert plain.added == len(new.items() - old.items())
    assert plain.removed == len(old.items() - new.items())
    assert plain.any == (old != new)
    assert (snapshots.content(table(old)) == snapshots.content(table(new))) == (old == new)


def test_the_job_looks_at_what_is_due(city: Workspace, tmp_path: Path) -> None:
    from citymap.jobs import run, submit
    from citymap.store import jobs, open_store

    drop(tmp_path / "drop", {"1": "一"})
    watching(city, tmp_path / "drop")
    store = open_store(tmp_path / "store.sqlite")
    job = submit(store, "snapshot", {}, by="ono")
    claimed = jobs.claim(store, "w")
    assert claimed is not None
    run.run(store, city, claimed)
    done = jobs.get(store, job.id)
    assert done.result == {
        "watches": {"ledger": {"error": False, "added": 1, "removed": 0, "changed": 0}}
    }
    store.close()
