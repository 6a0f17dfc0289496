"""The kinds of jobs, one file a kind.

A new kind is a new file here::

    @kind("flood", lane="flood")          # and `[job.kind] flood = {ja, en}` in the catalogue
    def run(context: Context, params: Mapping[str, Any]) -> Any:
        context.log("…")                  # a line of the job's log
        ...long_work(context.workspace, progress=context.progress)
        return {"out": "…"}               # JSON; shown and kept as the job's result

`context.progress` is a `citymap.progress.Progress`: it raises `CancelledError` once the person has
stopped the job. Import heavy modules inside `run`. `attempts` above 1 only where the work may be
started again from the beginning (it writes through `workspace.replacing`, say). With `due` the
workers start it by themselves (`citymap.jobs.clock`): the function is asked every few seconds and
answers with the parameters of what is to be done now, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from citymap.errors import BadInputError, CitymapError
from citymap.progress import Progress
from citymap.registry import Registry
from citymap.store import Store, jobs
from citymap.store.accounts import Role
from citymap.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Context:
    """What a running job is given."""

    workspace: Workspace
    progress: Progress
    log: Callable[[str], None]
    store: Store
    job: jobs.Job


Run = Callable[[Context, Mapping[str, Any]], Any]
Due = Callable[[Store, Workspace, datetime], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind of job runs: who may start it, how often it may be tried, which lane it takes."""

    id: str
    run: Run
    role: Role
    attempts: int
    lane: str | None
    lease_s: float
    due: Due | None = None  # what to start it with now, by itself; None: nothing is due


KINDS: Registry[Kind] = Registry(__name__)


def kind(
    kind_id: str, *, role: Role = Role.STAFF, attempts: int = 1, lane: str | None = None,
    lease_s: float = jobs.LEASE_S, due: Due | None = None,
) -> Callable[[Run], Run]:  # fmt: skip
    """Decorator that enters a function as a kind of job."""

    def enter(run: Run) -> Run:
        KINDS.register(kind_id)(Kind(kind_id, run, role, attempts, lane, lease_s, due))
        return run

    return enter


def submit(
    store: Store, kind_id: str, params: Mapping[str, Any] | None = None, *, by: str,
    role: Role = Role.STAFF,
) -> jobs.Job:  # fmt: skip
    """Queue a job of a known kind for a person of `role`.

    Raises:
        BadInputError: there is no such kind.
        CitymapError: `not_allowed`, the kind asks for a higher role.
    """
    known = KINDS.load().get(kind_id)
    if known is None:
        raise BadInputError("unknown_job_kind", kind=kind_id)
    if not role.reaches(known.role):
        raise CitymapError("not_allowed")
    return jobs.submit(
        store, kind_id, params, by=by, lane=known.lane, attempts=known.attempts,
        lease_s=known.lease_s,
    )  # fmt: skip
