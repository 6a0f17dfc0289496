"""Uploads of staff pages: into quarantine by content, drafts by a job, nothing left behind."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "reports")]
from report_samples import exif, picture

import small_city
from citymap import quarantine
from citymap.jobs import run, submit
from citymap.reports import desk
from citymap.store import Store, jobs, open_store
from citymap.ui import uploads
from citymap.workspace import Workspace


@pytest.fixture
def town(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "town")


@pytest.fixture
def store(town: Workspace) -> Iterator[Store]:
    opened = open_store(town)
    yield opened
    opened.close()


def named(name: str, body: bytes) -> io.BytesIO:
    file = io.BytesIO(body)
    file.name = name
    return file


def taken(town: Workspace, *files: io.BytesIO) -> list[uploads.Received]:
    return uploads.receive(SimpleNamespace(workspace=town), list(files), quarantine.PHOTOS)  # type: ignore[arg-type]


def test_the_content_decides_not_the_name(town: Workspace) -> None:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    found = taken(
        town, named("../../etc/a.jpg", picture()), named("b.jpg", svg), named("c.jpg", b"PK\3\4zip"),
        named("d.png", b""), named("e.csv", picture("PNG")),
    )  # fmt: skip
    assert [(one.name, one.upload.media_type) for one in found] == [
        ("a.jpg", "image/jpeg"), ("e.csv", "image/png"),
    ]  # fmt: skip
    folder = town.root / quarantine.FOLDER
    assert sorted(folder.iterdir()) == sorted(one.upload.path for one in found)
    assert all(one.upload.path.stat().st_mode & 0o077 == 0 for one in found)


def test_uploaded_pictures_become_drafts_and_leave_quarantine(
    town: Workspace, store: Store
) -> None:
    with_place, without = picture(exif=exif()), picture()
    found = taken(town, named("飛行1.jpg", with_place), named("x.jpg", without))
    params: dict[str, Any] = {
        "files": [[one.upload.path.name, one.name] for one in found], "category": "landslide",
    }  # fmt: skip
    first = submit(store, "images", params, by="sato")
    claimed = jobs.claim(store, "killed")
    assert claimed is not None
    jobs.give_back(store, claimed, why="killed")  # the files are still there for the next
    job = jobs.claim(store, "w")
    assert job is not None
    assert job.id == first.id
    run.run(store, town, job)
    ended = jobs.get(store, job.id)
    assert ended.result == {"drafts": 1, "known": 0, "skipped": 1}
    (report,) = desk.listed(store)
    assert (report.text, report.category, report.source) == ("飛行1.jpg", "landslide", "images")
    assert report.sender == "sato"
    assert list((town.root / quarantine.FOLDER).iterdir()) == []


def test_a_job_takes_nothing_but_quarantined_files(town: Workspace, store: Store) -> None:
    (town.root / quarantine.FOLDER).mkdir()
    params = {"files": [["../city.toml", "a"], ["/etc/passwd", "b"], ["f" * 32, "c"]],
              "category": "other"}  # fmt: skip
    submit(store, "images", params, by="sato")
    job = jobs.claim(store, "w")
    assert job is not None
    run.run(store, town, job)
    assert jobs.get(store, job.id).result == {"drafts": 0, "known": 0, "skipped": 0}
    assert (town.root / "city.toml").is_file()
