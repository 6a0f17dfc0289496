"""How each feed stands: who asks it next, when it was last heard, what was wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from citymap.store.tables import LIVE_FEEDS, now

if TYPE_CHECKING:
    from citymap.errors import CitymapError
    from citymap.live.feeds import Feed
    from citymap.store import Store

LEASE = timedelta(minutes=2)  # who asks a feed has this long; then another worker may
LONGEST_WAIT = timedelta(minutes=15)  # also a feed that has failed for days is asked this often
BROKER_WAIT = timedelta(
    seconds=5
)  # a broker that went away is called again after this, then twice it


@dataclass(frozen=True, slots=True)
class FeedState:
    """`ok_at`: when the feed was last heard and understood; `failures` in a row; `error` as said."""

    id: str
    next_at: datetime
    checked_at: datetime | None = None
    ok_at: datetime | None = None
    failures: int = 0
    taken: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    error: dict[str, Any] | None = None


def states(store: Store) -> dict[str, FeedState]:
    """All feeds that were ever asked, by id."""
    with store.read() as connection:
        rows = connection.execute(select(LIVE_FEEDS)).all()
    return {row.id: FeedState(**row._mapping) for row in rows}


def claim(store: Store, feed: Feed, *, at: datetime | None = None, early: bool = False) -> bool:
    """Whether it is this caller's turn to ask the feed now; of several workers one gets it."""
    at = at or now()
    with store.read() as connection:
        known = connection.execute(
            select(LIVE_FEEDS.c.next_at).where(LIVE_FEEDS.c.id == feed.id)
        ).scalar()
    if known is None:
        try:
            with store.write() as connection:
                connection.execute(
                    insert(LIVE_FEEDS).values(
                        id=feed.id, next_at=at + LEASE, failures=0, taken=0, refused={}
                    )
                )
        except IntegrityError:  # another worker was first
            return False
        return True
    # A clock that was ahead and was set right must not silence the feed for days.
    if not early and at < known <= at + timedelta(days=1):
        return False
    with store.write() as connection:
        changed = connection.execute(
            update(LIVE_FEEDS)
            .where(LIVE_FEEDS.c.id == feed.id, LIVE_FEEDS.c.next_at == known)
            .values(next_at=at + LEASE)
        ).rowcount
    return changed == 1


def heard(
    store: Store, feed: Feed, *, taken: int, refused: dict[str, int], ok_at: datetime,
    at: datetime | None = None,
) -> None:  # fmt: skip
    """Enter that the feed answered and was understood."""
    at = at or now()
    _settle(
        store, feed, next_at=at + timedelta(minutes=feed.every_min), checked_at=at, ok_at=ok_at,
        failures=0, taken=taken, refused=refused, error=None,
    )  # fmt: skip


def failed(store: Store, feed: Feed, error: CitymapError, *, at: datetime | None = None) -> None:
    """Enter that it did not; it is asked again after twice the time, at most `LONGEST_WAIT`."""
    at = at or now()
    before = states(store).get(feed.id)
    failures = (before.failures if before else 0) + 1
    every = BROKER_WAIT if feed.kind == "mqtt" else timedelta(minutes=feed.every_min)
    wait = max(every, min(every * 2 ** min(failures - 1, 10), LONGEST_WAIT))
    _settle(
        store, feed, next_at=at + wait, checked_at=at, failures=failures, error=complaint(error)
    )


def complaint(error: CitymapError) -> dict[str, Any]:
    """What was wrong, as the column `error` keeps it."""
    said = {lang: error.message(lang)[:1000] for lang in ("ja", "en")}
    return {"key": error.key, **said}


def hold(
    store: Store, feed: Feed, mine: datetime, *, until: datetime | None = None, **values: Any
) -> datetime | None:
    """Keep a claim that ends at `mine` for another `LEASE` (or until then), and enter `values`.

    Returns the new end; None where the feed is another worker's by now.
    """
    until = until or now() + LEASE
    with store.write() as connection:
        changed = connection.execute(
            update(LIVE_FEEDS)
            .where(LIVE_FEEDS.c.id == feed.id, LIVE_FEEDS.c.next_at == mine)
            .values(next_at=until, **values)
        ).rowcount
    return until if changed == 1 else None


def _settle(store: Store, feed: Feed, **values: Any) -> None:
    with store.write() as connection:
        connection.execute(update(LIVE_FEEDS).where(LIVE_FEEDS.c.id == feed.id).values(**values))
