"""Workers run what is queued, stop when asked, and a killed one loses no job."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_city
from citymap.errors import BadInputError, CitymapError
from citymap.jobs import KINDS, Context, Kind, run, submit, worker
from citymap.store import Store, jobs, open_store
from citymap.store.accounts import Role
from citymap.workspace import Workspace


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Context], Any]], None]:
    """Enters a function as the kind `test`."""

    def enter(function: Callable[[Context], Any]) -> None:
        def run_it(context: Context, params: Mapping[str, Any]) -> Any:
            return function(context)

        known = KINDS.load() | {"test": Kind("test", run_it, Role.STAFF, 2, None, 60.0)}
        monkeypatch.setattr(KINDS, "load", lambda: known)

    return enter


def done(store: Store, tmp_path: Path) -> jobs.Job:
    job = submit(store, "test", by="a")
    taken = jobs.claim(store, "w")
    assert taken is not None
    run.run(store, Workspace(tmp_path), taken)
    return jobs.get(store, job.id)


def test_every_kind_has_a_title_in_each_language() -> None:
    from citymap.i18n import catalogue

    assert "tiles" in KINDS.load()
    assert {k for k in KINDS.load() if f"job.kind.{k}" not in catalogue()} == set()
    assert {s for s in jobs.STATES if f"job.state.{s}" not in catalogue()} == set()


def test_an_unknown_kind_is_refused_at_the_door(store: Store) -> None:
    with pytest.raises(BadInputError) as caught:
        submit(store, "no such kind", by="a")
    assert caught.value.key == "unknown_job_kind"


def test_a_kind_for_administrators_is_not_started_by_staff(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"grave": Kind("grave", lambda _c, _p: None, Role.ADMIN, 1, None, 60.0)}
    monkeypatch.setattr(KINDS, "load", lambda: known)
    with pytest.raises(CitymapError) as caught:
        submit(store, "grave", by="a", role=Role.STAFF)
    assert caught.value.key == "not_allowed"
    assert jobs.listed(store) == []
    assert submit(store, "grave", by="a", role=Role.ADMIN).state == "queued"


def test_the_result_and_the_log_are_kept(store: Store, tmp_path: Path, kind: Any) -> None:
    def work(context: Context) -> dict[str, str]:
        context.progress.update(1, 2, "half")
        context.log("hello")
        return {"root": str(context.workspace.root)}

    kind(work)
    job = done(store, tmp_path)
    assert (job.state, job.result) == ("done", {"root": str(tmp_path)})
    assert [line.text for line in jobs.log_of(store, job.id)] == ["hello"]


def test_bad_input_is_said_in_both_languages_and_a_crash_is_logged(
    store: Store, tmp_path: Path, kind: Any
) -> None:
    def bad(_: Context) -> None:
        raise BadInputError("no_city")

    kind(bad)
    job = done(store, tmp_path)
    assert job.state == "failed"
    assert job.error is not None
    assert job.error["key"] == "no_city"
    assert job.error["ja"] != job.error["en"]

    def crash(_: Context) -> None:
        raise ZeroDivisionError("by zero")

    kind(crash)
    job = done(store, tmp_path)
    assert job.error is not None
    assert job.error["key"] == "job_crashed"
    assert "ZeroDivisionError" in jobs.log_of(store, job.id)[-1].text


def until(true: Callable[[], bool], within_s: float = 30) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_running_job_shows_progress_and_stops_when_asked(
    store: Store, tmp_path: Path, kind: Any
) -> None:
    def forever(context: Context) -> None:
        for i in range(10**9):
            context.progress.update(i, 10**9, "on and on")
            time.sleep(0.01)

    kind(forever)
    job = submit(store, "test", by="a")
    stop = threading.Event()
    thread = threading.Thread(target=worker.work, args=(store, Workspace(tmp_path), stop))
    thread.start()
    until(lambda: jobs.get(store, job.id).note == "on and on")
    jobs.cancel(store, job.id, by="a")
    until(lambda: jobs.get(store, job.id).state == "cancelled")
    second = submit(store, "test", by="a")
    until(lambda: jobs.get(store, second.id).state == "running")
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert jobs.get(store, second.id).state == "queued"  # given back by a worker that ends


def test_a_worker_knows_itself_and_its_dead() -> None:
    assert not worker.is_gone(worker.identity())
    assert not worker.is_gone("another-machine/1/2 1 1")
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = worker.identity(child.pid)
    assert not worker.is_gone(name)
    child.communicate(b"\n")
    if Path("/proc").is_dir():
        assert worker.is_gone(name)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 of POSIX")
def test_the_job_of_a_killed_worker_is_done_by_the_next(tmp_path: Path) -> None:
    workspace = small_city.make(tmp_path / "city", 3)
    store = open_store(workspace)
    code = """
        import sys, time
        from citymap.jobs import kinds
        @kinds.kind("slow", attempts=2)
        def run(context, params):
            for i in range(100):
                context.progress.update(i, 100)
                time.sleep(0.02 if context.job.attempt > 1 else 10)
            return context.job.attempt
        from citymap.cli.served import main
        sys.argv[1:] = ["worker"]
        main()
    """
    job = jobs.submit(store, "slow", by="a", attempts=2)

    def start() -> subprocess.Popen[bytes]:
        import textwrap

        environment = {**os.environ, "CITYMAP_CITY": str(workspace.root)}
        return subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)], env=environment, stdin=subprocess.PIPE
        )

    first = start()
    until(lambda: jobs.get(store, job.id).state == "running")
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    second = start()
    try:
        until(lambda: jobs.get(store, job.id).ended)
        ended = jobs.get(store, job.id)
        assert (ended.state, ended.result, ended.attempt) == ("done", 2, 2)
        assert any("gone" in line.text for line in jobs.log_of(store, job.id))
    finally:
        second.communicate()  # closes its standard input: the sign to end
    assert second.returncode == 0
    store.close()
