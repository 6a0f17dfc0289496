"""Running one claimed job: heartbeat, progress, cancel, and an end that is always written down."""

from __future__ import annotations

import threading
import traceback
from typing import Literal

from citymap.errors import BadInputError, CancelledError, CitymapError
from citymap.i18n import LANGUAGES
from citymap.jobs.kinds import KINDS, Context
from citymap.store import Store, StoreError, jobs
from citymap.workspace import Workspace

BEAT_S = 1.0
END_PATIENCE_S = 600.0  # a result is worth waiting for a database that is away

STOP_PATIENCE_S = 3.0


class Reporter:
    """The progress of one job: keeps the latest figures, and stops the work when it should."""

    def __init__(self, ending: threading.Event | None = None) -> None:
        self.figures = (0.0, 0.0, "")
        self.asked: Literal["cancelled", "lost"] | None = None
        self.ending = ending or threading.Event()  # of this worker

    def update(self, done: float, total: float, note: str = "") -> None:
        """See `Progress.update`."""
        self.figures = (float(done), float(total), note)
        if self.asked is not None or self.ending.is_set():
            raise CancelledError


def _beating(store: Store, job: jobs.Job, reporter: Reporter, over: threading.Event) -> None:
    while not over.wait(BEAT_S):
        done, total, note = reporter.figures
        try:
            answer = jobs.beat(store, job, done=done, total=total, note=note)
        except StoreError:
            continue  # away or full for the moment; the work itself goes on
        if answer is None:
            reporter.asked = "lost"
        elif answer is False and reporter.asked is None:
            reporter.asked = "cancelled"


def _said(error: CitymapError) -> dict[str, str]:
    return {"key": error.key, **{lang: error.message(lang) for lang in LANGUAGES}}


def run(
    store: Store,
    workspace: Workspace,
    job: jobs.Job,
    *,
    reporter: Reporter | None = None,
) -> None:
    """Do the work of a claimed job in this thread and write down how it ended."""
    reporter = reporter or Reporter()
    over = threading.Event()
    pulse = threading.Thread(
        target=_beating, args=(store, job, reporter, over), name="heartbeat", daemon=True
    )
    pulse.start()

    def log(line: str) -> None:
        jobs.log(store, job, line, patience_s=END_PATIENCE_S)

    try:
        found = KINDS.load().get(job.kind)
        if found is None:
            raise BadInputError("unknown_job_kind", kind=job.kind)
        context = Context(workspace, reporter, log, store, job)
        result = found.run(context, job.params)
    except CancelledError:
        _close(over, pulse)
        if reporter.asked == "cancelled":
            jobs.stopped(store, job, patience_s=END_PATIENCE_S)
        elif reporter.asked is None:
            jobs.give_back(store, job, why="the worker was stopped", patience_s=STOP_PATIENCE_S)
    except CitymapError as error:
        _close(over, pulse)
        jobs.fail(store, job, _said(error), patience_s=END_PATIENCE_S)
    except Exception as error:  # the last resort of a process that must go on
        _close(over, pulse)
        said = _said(CitymapError("job_crashed", reason=f"{type(error).__name__}: {error}"))
        detail = traceback.format_exc()
        jobs.fail(store, job, said, detail=detail, patience_s=END_PATIENCE_S)
    else:
        _close(over, pulse)
        jobs.finish(store, job, result, patience_s=END_PATIENCE_S)


def _close(over: threading.Event, pulse: threading.Thread) -> None:
    over.set()
    pulse.join()
