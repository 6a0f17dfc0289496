"""Which store holds a city's reports, for those who only know the city's folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from citymap.store import Store, shared_store
from citymap.store.engine import FILE

if TYPE_CHECKING:
    from citymap.workspace import Workspace

_ELSEWHERE: dict[str, str] = {}


def use(workspace: Workspace, url: str) -> None:
    """Say that the city's store is `postgresql://…`; an empty text takes it back."""
    if url:
        _ELSEWHERE[str(workspace.root.resolve())] = url
    else:
        _ELSEWHERE.pop(str(workspace.root.resolve()), None)


def store_of(workspace: Workspace) -> Store | None:
    """The city's store; None where it has none yet.

    Raises:
        StoreError: it cannot be opened.
    """
    url = _ELSEWHERE.get(str(workspace.root.resolve()))
    if url is not None:
        return shared_store(url)
    return shared_store(workspace) if (workspace.root / FILE).is_file() else None
