"""A second record of every SQLite transaction: a checked copy of the file, and what came after it.

`store.sqlite.mirror` is a copy whose every page was read; `store.sqlite.redo` holds the statements
of each later transaction, synced before that transaction commits. So a page that the disk has
spoiled costs nothing that was acknowledged: copy and statements give the file back. The number of
the last transaction is the file's own `user_version`, changed in the same transaction.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SKIPPED = ("SELECT", "PRAGMA", "BEGIN", "EXPLAIN", "COMMIT")
MAX_BYTES = 16 << 20  # then it is time for a new copy
_MAX_NUMBER = 2**31 - 1

Statement = tuple[str, list[Any], bool]  # SQL, parameters, whether they are many sets


@dataclass(frozen=True, slots=True)
class Record:
    """One transaction."""

    number: int
    statements: list[Statement]


def mirror_of(path: Path) -> Path:
    """The copy of the store at `path`."""
    return path.with_name(path.name + ".mirror")


def redo_of(path: Path) -> Path:
    """The statements since that copy."""
    return path.with_name(path.name + ".redo")


def wanted(sql: str) -> bool:
    """Whether a statement changes anything."""
    return not sql.lstrip().upper().startswith(SKIPPED)


def _plain(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"b64": base64.b64encode(value).decode()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"a parameter of type {type(value).__name__}")


def _raw(value: Any) -> Any:
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


def statement(sql: str, parameters: Any, *, many: bool) -> Statement:
    """A statement as it is kept.

    Raises:
        TypeError: a parameter is no value of SQLite.
    """
    sets = parameters if many else [parameters or ()]
    return sql, [[_plain(v) for v in one] for one in sets], many


def append(path: Path, record: Record) -> int:
    """Write a record and sync it; the size of the file before.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    text = json.dumps([record.number, record.statements], ensure_ascii=False).encode()
    line = b"%08x %s\n" % (zlib.crc32(text), text)
    handle = os.open(redo_of(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        before = os.fstat(handle).st_size
        try:
            left = memoryview(line)
            while left:
                left = left[os.write(handle, left) :]
            os.fsync(handle)
        except OSError:
            with suppress(OSError):
                os.ftruncate(handle, before)
            raise
    finally:
        os.close(handle)
    return before


def take_back(path: Path, size: int) -> None:
    """Forget what was appended for a transaction that could not be committed."""
    with suppress(OSError):
        os.truncate(redo_of(path), size)


def records(path: Path) -> Iterator[Record]:
    """The records in order, up to the first that is not whole."""
    try:
        content = redo_of(path).read_bytes()
    except FileNotFoundError:
        return
    for line in content.splitlines(keepends=True):
        head, _, text = line.rstrip(b"\n").partition(b" ")
        if not line.endswith(b"\n") or head != b"%08x" % zlib.crc32(text):
            return
        number, statements = json.loads(text)
        yield Record(number, [(sql, sets, many) for sql, sets, many in statements])


def number_of(connection: sqlite3.Connection) -> int:
    """The number of the last transaction in the file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def mirror_number(path: Path) -> int | None:
    """The number of the last transaction in the copy; None where it cannot be read."""
    if not mirror_of(path).is_file():
        return None
    try:
        with closing(sqlite3.connect(mirror_of(path))) as copy:
            return number_of(copy)
    except sqlite3.DatabaseError:
        return None


def next_number(number: int) -> int:
    """The number after it."""
    return number + 1 if number < _MAX_NUMBER else 1


def replay(connection: sqlite3.Connection, listed: Sequence[Record]) -> int:
    """Do what the file has not done yet, in one transaction of the caller; how many records.

    Of records with one number only the last counts: the others were never committed.
    """
    by_number = {record.number: record for record in listed}
    done = 0
    while (record := by_number.get(next_number(number_of(connection)))) is not None:
        for sql, sets, many in record.statements:
            values = [[_raw(v) for v in one] for one in sets]
            if many:
                connection.executemany(sql, values)
            else:
                connection.execute(sql, values[0])
        connection.execute(f"PRAGMA user_version = {record.number}")
        done += 1
    return done


def whole(connection: sqlite3.Connection) -> bool:
    """Whether every page can be read and fits."""
    try:
        return bool(connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)])
    except sqlite3.DatabaseError:
        return False


def rebuilt(path: Path, target: Path) -> int:
    """Write the store anew to `target` from its copy and the statements since; how many of them.

    Raises:
        sqlite3.DatabaseError: the copy is absent or damaged too.
    """
    target.unlink(missing_ok=True)
    mirror = mirror_of(path)
    if not mirror.is_file():
        raise sqlite3.DatabaseError("there is no copy to rebuild it from")
    os.close(os.open(target, os.O_CREAT | os.O_RDWR, 0o600))
    with closing(sqlite3.connect(mirror)) as old, closing(sqlite3.connect(target)) as new:
        if not whole(old):
            raise sqlite3.DatabaseError("the copy is damaged too")
        old.backup(new)
        new.isolation_level = None
        new.execute("BEGIN IMMEDIATE")
        done = replay(new, list(records(path)))
        new.execute("COMMIT")
        if not whole(new):
            raise sqlite3.DatabaseError("the rebuilt file is not whole")
    with target.open("rb") as handle:
        os.fsync(handle.fileno())
    return done


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
