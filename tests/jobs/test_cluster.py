"""With a scheduler the same job table runs on a Dask cluster, and a killed worker loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="distributed is not installed")
sys.path.insert(0, str(Path(__file__).parents[1]))
from citymap.errors import CitymapError
from citymap.jobs import cluster
from citymap.store import Store, jobs, open_store
from citymap.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="POSIX processes")]
# The kind is known on the cluster only: a preload, as an operator would install the same wheel.
PRELOAD = """
import os, time
from citymap.jobs import kinds
kinds.KINDS._items.pop("far", None)  # Dask imports a preload twice
@kinds.kind("far", attempts=2)
def run(context, params):
    for i in range(100):
        context.progress.update(i, 100, "far away")
        time.sleep(10 if params.get("hang") and context.job.attempt == 1 else 0.005)
    context.log("done far away")
    return {"pid": os.getpid(), "attempt": context.job.attempt}
"""


def until(true: Callable[[], bool], within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


class Cluster:
    """A scheduler and workers in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        (folder / "preload_kinds.py").write_text(PRELOAD)
        self.started: list[subprocess.Popen[bytes]] = []
        self._start(
            "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file)
        )
        until(lambda: self.file.exists() and self.file.stat().st_size > 0)
        import json

        self.address: str = json.loads(self.file.read_text())["address"]

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:], "--host", "127.0.0.1"],
            cwd=self.folder, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.started.append(process)
        return process

    def worker(self) -> subprocess.Popen[bytes]:
        return self._start(
            "worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--preload", str(self.folder / "preload_kinds.py"),
        )  # fmt: skip

    def stop(self) -> None:
        for process in reversed(self.started):
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Cluster]:
    started = Cluster(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store.sqlite")
    yield opened
    opened.close()


@pytest.mark.filterwarnings("ignore")
def test_jobs_run_on_the_cluster_and_survive_a_killed_worker(
    dask: Cluster, store: Store, tmp_path: Path
) -> None:
    first = dask.worker()
    stop = threading.Event()
    thread = threading.Thread(
        target=cluster.dispatch, args=(dask.address, store, Workspace(tmp_path), stop)
    )
    thread.start()
    try:
        job = jobs.submit(store, "far", by="a", attempts=2)
        until(lambda: jobs.get(store, job.id).ended)
        ended = jobs.get(store, job.id)
        said = [line.text for line in jobs.log_of(store, job.id)]
        assert (ended.state, ended.result) == ("done", {"pid": first.pid, "attempt": 1}), said
        assert [line.text for line in jobs.log_of(store, job.id)] == ["done far away"]

        hanging = jobs.submit(store, "far", {"hang": True}, by="a", attempts=2)
        until(lambda: jobs.get(store, hanging.id).note == "far away")
        os.kill(first.pid, signal.SIGKILL)
        second = dask.worker()
        until(lambda: jobs.get(store, hanging.id).ended)
        ended = jobs.get(store, hanging.id)
        assert (ended.state, ended.result) == ("done", {"pid": second.pid, "attempt": 2})
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


def test_a_job_handed_over_twice_runs_once(store: Store) -> None:
    job = jobs.submit(store, "far", by="a")
    jobs.claim(store, f"{jobs.DISPATCHER}tcp://x 1")
    assert jobs.hand_over(store, job.id, 1, "w1") is not None
    assert jobs.hand_over(store, job.id, 1, "w2") is None
    assert jobs.get(store, job.id).worker == "w1"


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_is_not_there_is_said(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with pytest.raises(CitymapError) as caught:
        cluster.dispatch("tcp://127.0.0.1:1", store, Workspace(tmp_path), threading.Event())
    assert caught.value.key == "no_scheduler"
