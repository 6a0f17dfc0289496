"""Asks the live feeds at once, because staff said so; the worker does it by itself otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from citymap.jobs.kinds import Context, kind


@kind("live", attempts=2, lane="live")
def run(context: Context, params: Mapping[str, Any]) -> dict[str, Any]:
    """Ask every feed that is asked (a broker speaks by itself); the result says which failed."""
    from citymap.jobs import live_feeds
    from citymap.live import feed_state, feeds

    del params
    listed = [f for f in feeds.feeds(context.workspace) if f.kind != "mqtt"]
    failed = []
    for number, one in enumerate(listed):
        context.progress.update(number, len(listed), one.id)
        feed_state.claim(context.store, one, early=True)
        error = live_feeds.ask(context.store, context.workspace, one)
        if error is not None:
            context.log(error.message())
            failed.append(one.id)
    return {"asked": len(listed), "failed": failed}
