"""A new edition of the city model: imported beside the one in force, put in force, or taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from citymap.jobs.kinds import Context, kind
from citymap.store.accounts import Role


@kind("model_add", role=Role.PLANNER, lane="model")
def add(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Import `params["source"]` (a path on the server) as the edition `params["name"]`."""
    from citymap.operations import editions

    made = editions.add(
        context.workspace, [Path(str(params["source"]))], str(params["name"]),
        workers=1, progress=context.progress,
    )  # fmt: skip
    return {"name": made.name, "changes": made.changes}


@kind("model_activate", role=Role.PLANNER, lane="model")
def activate(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Put the edition `params["name"]` in force."""
    from citymap.operations import editions

    done = editions.activate(
        context.workspace, str(params["name"]), store=context.store, by=context.job.created_by,
        progress=context.progress,
    )  # fmt: skip
    return asdict(done)


@kind("model_rollback", role=Role.PLANNER, lane="model")
def rollback(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Put the edition before in force again."""
    from citymap.operations import editions

    del params
    done = editions.rollback(
        context.workspace, store=context.store, by=context.job.created_by, progress=context.progress
    )
    return asdict(done)
