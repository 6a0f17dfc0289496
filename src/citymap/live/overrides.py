"""Staff's own word on a gauge or a warning: it stands before the feed's until it ends or is taken back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, get_args

from sqlalchemy import func, insert, select

from citymap.errors import BadInputError
from citymap.store import audit
from citymap.store.tables import LIVE_OVERRIDES, now

if TYPE_CHECKING:
    from citymap.store import Store

State = Literal["value", "level", "unknown", "none"]
STATES: tuple[State, ...] = get_args(State)
MAX_NOTE = 300


@dataclass(frozen=True, slots=True)
class Override:
    """`value`: metres of a gauge; `level`: 警戒レベル (None lifted); `unknown`: do not believe the feed."""

    subject: str
    state: State
    value: float | None
    note: str
    until: datetime | None
    at: datetime
    actor: str

    def holds(self, at: datetime) -> bool:
        """Whether it counts at this moment."""
        return self.state != "none" and (self.until is None or at < self.until)


def say(
    store: Store, subject: str, state: str, *, value: float | None = None, note: str = "",
    until: datetime | None = None, by: str,
) -> Override:  # fmt: skip
    """Put a word before the feed's, or take it back (`none`).

    Raises:
        BadInputError: no such state, a value that cannot be, a note that is too long, an end past.
    """
    if state not in STATES:
        raise BadInputError("override_state", place=state, states=", ".join(STATES))
    bad_value = (state == "value") != (value is not None) and state != "level"
    if bad_value or (value is not None and not (math.isfinite(value) and abs(value) < 10_000)):
        raise BadInputError("override_value", place=str(value))
    if state == "level" and value is not None and value not in (2, 3, 4, 5):
        raise BadInputError("override_value", place=str(value))
    if len(note) > MAX_NOTE:
        raise BadInputError("order_text", limit=MAX_NOTE)
    at = now()
    if until is not None and until <= at:
        raise BadInputError("override_until")
    row = {
        "subject": subject, "state": state, "value": value, "note": note.strip(), "until": until,
        "at": at, "actor": by[:128],
    }  # fmt: skip
    with store.write() as connection:
        connection.execute(insert(LIVE_OVERRIDES).values(**row))
        audit.record(
            connection, actor=by, action="live.override", subject=subject, state=state,
            value=value, note=row["note"], until=None if until is None else until.isoformat(),
        )  # fmt: skip
    return Override(**row)  # type: ignore[arg-type]


def current(store: Store, at: datetime) -> dict[str, Override]:
    """The words that count at a moment, by subject."""
    last = (
        select(func.max(LIVE_OVERRIDES.c.seq))
        .where(LIVE_OVERRIDES.c.at <= at)
        .group_by(LIVE_OVERRIDES.c.subject)
    )
    query = select(LIVE_OVERRIDES).where(LIVE_OVERRIDES.c.seq.in_(last))
    with store.read() as connection:
        rows = connection.execute(query).all()
    found = (
        Override(r.subject, r.state, r.value, r.note, r.until, r.at, r.actor) for r in rows
    )  # fmt: skip
    return {o.subject: o for o in found if o.holds(at)}


def history(store: Store, limit: int = 50) -> list[Override]:
    """What was said, newest first."""
    query = select(LIVE_OVERRIDES).order_by(LIVE_OVERRIDES.c.seq.desc()).limit(limit)
    with store.read() as connection:
        rows = connection.execute(query).all()
    return [Override(r.subject, r.state, r.value, r.note, r.until, r.at, r.actor) for r in rows]
