"""Long work in processes of its own: the kinds of jobs, and what runs them."""

from citymap.jobs.kinds import KINDS, Context, Kind, submit

__all__ = ["KINDS", "Context", "Kind", "submit"]
