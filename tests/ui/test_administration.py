"""The page 管理 shows what runs and how far, and only who may can stop it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import citymap.ui
from citymap.errors import CitymapError
from citymap.store import Store, engine, jobs, shared_store
from citymap.workspace import Workspace

PAGE = Path(citymap.ui.__file__).parent / "screens" / "jobs.py"


@pytest.fixture
def store(city: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    where = str(tmp_path / "store.sqlite")
    monkeypatch.setenv("CITYMAP_STORE", where)
    yield shared_store(where)
    if (used := engine._SHARED.pop(where, None)) is not None:  # these tests alone may not need it
        used.close()


def page() -> AppTest:
    at = AppTest.from_file(str(PAGE), default_timeout=30).run()
    assert not at.exception, at.exception
    return at


def shown(at: AppTest) -> str:
    return " ".join(e.value for kind in ("markdown", "caption", "error") for e in at.get(kind))


def test_a_running_job_is_shown_with_its_progress_and_can_be_cancelled(store: Store) -> None:
    job = jobs.submit(store, "tiles", by="hana")
    assert "待機中" in shown(page())
    taken = jobs.claim(store, "w")
    assert taken is not None
    jobs.beat(store, taken, done=3, total=10, note="読込み")
    at = page()
    assert "地図タイルの作り直し" in shown(at)
    assert "30%" in shown(at)
    assert "hana" in shown(at)
    at.button(key=f"stop_{job.id}").click().run()
    assert jobs.get(store, job.id).cancel
    jobs.stopped(store, taken)
    assert "中止" in shown(page())


def test_a_failed_job_says_why_and_its_log_opens(store: Store) -> None:
    job = jobs.submit(store, "tiles", by="hana")
    taken = jobs.claim(store, "w")
    assert taken is not None
    error = CitymapError("no_city")
    said = {"key": error.key, "ja": error.message("ja"), "en": error.message("en")}
    jobs.fail(store, taken, said, detail="at line 3")
    at = page()
    assert error.message("ja").splitlines()[0] in shown(at)
    at.toggle(key=f"log_{job.id}").set_value(True).run()
    assert any("at line 3" in c.value for c in at.code)


def test_the_button_queues_a_job_for_the_workers(store: Store) -> None:
    page().button(key="start_tiles").click().run()
    assert [j.kind for j in jobs.listed(store)] == ["tiles"]


def test_a_page_that_started_a_job_follows_it(store: Store) -> None:
    job = jobs.submit(store, "tiles", by="hana")

    def starting_page(job_id: str) -> None:
        from citymap.ui import job_progress

        job_progress.show(job_id)

    def run() -> AppTest:
        at = AppTest.from_function(starting_page, args=(job.id,), default_timeout=30).run()
        assert not at.exception, at.exception
        return at

    assert "待機中" in shown(run())
    taken = jobs.claim(store, "w")
    assert taken is not None
    jobs.finish(store, taken, {"n": 1})
    assert "完了" in shown(run())
