"""A whole city in one checked file, taken while it runs, and the way back into an empty place.

The archive is a zip that any tool opens: the files of the city folder as they lie, the store, and
`backup.json` with the SHA-256 of each. The store is copied first (a consistent copy), the files
after: whatever a row speaks of was on the disk before the row, so it is in the archive.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from citymap import __version__
from citymap.errors import BadInputError, CitymapError
from citymap.operations import rows
from citymap.progress import Progress
from citymap.reports import bucket as buckets
from citymap.reports import desk
from citymap.reports import photos as photo_files
from citymap.store import StoreError, audit, open_store
from citymap.store.engine import FILE as STORE_FILE
from citymap.workspace import Workspace, replacing

FORMAT = 1
LIST_NAME = "backup.json"
ROWS_FOLDER = "store"  # of the archive: the rows of a PostgreSQL store, one JSON object a line
LEFT_OUT = frozenset({"backups", "downloads", "quarantine"})  # can be had again, or must not be
MOVING = ("photos/", "live/", "status.json")  # change by themselves; each file stands for itself
PACKED = frozenset({".gz", ".parquet", ".tif", ".nc", ".jpg", ".jpeg", ".png", ".webp", ".zip"})
CHUNK = 1 << 20
TRIES = 5
SLACK_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class BackupList:
    """What an archive says about itself."""

    format: int
    citymap: str
    made_at: str
    name: str
    code: str
    tiles: bool
    store: str  # "file", "rows" or ""
    revision: str | None
    files: dict[str, dict[str, Any]]
    photos_left_out: int = 0  # photos of reports that are on an S3 server alone


def _wanted(root: Path, *, tiles: bool) -> dict[str, tuple[int, int, int]]:
    """Relative paths and what tells whether a file is still the same (inode, mtime in ns, size)."""
    found: dict[str, tuple[int, int, int]] = {}
    for folder, names, files in os.walk(root):
        at = Path(folder)
        top = at == root
        names[:] = [
            n for n in names
            if not n.startswith(".") and not (top and (n in LEFT_OUT or (n == "tiles" and not tiles)))
        ]  # fmt: skip
        for name in files:
            if name.startswith(".") or (top and name.startswith(STORE_FILE)):
                continue
            path = at / name
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if path.is_symlink() or not path.is_file():
                continue
            relative = path.relative_to(root).as_posix()
            found[relative] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return found


@contextlib.contextmanager
def _held_still(root: Path, *, tiles: bool) -> Iterator[tuple[Path, list[str]]]:
    """A folder with all files as they were at one moment, and their relative paths.

    Files of a workspace are replaced, not changed, so hard links keep the old ones; when something
    was replaced meanwhile the links are made again. Where links cannot be made the folder itself
    is read. Files that come in all the time (`MOVING`) are taken as they are.

    Raises:
        CitymapError: the city does not come to rest.
    """
    links = root / f".backup-{os.getpid()}"
    try:
        for _ in range(TRIES):
            shutil.rmtree(links, ignore_errors=True)
            before = _wanted(root, tiles=tiles)
            held = []
            try:
                for relative in before:
                    target = links / relative
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with contextlib.suppress(FileNotFoundError):
                        os.link(root / relative, target)
                        held.append(relative)
            except OSError as e:
                if e.errno == errno.ENOSPC:
                    raise
                yield root, sorted(before)
                return
            after = _wanted(root, tiles=tiles)
            changed = {
                path for path in before.keys() | after.keys()
                if before.get(path) != after.get(path) and not path.startswith(MOVING)
            }  # fmt: skip
            if not changed:
                yield links, sorted(held)
                return
        raise CitymapError("backup_unrest", place=str(root))
    finally:
        shutil.rmtree(links, ignore_errors=True)


def back_up(
    workspace: Workspace,
    target: Path,
    *,
    store_url: str = "",
    tiles: bool = True,
    photos: bool = True,
    progress: Progress,
) -> BackupList:
    """Write the archive; `target` appears when it is complete and on the disk.

    Photos on an S3 server are fetched into it; without `photos` they are left out and counted.

    Raises:
        AwayError: the photos are on a server that is away.
        BadInputError: the folder holds no city.
        CitymapError: the disk is full, or the city does not come to rest.
        CancelledError: the person stopped it; nothing is left.
    """
    city = workspace.city()
    files: dict[str, dict[str, Any]] = {}
    with (
        disk_errors(target),
        replacing(target) as temporary,
        zipfile.ZipFile(temporary, "w", allowZip64=True) as archive,
    ):
        temporary.chmod(0o600)  # password hashes and reports are inside
        kind, revision = _add_store(workspace, store_url, archive, files, temporary)
        with _held_still(workspace.root, tiles=tiles) as (folder, relatives):
            total = sum((folder / r).stat().st_size for r in relatives) or 1
            done = 0
            for relative in relatives:
                files[relative] = _add(archive, folder / relative, relative)
                done += files[relative]["bytes"]
                progress.update(done, total, "backup")
        left_out = _add_photos(workspace, store_url, archive, files, progress, wanted=photos)
        listed = BackupList(
            FORMAT, __version__, datetime.now(UTC).isoformat(timespec="seconds"), city.name,
            city.code, tiles, kind, revision, files, left_out,
        )  # fmt: skip
        text = json.dumps(asdict(listed), ensure_ascii=False, indent=1)
        archive.writestr(LIST_NAME, text, zipfile.ZIP_DEFLATED)
    return listed


def _add(archive: zipfile.ZipFile, path: Path, name: str) -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    packed = path.suffix.lower() in PACKED
    info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as sink:
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            sink.write(chunk)
    return {"bytes": size, "sha256": digest.hexdigest()}


def _add_photos(
    workspace: Workspace,
    store_url: str,
    archive: zipfile.ZipFile,
    files: dict[str, dict[str, Any]],
    progress: Progress,
    *,
    wanted: bool,
) -> int:
    """The photos that reports name and the folder has not; how many were left out."""
    if buckets.of(workspace) is None:
        return 0
    store, left_out = open_store(store_url or workspace), 0
    try:
        listed = desk.photos_kept(store)
    finally:
        store.close()
    for number, photo in enumerate(listed, 1):
        path = photo_files.path_of(workspace, photo)
        name = path.relative_to(workspace.root).as_posix()
        body = None
        if name in files:
            continue
        if wanted:
            body = photo_files.read(workspace, photo)  # None: gone or damaged there
        if body is None:
            left_out += 1
            continue
        archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), body)
        files[name] = {"bytes": len(body), "sha256": photo.sha256}
        progress.update(number, len(listed), "backup")
    return left_out


def _add_store(
    workspace: Workspace,
    store_url: str,
    archive: zipfile.ZipFile,
    files: dict[str, dict[str, Any]],
    temporary: Path,
) -> tuple[str, str | None]:
    """The store as a file or as rows; and the revision of its tables."""
    if not store_url and not (workspace.root / STORE_FILE).is_file():
        return "", None
    store = open_store(store_url or workspace)
    try:
        with store.write() as connection:
            audit.record(connection, actor=audit.SYSTEM, action="backup.made")
        revision = store.revision()
        copy = temporary.with_name(f".{temporary.name}.store")
        try:
            if not store.postgresql:
                store.backup(copy)
                files[STORE_FILE] = _add(archive, copy, STORE_FILE)
                return "file", revision
            for name, lines in rows.dumped(store):
                with copy.open("wb") as handle:
                    for line in lines:
                        handle.write(line)
                entry = f"{ROWS_FOLDER}/{name}.jsonl"
                files[entry] = _add(archive, copy, entry)
            return "rows", revision
        finally:
            copy.unlink(missing_ok=True)
    finally:
        store.close()


def read_list(archive: zipfile.ZipFile, place: str) -> BackupList:
    """What the archive says about itself.

    Raises:
        BadInputError: no backup of ours, or of a newer citymap.
    """
    try:
        data = json.loads(archive.read(LIST_NAME))
        if data["format"] > FORMAT:
            raise BadInputError("backup_newer", place=place, version=data["citymap"])
        listed = BackupList(**data)
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile) as e:
        raise BadInputError("backup_unreadable", place=place, reason=e) from e
    for name in listed.files:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or not name:
            raise BadInputError("backup_unreadable", place=place, reason=name)
    return listed


def restore(
    source: Path, workspace: Workspace, *, store_url: str = "", progress: Progress
) -> BackupList:
    """Bring a city back into an empty folder (and an empty database); all or nothing.

    Every file is checked against its SHA-256 before the folder gets its name.

    Raises:
        BadInputError: not a backup, damaged, or the place is not empty.
        CitymapError: not enough room.
    """
    place = source.name
    if not source.is_file():
        raise BadInputError("not_found", path=source)
    root = workspace.root
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise BadInputError("restore_not_empty", place=str(root))
    root.parent.mkdir(parents=True, exist_ok=True)
    work = root.with_name(f".{root.name}.restoring-{os.getpid()}")
    try:
        with disk_errors(root), zipfile.ZipFile(source) as archive:
            listed = read_list(archive, place)
            _check_room(root.parent, sum(f["bytes"] for f in listed.files.values()))
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            for number, (name, facts) in enumerate(listed.files.items(), 1):
                _take_out(archive, name, facts, work / name, place)
                progress.update(number, len(listed.files), "restore")
        _restore_store(listed, work, store_url)
        if root.exists():
            root.rmdir()
        work.rename(root)
        return listed
    except zipfile.BadZipFile as e:
        raise BadInputError("backup_unreadable", place=place, reason=e) from e
    finally:
        shutil.rmtree(work, ignore_errors=True)


def verify(source: Path, *, progress: Progress) -> BackupList:
    """Read a whole archive against its checksums, without unpacking it anywhere.

    Raises:
        BadInputError: not a backup, or damaged.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            listed = read_list(archive, source.name)
            for number, (name, facts) in enumerate(listed.files.items(), 1):
                _take_out(archive, name, facts, None, source.name)
                progress.update(number, len(listed.files), "verify")
            return listed
    except (zipfile.BadZipFile, OSError) as e:
        raise BadInputError("backup_unreadable", place=source.name, reason=e) from e


def _take_out(
    archive: zipfile.ZipFile, name: str, facts: dict[str, Any], target: Path | None, place: str
) -> None:
    digest, size = hashlib.sha256(), 0
    write: Callable[[bytes], object] = len
    with contextlib.ExitStack() as stack:
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            sink = stack.enter_context(target.open("wb"))
            write = sink.write
        try:
            body = stack.enter_context(archive.open(name))
            while chunk := body.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                if size > facts["bytes"]:
                    break
                write(chunk)
        except (KeyError, zipfile.BadZipFile, EOFError, ValueError, NotImplementedError) as e:
            raise BadInputError("backup_damaged", place=place, file=name) from e
        except Exception as e:  # zlib.error has no base of its own
            if type(e).__name__ == "error":
                raise BadInputError("backup_damaged", place=place, file=name) from e
            raise
        if digest.hexdigest() != facts["sha256"] or size != facts["bytes"]:
            raise BadInputError("backup_damaged", place=place, file=name)
        if target is not None:
            sink.flush()
            os.fsync(sink.fileno())


def _restore_store(listed: BackupList, work: Path, store_url: str) -> None:
    """Put the store where this machine keeps it: the file stays, or its rows move."""
    file, folder = work / STORE_FILE, work / ROWS_FOLDER
    if listed.store == "file":
        file.chmod(0o600)
        if not store_url:
            open_store(file, check=True).close()
            return
        old = open_store(file, check=True)
        try:
            rows.load(store_url, old.revision(), rows.dumped(old))
        finally:
            old.close()
        for path in work.glob(f"{STORE_FILE}*"):
            path.unlink()
    elif listed.store == "rows":
        lines = {p.stem: p for p in folder.glob("*.jsonl")}
        rows.load(
            store_url or str(file), listed.revision,
            ((name, path.read_bytes().splitlines()) for name, path in lines.items()),
        )  # fmt: skip
        shutil.rmtree(folder)


def _check_room(folder: Path, wanted: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < wanted + SLACK_BYTES:
        raise CitymapError(
            "no_room", place=str(folder), needed=f"{wanted / 1e6:,.0f}", free=f"{free / 1e6:,.0f}"
        )


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """A full or read-only disk, said in our words.

    Raises:
        CitymapError: `disk_full` or `disk_read_only`.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as e:
        if e.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise CitymapError("disk_full", place=str(e.filename or path)) from e
        if e.errno in {errno.EROFS, errno.EACCES, errno.EPERM}:
            raise CitymapError("disk_read_only", place=str(e.filename or path)) from e
        raise


def prune(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` archives that `archive_name` named; what was removed."""
    found = sorted(folder.glob("citymap-*-*.zip"), key=lambda p: p.name[-20:])
    old = found[:-keep] if keep > 0 else []
    for path in old:
        path.unlink()
    return old


def archive_name(code: str, at: datetime) -> str:
    """`citymap-<code>-<UTC time>.zip`: sorts by time."""
    return f"citymap-{code}-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.zip"
