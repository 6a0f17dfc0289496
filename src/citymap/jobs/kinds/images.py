"""Pictures that staff uploaded, made into drafts of reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citymap.jobs.kinds import Context, kind


@kind("images", attempts=3, lane="images")
def run(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Gather `params["files"]`: names in quarantine, each with the name that the person knows."""
    from citymap import quarantine
    from citymap.i18n import t
    from citymap.reports import bucket
    from citymap.reports.images import gather
    from citymap.settings import Settings

    quarantine.sweep(context.workspace)
    bucket.use(context.workspace, bucket.named(Settings(city=context.workspace.root)))
    names = {
        path: str(shown)
        for name, shown in params["files"]
        if (path := quarantine.waiting(context.workspace, str(name))) is not None
    }
    made = gather(
        context.store, context.workspace, list(names), by=context.job.created_by,
        category=str(params["category"]), progress=context.progress, names=names,
    )  # fmt: skip
    for name, key in made.skipped:
        context.log(f"{name}: {t(f'error.{key}', 'ja')} / {t(f'error.{key}', 'en')}")
    for path in names:  # only now: a job that was killed starts again from the files
        path.unlink(missing_ok=True)
    return {"drafts": made.drafts, "known": made.known, "skipped": len(made.skipped)}
