"""The job table: long work that outlives the page and the process that started it.

States: `queued` → `running` → `done`, `failed`, `cancelled`; a job whose worker died goes back to
`queued` while it has attempts left, else it is `interrupted`. No clock decides that a worker is
dead: it counts heartbeats, and a `Watch` reclaims a job whose count stands still for the lease on
the watcher's own monotonic clock. `attempt` is the fence: a worker that was given up misses with
every later write.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, select, update

from citymap.errors import BadInputError
from citymap.store import audit
from citymap.store.engine import PATIENCE_S, Store
from citymap.store.tables import JOB_LOG, JOBS, now

LEASE_S = 60.0
DISPATCHER = "dask "  # begins the name of who claims for the workers of a cluster
OPEN = ("queued", "running")
ENDED = ("done", "failed", "cancelled", "interrupted")
STATES = (*OPEN, *ENDED)
MAX_LOG_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the table. `done` of `total` units are finished; `result` and `error` are JSON."""

    id: str
    kind: str
    params: Mapping[str, Any]
    state: str
    lane: str | None
    created_at: datetime
    created_by: str
    started_at: datetime | None
    finished_at: datetime | None
    attempt: int
    attempts: int
    worker: str | None
    lease_s: float
    beats: int
    beat_at: datetime | None
    done: float
    total: float
    note: str
    cancel: bool
    result: Any
    error: Mapping[str, Any] | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED

    @property
    def share(self) -> float | None:
        """How far, 0 to 1; None while unknown."""
        return min(max(self.done / self.total, 0.0), 1.0) if self.total > 0 else None

    @property
    def elapsed_s(self) -> float | None:
        """Seconds of work so far, or in all; None before the start."""
        if self.started_at is None:
            return None
        return max(((self.finished_at or now()) - self.started_at).total_seconds(), 0.0)

    @property
    def left_s(self) -> float | None:
        """Seconds still needed at the pace so far; None while that would be a guess."""
        share, elapsed = self.share, self.elapsed_s
        if self.state != "running" or not share or not elapsed or share < 0.02 or elapsed < 2:
            return None
        return elapsed / share - elapsed


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a job wrote."""

    at: datetime
    attempt: int
    text: str


def _read(connection: Connection, job_id: str) -> Job | None:
    row = connection.execute(select(JOBS).where(JOBS.c.id == job_id)).mappings().first()
    return Job(**row) if row else None


def _write_log(connection: Connection, job_id: str, attempt: int, line: str) -> None:
    connection.execute(
        JOB_LOG.insert().values(job_id=job_id, at=now(), attempt=attempt, text=line[:MAX_LOG_CHARS])
    )


def submit(
    store: Store,
    kind: str,
    params: Mapping[str, Any] | None = None,
    *,
    by: str,
    lane: str | None = None,
    attempts: int = 1,
    lease_s: float = LEASE_S,
) -> Job:
    """Queue a job; on disk when this returns. In a lane, the same job still waiting is returned.

    `params` are JSON values. `attempts` counts how often a job may start: more than one only for
    work that may be done twice.
    """
    given = json.loads(json.dumps(dict(params or {}), allow_nan=False))
    with store.write() as connection:
        if lane is not None:
            waiting = select(JOBS).where(
                JOBS.c.state == "queued", JOBS.c.lane == lane, JOBS.c.kind == kind
            )
            for row in connection.execute(waiting).mappings():
                if row["params"] == given and not row["cancel"]:
                    return Job(**row)
        job_id = str(uuid.uuid4())
        connection.execute(
            JOBS.insert().values(
                id=job_id, kind=kind, params=given, state="queued", lane=lane, created_at=now(),
                created_by=by, attempt=0, attempts=attempts, lease_s=lease_s, beats=0, done=0.0,
                total=0.0, note="", cancel=False,
            )
        )  # fmt: skip
        audit.record(connection, actor=by, action="job.submit", subject=job_id, kind=kind)
        job = _read(connection, job_id)
    assert job is not None  # noqa: S101  (just written in this transaction)
    return job


def claim(store: Store, worker: str, *, kinds: Sequence[str] | None = None) -> Job | None:
    """Take the oldest job that waits (of these kinds) and may run now; None if there is none."""
    with store.read() as connection:
        if connection.execute(_waiting(kinds).limit(1)).first() is None:
            return None  # the usual case, without a write
    with store.write() as connection:
        running = select(JOBS.c.lane).where(JOBS.c.state == "running", JOBS.c.lane.is_not(None))
        taken = set(connection.execute(running).scalars())
        for row in connection.execute(_waiting(kinds)).mappings():
            if row["lane"] in taken:
                continue
            attempt = row["attempt"] + 1
            connection.execute(
                update(JOBS)
                .where(JOBS.c.id == row["id"])
                .values(
                    state="running", worker=worker, attempt=attempt, started_at=now(),
                    beats=row["beats"] + 1, beat_at=now(), done=0.0, total=0.0, note="",
                )
            )  # fmt: skip
            return _read(connection, row["id"])
    return None


def hand_over(store: Store, job_id: str, attempt: int, worker: str) -> Job | None:
    """Take a job that a dispatcher has claimed for this worker; None where another has it.

    A scheduler may start a task twice; the second finds the worker's name already changed.
    """
    with store.write() as connection:
        job = _read(connection, job_id)
        if job is None or job.attempt != attempt or not (job.worker or "").startswith(DISPATCHER):
            return None
        changed = connection.execute(
            update(JOBS)
            .where(_mine(job))
            .values(worker=worker, beats=JOBS.c.beats + 1, beat_at=now(), started_at=now())
        )
        return _read(connection, job_id) if changed.rowcount else None


def _waiting(kinds: Sequence[str] | None) -> Select[Any]:
    query = select(JOBS).where(JOBS.c.state == "queued").order_by(JOBS.c.created_at, JOBS.c.id)
    return query if kinds is None else query.where(JOBS.c.kind.in_(kinds))


def _mine(job: Job) -> Any:
    return and_(JOBS.c.id == job.id, JOBS.c.attempt == job.attempt, JOBS.c.state == "running")


def beat(
    store: Store,
    job: Job,
    *,
    done: float = 0.0,
    total: float = 0.0,
    note: str = "",
    patience_s: float = PATIENCE_S,
) -> bool | None:
    """Say that the worker lives and how far it is.

    Returns True to go on, False where the job is to be cancelled, None where it is no longer ours.
    """
    with store.write(patience_s=patience_s) as connection:
        changed = connection.execute(
            update(JOBS)
            .where(_mine(job))
            .values(beats=JOBS.c.beats + 1, beat_at=now(), done=done, total=total, note=note[:500])
        )
        if changed.rowcount == 0:
            return None
        return not connection.execute(select(JOBS.c.cancel).where(JOBS.c.id == job.id)).scalar_one()


def log(store: Store, job: Job, line: str, *, patience_s: float = PATIENCE_S) -> None:
    """Add a line to the job's log."""
    with store.write(patience_s=patience_s) as connection:
        _write_log(connection, job.id, job.attempt, line)


def _end(
    store: Store,
    job: Job,
    state: str,
    values: Mapping[str, object],
    *,
    patience_s: float,
    detail: str = "",
) -> bool:
    with store.write(patience_s=patience_s) as connection:
        changed = connection.execute(
            update(JOBS).where(_mine(job)).values(state=state, finished_at=now(), **values)
        )
        if changed.rowcount == 0:
            return False
        if detail:
            _write_log(connection, job.id, job.attempt, detail)
        audit.record(
            connection, actor=audit.SYSTEM, action=f"job.{state}", subject=job.id, kind=job.kind
        )
    return True


def finish(store: Store, job: Job, result: Any = None, *, patience_s: float = PATIENCE_S) -> bool:
    """The work is done; False where the job is no longer ours, and then nothing is written."""
    kept = json.loads(json.dumps(result, allow_nan=False, default=str))
    values: dict[str, object] = {"result": kept}
    if job.share is None:
        values |= {"done": 1.0, "total": 1.0}
    return _end(store, job, "done", values, patience_s=patience_s)


def fail(
    store: Store, job: Job, error: Mapping[str, Any], *, detail: str = "",
    patience_s: float = PATIENCE_S,
) -> bool:  # fmt: skip
    """The work cannot be done; `error` says why in each language, `detail` goes into the log."""
    return _end(store, job, "failed", {"error": dict(error)}, patience_s=patience_s, detail=detail)


def stopped(store: Store, job: Job, *, patience_s: float = PATIENCE_S) -> bool:
    """The worker has stopped as the person asked."""
    return _end(store, job, "cancelled", {}, patience_s=patience_s)


def give_back(store: Store, job: Job, *, why: str, patience_s: float = PATIENCE_S) -> None:
    """The worker cannot go on (it ends, or is gone): wait for another, or be interrupted."""
    with store.write(patience_s=patience_s) as connection:
        _reclaim(connection, job, why)


def _reclaim(connection: Connection, job: Job, why: str) -> bool:
    current = _read(connection, job.id)
    if current is None or current.attempt != job.attempt or current.state != "running":
        return False
    if current.cancel:
        state = "cancelled"
    elif current.attempt < current.attempts:
        state = "queued"
    else:
        state = "interrupted"
    ended = {} if state == "queued" else {"finished_at": now()}
    connection.execute(update(JOBS).where(_mine(job)).values(state=state, worker=None, **ended))
    _write_log(connection, job.id, job.attempt, why)
    if state != "queued":
        audit.record(
            connection, actor=audit.SYSTEM, action=f"job.{state}", subject=job.id, kind=job.kind
        )
    return True


def cancel(store: Store, job_id: str, *, by: str) -> Job:
    """Ask a job to stop: a waiting one at once, a running one at its next step.

    Raises:
        BadInputError: there is no such job.
    """
    with store.write() as connection:
        job = _read(connection, job_id)
        if job is None:
            raise BadInputError("unknown_job", job=job_id)
        if not job.ended:
            values: dict[str, object] = {"cancel": True}
            if job.state == "queued":
                values |= {"state": "cancelled", "finished_at": now()}
            connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(**values))
            audit.record(connection, actor=by, action="job.cancel", subject=job_id, kind=job.kind)
        job = _read(connection, job_id)
    assert job is not None  # noqa: S101  (read in the same transaction above)
    return job


def get(store: Store, job_id: str) -> Job:
    """One job.

    Raises:
        BadInputError: there is no such job.
    """
    with store.read() as connection:
        job = _read(connection, job_id)
    if job is None:
        raise BadInputError("unknown_job", job=job_id)
    return job


def listed(
    store: Store, *, states: Sequence[str] = STATES, kind: str | None = None, limit: int = 100
) -> list[Job]:
    """Jobs, newest first."""
    query = select(JOBS).where(JOBS.c.state.in_(states))
    if kind is not None:
        query = query.where(JOBS.c.kind == kind)
    with store.read() as connection:
        rows = connection.execute(query.order_by(JOBS.c.created_at.desc()).limit(limit)).mappings()
        return [Job(**row) for row in rows]


def log_of(store: Store, job_id: str, *, limit: int = 500) -> list[LogLine]:
    """The last lines of a job's log, oldest first."""
    columns = (JOB_LOG.c.at, JOB_LOG.c.attempt, JOB_LOG.c.text)
    query = select(*columns).where(JOB_LOG.c.job_id == job_id)
    with store.read() as connection:
        rows = connection.execute(query.order_by(JOB_LOG.c.seq.desc()).limit(limit)).all()
    return [LogLine(*row) for row in reversed(rows)]


def forget(store: Store, *, before: datetime) -> int:
    """Delete jobs that ended before a moment, with their logs; how many. The audit keeps the start."""
    with store.write() as connection:
        old = select(JOBS.c.id).where(JOBS.c.state.in_(ENDED), JOBS.c.finished_at < before)
        ids = connection.execute(old).scalars().all()
        for start in range(0, len(ids), 500):
            some = ids[start : start + 500]
            connection.execute(delete(JOB_LOG).where(JOB_LOG.c.job_id.in_(some)))
            connection.execute(delete(JOBS).where(JOBS.c.id.in_(some)))
    return len(ids)


@dataclass(slots=True)
class Watch:
    """Finds jobs whose worker is gone. Keep one, and call `look` every few seconds.

    `is_gone` tells of a worker on this machine that its process no longer exists; others are given
    up when their heartbeat stands still for the job's lease.
    """

    is_gone: Callable[[str], bool] = lambda _: False
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[int, int, float]] = field(default_factory=dict)

    def look(self, store: Store) -> list[Job]:
        """Reclaim what is lost; the jobs reclaimed, as they were."""
        running = listed(store, states=("running",), limit=10_000)
        at = self.clock()
        lost = []
        for job in running:
            attempt, beats, since = self._seen.get(job.id, (0, 0, 0.0))
            if (attempt, beats) != (job.attempt, job.beats):
                self._seen[job.id] = (job.attempt, job.beats, at)
                since = at
            if at - since > job.lease_s or (job.worker and self.is_gone(job.worker)):
                lost.append(job)
        names = {job.id for job in running}
        self._seen = {job_id: seen for job_id, seen in self._seen.items() if job_id in names}
        reclaimed = []
        for job in lost:
            with store.write() as connection:
                current = _read(connection, job.id)
                still = current is not None and current.beats == job.beats
                if still and _reclaim(connection, job, "the worker is gone"):
                    reclaimed.append(job)
        return reclaimed
