"""The register of doors: everything that sends the city's data out, and how a test knocks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from citymap.share.gate import kinds

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Knock:
    """One request that makes a web door send data: the path below the prefix, GET unless said."""

    url: str
    method: str = "GET"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Door:
    """One way out.

    A route of `web.routes()` is entered under its path and knocked at by `knocks`; any other way
    (a file written, a download of a page) has an `emit` that gives the bytes for an audience.
    `kinds` are the kinds of `gate` that pass; where nothing of the city passes, `nothing` says why.
    """

    id: str
    kinds: tuple[str, ...] = ()
    nothing: str = ""
    knocks: Callable[[Workspace], Iterable[Knock]] | None = None
    emit: Callable[[Workspace, Audience], Iterable[bytes]] | None = None
    about: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if bool(self.kinds) == bool(self.nothing):
            raise ValueError(f"door {self.id}: name its kinds, or say why nothing passes")
        unknown = set(self.kinds) - set(kinds())
        if unknown:
            raise ValueError(f"door {self.id}: nobody describes {sorted(unknown)}")
        if self.kinds and (self.knocks is None) == (self.emit is None):
            raise ValueError(f"door {self.id}: needs either knocks or emit")


_DOORS: dict[str, Door] = {}


def declare(*doors: Door) -> None:
    """Enter doors, beside the code that opens them.

    Raises:
        ValueError: an id is taken by another door.
    """
    for door in doors:
        if _DOORS.get(door.id, door) != door:
            raise ValueError(f"door {door.id} is declared twice")
        _DOORS[door.id] = door


def doors() -> dict[str, Door]:
    """All doors of the modules that are imported, by id."""
    return dict(sorted(_DOORS.items()))
