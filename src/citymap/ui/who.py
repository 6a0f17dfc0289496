"""Who looks at a staff page."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience


def audience() -> Audience:
    """The role of the session; the staff process is for staff."""
    return "staff"
