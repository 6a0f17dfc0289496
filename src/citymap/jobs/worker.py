"""A worker process: takes jobs from the table one after another, and watches for lost ones."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from citymap.jobs import clock
from citymap.jobs.run import Reporter, run
from citymap.store import Store, StoreError, jobs
from citymap.store.tables import now
from citymap.workspace import Workspace

POLL_S = 0.5
LOOK_S = 2.0
KEPT_DAYS = 90  # how long a job that ended can be looked up
FORGET_EVERY_S = 6 * 3600.0
NICENESS = 12  # pages and tiles go first


def _started(pid: int) -> str:
    """When the process began, in ticks since boot; empty where the system does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _machine() -> str:
    """This machine, this boot, this container."""
    boot, space = "", 0
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
        space = Path("/proc/self/ns/pid").stat().st_ino
    return f"{socket.gethostname()}/{boot}/{space}"


def identity(pid: int | None = None) -> str:
    """The name of a worker process, which no other process will ever have."""
    pid = pid or os.getpid()
    return f"{_machine()} {pid} {_started(pid)}"


def is_gone(worker: str) -> bool:
    """Whether this is a worker of this machine whose process no longer exists."""
    machine, _, rest = worker.partition(" ")
    pid, _, started = rest.partition(" ")
    if machine != _machine() or not pid.isdigit():
        return _other_boot(machine)
    if Path("/proc/self/stat").exists():
        return _started(int(pid)) != started
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _other_boot(machine: str) -> bool:
    """Whether the name is of this host before its last start."""
    ours, theirs = _machine().split("/"), machine.split("/")
    return len(theirs) == 3 and theirs[0] == ours[0] and theirs[1] != ours[1] and bool(theirs[1])


def watch(store: Store, stop: threading.Event) -> None:
    """Reclaim lost jobs until `stop`."""
    watching, forgot = jobs.Watch(is_gone=is_gone), -math.inf
    while True:
        with contextlib.suppress(StoreError):
            watching.look(store)
            if time.monotonic() - forgot > FORGET_EVERY_S:
                jobs.forget(store, before=now() - timedelta(days=KEPT_DAYS))
                forgot = time.monotonic()
        if stop.wait(LOOK_S):
            return


def work(
    store: Store,
    workspace: Workspace,
    stop: threading.Event,
    *,
    when_idle: Callable[[], None] | None = None,
) -> None:
    """Run jobs until `stop`; the job of that moment is given back."""
    name = identity()
    watcher = threading.Thread(target=watch, args=(store, stop), name="watch", daemon=True)
    watcher.start()
    threading.Thread(
        target=clock.tick, args=(store, workspace, stop), name="clock", daemon=True
    ).start()
    while not stop.is_set():
        try:
            job = jobs.claim(store, name)
        except StoreError:
            stop.wait(POLL_S)
            continue
        if job is None:
            if when_idle is not None:
                when_idle()
            stop.wait(POLL_S)
            continue
        with contextlib.suppress(StoreError):  # lost for good: another watch will reclaim it
            run(store, workspace, job, reporter=Reporter(ending=stop))
    watcher.join(LOOK_S + 1)
