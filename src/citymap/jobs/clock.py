"""What is due by itself, looked for by every worker and started once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select

from citymap.errors import CitymapError
from citymap.jobs.kinds import KINDS, submit
from citymap.store import Store, audit, jobs
from citymap.store.accounts import Role
from citymap.store.tables import JOBS, now
from citymap.workspace import Workspace

LOOK_S = 20.0
AGAIN_S = 600.0  # after a job that ended without having done what is due


def look(store: Store, workspace: Workspace, at: datetime) -> list[jobs.Job]:
    """Queue every kind whose `due` asks for it, unless such a job waits, runs or has just ended."""
    started = []
    for one in KINDS.load().values():
        params = None if one.due is None else one.due(store, workspace, at)
        if params is not None and not _tried(store, one.id, params, at):
            started.append(submit(store, one.id, params, by=audit.SYSTEM, role=Role.ADMIN))
    return started


def _tried(store: Store, kind: str, params: Mapping[str, Any], at: datetime) -> bool:
    fresh = or_(
        JOBS.c.state.in_(jobs.OPEN), JOBS.c.finished_at > at - timedelta(seconds=AGAIN_S)
    )  # fmt: skip
    with store.read() as connection:
        rows = connection.execute(select(JOBS.c.params).where(JOBS.c.kind == kind, fresh))
        return any(given == dict(params) for given in rows.scalars())


def tick(store: Store, workspace: Workspace, stop: threading.Event) -> None:
    """Look again and again until `stop`."""
    while not stop.wait(LOOK_S):
        with contextlib.suppress(CitymapError):  # the store is away, or a setting is wrong: later
            look(store, workspace, now())
