"""Jobs of the same table on a Dask cluster: this process claims, the cluster's workers run."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from citymap.errors import CitymapError
from citymap.jobs import clock
from citymap.jobs.run import run
from citymap.jobs.worker import POLL_S, identity, watch
from citymap.store import Store, StoreError, jobs, open_store
from citymap.workspace import Workspace

CONNECT_S = 20


def _remote(where: str, root: str, job_id: str, attempt: int) -> str:
    """On the cluster: run a job that the dispatcher has claimed, unless somebody else has it."""
    store = open_store(where)
    try:
        job = jobs.hand_over(store, job_id, attempt, identity())
        if job is None:
            return "not ours"
        run(store, Workspace(Path(root)), job)
        return "run"
    finally:
        store.close()


def dispatch(
    address: str,
    store: Store,
    workspace: Workspace,
    stop: threading.Event,
    *,
    connect: Callable[..., Any] | None = None,
) -> None:
    """Hand waiting jobs to the cluster at `address` until `stop`, one for each of its threads.

    The heartbeat, the progress and the end are written by the worker itself, so that a job goes on
    when this process is gone. A job whose worker died is given back.

    Raises:
        CitymapError: the cluster does not answer, or `distributed` is not installed.
    """
    try:
        from distributed import Client  # noqa: PLC0415  (an optional package)
    except ImportError as error:
        raise CitymapError("no_dask") from error
    try:
        client = (connect or Client)(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise CitymapError("no_scheduler", address=address) from error
    where = str(store.path) if store.path else store.engine.url.render_as_string(False)
    name = f"{jobs.DISPATCHER}{address} {os.getpid()}"
    watcher = threading.Thread(target=watch, args=(store, stop), name="watch", daemon=True)
    watcher.start()
    threading.Thread(
        target=clock.tick, args=(store, workspace, stop), name="clock", daemon=True
    ).start()
    flying: dict[Any, jobs.Job] = {}
    with client:
        while not stop.wait(POLL_S):
            with contextlib.suppress(StoreError, OSError):
                _settle(store, flying)
                threads = sum(client.nthreads().values())
                while len(flying) < threads and (job := jobs.claim(store, name)) is not None:
                    future = client.submit(
                        _remote, where, str(workspace.root), job.id, job.attempt,
                        key=f"citymap-{job.id}-{job.attempt}", pure=False, retries=0,
                    )  # fmt: skip
                    flying[future] = job
        for future, job in flying.items():
            with contextlib.suppress(StoreError):
                if jobs.get(store, job.id).worker == name:  # not started yet
                    future.cancel()
                    jobs.give_back(store, job, why="the dispatcher was stopped")


def _settle(store: Store, flying: dict[Any, jobs.Job]) -> None:
    """Forget what has ended; give back what ended without saying how (its worker was killed)."""
    for future in [f for f in flying if f.done()]:
        job = flying[future]
        why = "the worker of the cluster is gone"
        if future.status == "error":
            why += f" ({type(future.exception()).__name__}: {future.exception()})"
        jobs.give_back(store, job, why=why)
        del flying[future]
