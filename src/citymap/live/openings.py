"""Which shelters are open, full or closed, and how many people are there: the last word counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, get_args

from sqlalchemy import func, insert, select

from citymap.errors import BadInputError
from citymap.store import audit
from citymap.store.tables import OPENINGS, now

if TYPE_CHECKING:
    from sqlalchemy import Row

    from citymap.store import Store

State = Literal["open", "full", "closed"]
STATES: tuple[State, ...] = get_args(State)
MAX_PEOPLE = 1_000_000


@dataclass(frozen=True, slots=True)
class Opening:
    """What staff said of a shelter, when and who; `head_count` None is not counted."""

    place_id: str
    state: State
    head_count: int | None
    at: datetime
    actor: str


def say(
    store: Store, place_id: str, state: str, *, head_count: int | None = None, by: str
) -> Opening:
    """Enter the state of a shelter.

    Raises:
        BadInputError: no such state, or a count that cannot be.
    """
    if state not in STATES:
        raise BadInputError("opening_state", place=state, states=", ".join(STATES))
    if head_count is not None and not 0 <= head_count <= MAX_PEOPLE:
        raise BadInputError("opening_count", place=str(head_count))
    row = {
        "place_id": place_id,
        "state": state,
        "head_count": head_count,
        "at": now(),
        "actor": by[:128],
    }
    with store.write() as connection:
        connection.execute(insert(OPENINGS).values(**row))
        audit.record(
            connection, actor=by, action="opening.set", subject=place_id, state=state,
            head_count=head_count,
        )  # fmt: skip
    return Opening(**row)  # type: ignore[arg-type]


def current(store: Store) -> dict[str, Opening]:
    """The last word on every shelter that anybody spoke of."""
    last = select(func.max(OPENINGS.c.seq)).group_by(OPENINGS.c.place_id)
    with store.read() as connection:
        rows = connection.execute(select(OPENINGS).where(OPENINGS.c.seq.in_(last))).all()
    return {row.place_id: _opening(row) for row in rows}


def history(store: Store, place_id: str, limit: int = 50) -> list[Opening]:
    """What was said of a shelter, newest first."""
    query = select(OPENINGS).where(OPENINGS.c.place_id == place_id)
    with store.read() as connection:
        rows = connection.execute(query.order_by(OPENINGS.c.seq.desc()).limit(limit)).all()
    return [_opening(row) for row in rows]


def _opening(row: Row[tuple[object, ...]]) -> Opening:
    return Opening(row.place_id, row.state, row.head_count, row.at, row.actor)
