"""Rebuilding a damaged SQLite store from its checked copy and the record of statements."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path

from citymap.store import audit, redo
from citymap.store.engine import Store, StoreError, location, open_store
from citymap.store.tables import now
from citymap.workspace import Workspace


def repair(path: Path) -> int:
    """Put a store that was rebuilt from its copy and record in the place of a damaged one.

    Nobody else may have it open. The damaged file is kept beside it. Returns how many transactions
    were done again.

    Raises:
        StoreError: `store_damaged`, where the copy cannot be used either.
    """
    target = path.with_name(path.name + ".rebuilt")
    try:
        done = redo.rebuilt(path, target)
    except sqlite3.DatabaseError as error:
        target.unlink(missing_ok=True)
        raise StoreError("store_damaged", place=str(path), reason=error) from error
    stamp = now().strftime("%Y%m%dT%H%M%S%fZ")
    for suffix in ("", "-wal", "-shm"):
        old = path.with_name(path.name + suffix)
        if old.exists():
            old.replace(path.with_name(f"{path.name}.damaged-{stamp}{suffix}"))
    target.replace(path)
    redo.sync_folder(path.parent)
    return done


def open_or_repair(where: str | Path | Workspace) -> tuple[Store, bool]:
    """Open a store with every page checked; a damaged SQLite file is rebuilt first.

    Nobody else may have it open. The second value tells whether it was rebuilt.

    Raises:
        StoreError: as `open_store`.
    """
    try:
        return open_store(where, check=True), False
    except StoreError as error:
        found = location(where)
        if error.key != "store_damaged" or isinstance(found, str):
            raise
        done = repair(found)
    store = open_store(where, check=True)
    with store.write() as connection:
        audit.record(
            connection, actor=audit.SYSTEM, action="store.repaired", subject="", transactions=done
        )
    return store, True


@dataclass(slots=True)
class Keeper:
    """Looks after an open store while it is served: reads every page now and then."""

    where: str | Path | Workspace
    store: Store
    every_s: float = 60.0
    _looked_at: float = field(default_factory=time.monotonic)

    def damaged(self) -> bool:
        """Whether the store has to be repaired; looks only when it is time to."""
        if time.monotonic() - self._looked_at < self.every_s:
            return False
        self._looked_at = time.monotonic()
        try:
            self.store.check()
            if self.store.mirror_is_due():
                self.store.refresh_mirror()
        except StoreError as error:
            return error.key == "store_damaged"
        return False

    def repair(self) -> None:
        """Rebuild it; everybody else must have closed it.

        Raises:
            StoreError: as `open_or_repair`.
        """
        self.store.close()
        self.store, _ = open_or_repair(self.where)
        self._looked_at = time.monotonic()
