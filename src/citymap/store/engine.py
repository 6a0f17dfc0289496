"""Opening the store: one SQLite file in the city's folder, or a PostgreSQL database.

What is promised: when `Store.write()` ends without an error, its rows are on the disk (SQLite in
WAL mode with `synchronous=FULL`, PostgreSQL with `synchronous_commit=on`). Writers take turns:
threads of a process by a lock, processes by `BEGIN IMMEDIATE` (PostgreSQL: an advisory lock), which
waits in line before it reads anything. So what a writer has read still holds when it writes, and no
transaction is thrown away half-way for having read too early.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, exc, make_url, text

from citymap.errors import CitymapError
from citymap.store import redo
from citymap.store.geometry import add_geometry, postgis
from citymap.store.tables import now
from citymap.store.together import Together
from citymap.workspace import Workspace

try:
    import fcntl
except ImportError:  # Windows: SQLite's own waiting
    fcntl = None  # type: ignore[assignment]

T = TypeVar("T")
FILE = "store.sqlite"
PATIENCE_S = 10.0  # how long a read or write waits for its turn, or for a database that is away
BUSY_MS = 30_000
_ASK_EVERY_S = 0.002
KEPT_BACKUPS = 5
_CHANGES, _BEFORE = "citymap_changes", "citymap_redo_size"  # of a connection
_MIGRATIONS = Path(__file__).parent / "migrations"
_TURN = 0x6369_7479  # "city": the advisory lock that PostgreSQL's writers hold in turn


class StoreError(CitymapError):
    """The store cannot do it now; the key says why (`store_full`, `store_gone`, …)."""


@dataclass(frozen=True, slots=True)
class Store:
    """An open store; shared by all threads of a process, never carried over a fork."""

    engine: Engine
    path: Path | None  # the SQLite file; None on PostgreSQL
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _together: Together = field(default_factory=Together)

    @property
    def postgresql(self) -> bool:
        """Whether this is a PostgreSQL database."""
        return self.path is None

    @property
    def place(self) -> str:
        """Where it is, without a password."""
        return str(self.path) if self.path else self.engine.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self, *, patience_s: float = PATIENCE_S) -> Iterator[Connection]:
        """A connection with one consistent view; nothing may be written through it.

        Raises:
            StoreError: the store cannot be reached or is damaged.
        """
        with self._said(), self._begun(patience_s, write=False) as connection:
            yield connection

    @contextmanager
    def write(self, *, patience_s: float = PATIENCE_S) -> Iterator[Connection]:
        """A connection in a write transaction: committed, on disk, when the block ends well.

        Raises:
            StoreError: it could not be written; then nothing of it was.
        """
        if self.path is not None and not self._turn.acquire(timeout=max(patience_s, 0.001)):
            raise StoreError("store_busy", place=self.place)
        try:
            with (
                _turn_of_process(self.path, patience_s),
                self._said(),
                self._begun(patience_s, write=True) as connection,
            ):
                connection.info[_CHANGES] = []
                yield connection
                if self.path is not None:
                    _keep_redo(self.path, connection)
        finally:
            if self.path is not None:
                self._turn.release()

    def write_together(self, act: Callable[[Connection], T]) -> T:
        """Do it in a write transaction that it may share with others of this moment.

        On the disk when this returns, like `write`; see `Together.do` for what `act` must bear.

        Raises:
            StoreError: it could not be written; then nothing of it was.
        """
        return self._together.do(self.write, act, gone=StoreError)

    @contextmanager
    def _begun(self, patience_s: float, *, write: bool) -> Iterator[Connection]:
        """Connect and begin, waiting for a database that is away; never repeats the block itself."""
        until = time.monotonic() + patience_s
        while True:
            connection = None
            try:
                connection = self.engine.connect().execution_options(citymap_write=write)
                transaction = connection.begin()
                if self.postgresql:
                    if not write:
                        connection.execute(text("SET TRANSACTION READ ONLY"))
                    else:
                        wait_ms = max(1, round((until - time.monotonic()) * 1000))
                        connection.execute(text(f"SET LOCAL lock_timeout = {wait_ms}"))
                        connection.execute(text(f"SELECT pg_advisory_xact_lock({_TURN})"))
                break
            except exc.DBAPIError as error:
                if connection is not None:
                    connection.close()
                if reason(error) not in {"store_gone", "store_busy"} or time.monotonic() > until:
                    raise
                time.sleep(0.2)
        with closing(connection):
            try:
                yield connection
            except BaseException:
                _roll_back(transaction)
                raise
            try:
                transaction.commit()
            except exc.DBAPIError:
                if self.path is not None and _BEFORE in connection.info:
                    redo.take_back(self.path, connection.info.pop(_BEFORE))
                raise

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            key = reason(error)
            if key is None:
                raise
            raise StoreError(key, place=self.place, reason=_first_line(error)) from error

    def revision(self) -> str | None:
        """The revision of the tables; None in an empty store."""
        with self.read() as connection:
            return MigrationContext.configure(connection).get_current_revision()

    def check(self) -> None:
        """Read every page of the SQLite file.

        Raises:
            StoreError: `store_damaged`.
        """
        if self.path is None:
            return
        with self.read() as connection:
            found = connection.execute(text("PRAGMA quick_check(5)")).scalars().all()
            if found != ["ok"]:
                raise StoreError("store_damaged", place=self.place, reason="; ".join(found))

    def backup(self, target: Path) -> None:
        """A consistent copy of the SQLite file, also while others write.

        Raises:
            StoreError: the store is not a file, or cannot be read.
        """
        if self.path is None:
            raise StoreError("store_not_a_file", place=self.place)
        copy_file(self.path, target)

    def refresh_mirror(self) -> None:
        """Take a new checked copy of the SQLite file, and begin the record of statements anew.

        Raises:
            StoreError: the file is damaged; the old copy and record are kept.
        """
        path = self.path
        if path is None:
            return
        with self.write() as connection:
            del connection.info[_CHANGES]  # nothing changes here; but nobody else writes meanwhile
            fresh = path.with_name(path.name + ".fresh")
            copy_file(path, fresh)
            try:
                with closing(sqlite3.connect(fresh)) as copy:
                    if not redo.whole(copy):
                        raise StoreError("store_damaged", place=self.place, reason="quick_check")
                fresh.replace(redo.mirror_of(path))
            finally:
                fresh.unlink(missing_ok=True)
            redo.sync_folder(path.parent)
            _private(redo.redo_of(path))
            os.truncate(redo.redo_of(path), 0)

    def forget_deleted(self) -> None:
        """After a redaction: no older version of a row is left in the files beside the store.

        Raises:
            StoreError: as `refresh_mirror`.
        """
        if self.path is None:
            return
        with self._turn, closing(sqlite3.connect(self.path, timeout=BUSY_MS / 1000)) as plain:
            plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.refresh_mirror()

    def mirror_is_due(self) -> bool:
        """Whether the record of statements has grown long."""
        if self.path is None:
            return False
        size = redo.redo_of(self.path).stat().st_size if redo.redo_of(self.path).exists() else 0
        return size > redo.MAX_BYTES

    def catch_up(self) -> int:
        """Do what was recorded but is not in the file (a lost log, an older copy put back).

        Returns how many transactions; takes a first copy where there is none.
        """
        path = self.path
        if path is None:
            return 0
        with self.write() as connection:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)  # noqa: S101  (the driver of `_sqlite`)
            listed = list(redo.records(path))
            done = redo.replay(raw, listed)
            number = redo.number_of(raw)
            copied = redo.mirror_number(path)
            fits = copied is not None and (
                number == copied
                if not listed
                else number == listed[-1].number and listed[0].number <= redo.next_number(copied)
            )
        if not fits:
            self.refresh_mirror()
        return done

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


@contextmanager
def _turn_of_process(path: Path | None, patience_s: float) -> Iterator[None]:
    """Wait for the other processes' writers at a lock file that is asked every few milliseconds.

    SQLite's own waiting sleeps up to a tenth of a second between two tries, so that with several
    processes one could starve. This is only a queue: what keeps writers apart is `BEGIN IMMEDIATE`,
    so where the file cannot be made or the patience ends, that alone decides.
    """
    handle = None
    if path is not None and fcntl is not None:
        with suppress(OSError):
            handle = os.open(path.with_name(f".{path.name}.turn"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        until = time.monotonic() + patience_s
        while handle is not None and time.monotonic() < until:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(_ASK_EVERY_S)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _keep_redo(path: Path, connection: Connection) -> None:
    """Sync the statements of this transaction before it commits.

    Raises:
        StoreError: they cannot be written; the transaction is rolled back.
    """
    changes: list[redo.Statement] = connection.info.pop(_CHANGES, [])
    connection.info.pop(_BEFORE, None)
    if not changes:
        return
    number = redo.next_number(int(connection.exec_driver_sql("PRAGMA user_version").scalar_one()))
    connection.exec_driver_sql(f"PRAGMA user_version = {number}")
    try:
        connection.info[_BEFORE] = redo.append(path, redo.Record(number, changes))
    except OSError as error:
        key = "store_full" if error.errno in {28, 122} else "store_io"
        raise StoreError(key, place=str(redo.redo_of(path)), reason=error.strerror) from error


def copy_file(source: Path, target: Path) -> None:
    """Copy a SQLite database page by page under its own locks; `target` appears when complete.

    Raises:
        StoreError: the source is damaged.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    _private(temporary)
    try:
        with (
            closing(sqlite3.connect(source, timeout=BUSY_MS / 1000)) as old,
            closing(sqlite3.connect(temporary)) as new,
        ):
            old.backup(new)
            new.execute("PRAGMA journal_mode=DELETE")
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(target)
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "") not in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
            raise
        raise StoreError("store_damaged", place=str(source), reason=str(error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _roll_back(transaction: Any) -> None:
    try:
        transaction.rollback()
    except exc.DBAPIError:
        return  # the connection is gone, and the transaction with it


def _first_line(error: BaseException) -> str:
    return str(getattr(error, "orig", error) or error).partition("\n")[0]


def reason(error: exc.DBAPIError) -> str | None:
    """The message key of what the database says; None for an error of ours."""
    original = error.orig
    if isinstance(original, sqlite3.Error):
        name = getattr(original, "sqlite_errorname", "")
        by_name = (
            ("SQLITE_BUSY", "store_busy"), ("SQLITE_LOCKED", "store_busy"),
            ("SQLITE_FULL", "store_full"), ("SQLITE_READONLY", "store_read_only"),
            ("SQLITE_CANTOPEN", "store_read_only"), ("SQLITE_PERM", "store_read_only"),
            ("SQLITE_CORRUPT", "store_damaged"), ("SQLITE_NOTADB", "store_damaged"),
            ("SQLITE_IOERR", "store_io"),
        )  # fmt: skip
        return next((key for start, key in by_name if name.startswith(start)), None)
    state = getattr(original, "sqlstate", None) or ""
    if state in {"53100"}:
        return "store_full"
    if state in {"25006"}:
        return "store_read_only"
    if state[:2] in {"XX"}:
        return "store_damaged"
    if state in {"40001", "40P01", "55P03"}:
        return "store_busy"
    if state[:2] in {"08", "53", "57", "58", "28"} or error.connection_invalidated or not state:
        return (
            "store_gone" if isinstance(error, exc.OperationalError | exc.InterfaceError) else None
        )
    return None


def _private(path: Path) -> None:
    """Make the file with access for its owner alone; an existing one keeps its content."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        key = "store_full" if error.errno == 28 else "store_read_only"
        raise StoreError(key, place=str(path), reason=error.strerror) from error


def _sqlite(path: Path) -> Engine:
    _private(path)
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_MS / 1000}, pool_size=4, max_overflow=28
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, see `begin`
        # What is deleted is overwritten: a redaction leaves nothing in free space.
        for pragma in ("foreign_keys=ON", "synchronous=FULL", "fullfsync=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "before_cursor_execute")
    def note(
        connection: Connection, _cursor: Any, sql: str, parameters: Any, _context: Any, many: bool
    ) -> None:
        changes = connection.info.get(_CHANGES)
        if changes is not None and redo.wanted(sql):
            changes.append(redo.statement(sql, parameters, many=many))

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("citymap_write", False)
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if write else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgresql(url: str) -> Engine:
    engine = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True, pool_size=4, max_overflow=28, connect_args={"connect_timeout": 5},
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute("SET synchronous_commit = on")
        # A client that vanished in the middle of its turn does not keep it.
        connection.execute("SET idle_in_transaction_session_timeout = '60s'")
        connection.commit()

    return engine


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def revisions() -> list[str]:
    """Every revision there is, oldest first."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    found = ScriptDirectory.from_config(config).walk_revisions()
    return [script.revision for script in found][::-1]


def migrate(store: Store, to: str | None = None, *, patience_s: float = PATIENCE_S) -> None:
    """Move the tables forward to `to` (default: the newest), after a backup.

    All steps are one transaction: a crash leaves the old tables. Processes that start together
    take turns, and the second finds the work done.

    Raises:
        StoreError: the store was made by a newer citymap, or a step failed.
    """
    known = revisions()
    wanted = to or known[-1]
    with store.write(patience_s=patience_s) as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current == wanted:
            if store.postgresql and to is None:
                add_geometry(connection)  # PostGIS may have come after the tables
            return
        if current is not None and current not in known:
            raise StoreError("store_newer", place=store.place, revision=current)
        if current is not None:
            _keep_copy(store, connection, current)
        if store.postgresql:
            postgis(connection)
        command.upgrade(_alembic(connection), wanted)


def _keep_copy(store: Store, connection: Connection, current: str) -> None:
    stamp = now().strftime("%Y%m%dT%H%M%SZ")
    if store.path is not None:
        folder = store.path.parent / "backups"
        copy_file(store.path, folder / f"{store.path.name}.{current}.{stamp}")
        kept = sorted(folder.glob(f"{store.path.name}.*"), key=lambda p: p.stat().st_mtime_ns)
        for old in kept[:-KEPT_BACKUPS]:
            old.unlink()
        return
    schema = f"citymap_before_{current}_{stamp}".lower()  # in the same transaction as the steps
    connection.execute(text(f'CREATE SCHEMA "{schema}"'))
    names = connection.execute(
        text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    )
    for name in names.scalars().all():
        if name != "spatial_ref_sys":
            connection.execute(text(f'CREATE TABLE "{schema}"."{name}" AS TABLE "{name}"'))


def location(where: str | Path | Workspace) -> str | Path:
    """The database URL or the file that `where` names.

    Raises:
        StoreError: a URL of neither SQLite nor PostgreSQL.
    """
    if isinstance(where, Workspace):
        return where.root / FILE
    if isinstance(where, Path) or "://" not in where:
        return Path(where)
    try:
        url = make_url(where)
    except exc.ArgumentError as error:
        raise StoreError("store_url", reason="") from error
    if url.drivername.partition("+")[0] in {"postgresql", "postgres"}:
        return where
    if url.drivername == "sqlite" and url.database:
        return Path(url.database)
    raise StoreError("store_url", reason=url.drivername)


def open_store(
    where: str | Path | Workspace,
    *,
    check: bool = False,
    patience_s: float = PATIENCE_S,
    to: str | None = None,
) -> Store:
    """Open (and make, and move forward) the store of a workspace, a file or a `postgresql://` URL.

    With `check` every page of a SQLite file is read first; `to` stops at an older revision, for a
    backup of that time.

    Raises:
        StoreError: it cannot be opened, is damaged, or was made by a newer citymap.
    """
    found = location(where)
    if isinstance(found, str):
        store = Store(_postgresql(found), None)
    else:
        store = Store(_sqlite(found), found)
        with store._said(), closing(sqlite3.connect(found, timeout=BUSY_MS / 1000)) as plain:
            try:
                plain.execute("PRAGMA journal_mode=WAL")
            except sqlite3.Error as error:
                raise exc.DBAPIError.instance("", (), error, sqlite3.Error) from error
    try:
        if check:
            store.check()
        if to is None:
            store.catch_up()
        migrate(store, to, patience_s=patience_s)
        if check:
            store.refresh_mirror()
    except BaseException:
        store.close()
        raise
    return store


_SHARED: dict[str, Store] = {}
_SHARING = threading.Lock()


def shared_store(where: str | Path | Workspace) -> Store:
    """The store of this process: opened at the first call, the same one afterwards.

    Raises:
        StoreError: as `open_store`; the next call tries again.
    """
    name = str(location(where))
    with _SHARING:
        if name not in _SHARED:
            _SHARED[name] = open_store(where, patience_s=2.0)
        return _SHARED[name]
