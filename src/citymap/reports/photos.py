"""Photos of reports: checked, stripped, named by their content, on the disk before the report is.

`photos/ab/<sha256>.jpg` is what was sent without its metadata (for staff); `photos/public/<name>`
is the smaller copy made anew when staff release it.

Where the city has an S3-compatible server (`bucket`), a photo counts when the server has acknowledged
it. While the server is away the folder takes the photo instead, so that no report waits for it; `move`
brings it over later. What is read is checked against its name, wherever it comes from.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import secrets
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from citymap import quarantine
from citymap.reports import bucket as buckets
from citymap.reports.bucket import AwayError
from citymap.reports.model import Photo, ReportError
from citymap.reports.strip import NotAPictureError, stripped
from citymap.store import StoreError
from citymap.store.redo import sync_folder

if TYPE_CHECKING:
    from citymap.workspace import Workspace

FOLDER = "photos"
INCOMING = ".incoming"
FORGOTTEN = ".forgotten"
MAX_BYTES = 12 << 20
MAX_SIDE = 20_000
PUBLIC_SIDE = 1280
SUFFIX = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}
_FORMAT = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_DECODERS = BoundedSemaphore(2)  # a picture in memory is large; they take turns
_LEFT_OVER_S = 3600.0


@dataclass(frozen=True, slots=True)
class Checked:
    """A picture that may be kept: its bytes without metadata, and how it is to be turned."""

    photo: Photo
    body: bytes
    sent_sha256: str


def check(body: bytes) -> Checked:
    """Look at an uploaded picture; everything of it is decoded once.

    Raises:
        ReportError: too large, of another type, broken, or a bomb.
    """
    if len(body) > MAX_BYTES:
        raise ReportError("photo_too_large", limit=MAX_BYTES >> 20)
    kind = quarantine.media_type(body[: quarantine.HEAD_BYTES])
    if kind not in quarantine.PHOTOS:
        raise ReportError("photo_type")
    count = quarantine.pixels(body[: quarantine.HEAD_BYTES], kind)
    if count is not None and not 0 < count <= quarantine.MAX_PIXELS:
        raise ReportError("photo_bomb", limit=quarantine.MAX_PIXELS // 1_000_000)
    try:
        alone = stripped(body, kind)
        with _opened(body, kind) as sent:
            orientation = _orientation(sent)
            width, height = sent.size
        if width * height > quarantine.MAX_PIXELS or max(width, height) > MAX_SIDE:
            raise ReportError("photo_bomb", limit=quarantine.MAX_PIXELS // 1_000_000)
        with _DECODERS, _opened(alone, kind) as picture:
            picture.draft("L", (max(1, width // 8), max(1, height // 8)))
            picture.load()
    except (NotAPictureError, UnidentifiedImageError, OSError, ValueError, SyntaxError,
            Image.DecompressionBombError, MemoryError) as e:  # fmt: skip
        raise ReportError("photo_broken") from e
    name = hashlib.sha256(alone).hexdigest()
    photo = Photo(name, kind, width, height, orientation, len(alone))
    return Checked(photo, alone, hashlib.sha256(body).hexdigest())


@contextmanager
def _opened(body: bytes, kind: str) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(body), formats=[_FORMAT[kind]]) as picture:
            yield picture


def _orientation(picture: Image.Image) -> int:
    try:
        found = picture.getexif().get(_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, KeyError, IndexError, TypeError, OverflowError):
        return 1  # broken metadata; they go anyway
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def path_of(workspace: Workspace, photo: Photo) -> Path:
    """Where a photo lies."""
    name = photo.sha256 + SUFFIX[photo.media_type]
    return workspace.root / FOLDER / name[:2] / name


def public_path(workspace: Workspace, name: str) -> Path:
    """Where a released copy lies."""
    return workspace.root / FOLDER / "public" / name


def keep(workspace: Workspace, checked: Checked) -> None:
    """Write a photo and wait for the server or the disk; one that is there already is left.

    Raises:
        StoreError: the disk is full or cannot be written.
    """
    path = path_of(workspace, checked.photo)
    _forgotten(workspace, path.name).unlink(missing_ok=True)  # it is wanted again
    bucket = buckets.of(workspace)
    if bucket is not None:
        with suppress(AwayError):
            bucket.put(path.name, checked.body, checked.photo.media_type)
            return
    _write(path, checked.body, workspace)


def read(workspace: Workspace, photo: Photo) -> bytes | None:
    """The bytes of a photo, checked against its name; None where they are gone or damaged.

    Raises:
        AwayError: they are on a server that is away.
    """
    path = path_of(workspace, photo)
    with suppress(OSError):
        body = path.read_bytes()
        if hashlib.sha256(body).hexdigest() == photo.sha256:
            return body
    bucket = buckets.of(workspace)
    return None if bucket is None else bucket.get(path.name)


def _write(path: Path, body: bytes, workspace: Workspace) -> None:
    try:
        if path.is_file() and path.stat().st_size == len(body):
            os.utime(path)  # wanted again: no left-over for `sweep`
            return
        folder = workspace.root / FOLDER
        waiting = folder / INCOMING
        made = [f for f in (folder, waiting, path.parent) if not f.exists()]
        for each in made:
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = waiting / secrets.token_hex(12)
        try:
            with os.fdopen(
                os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
            ) as sink:
                sink.write(body)
                sink.flush()
                os.fsync(sink.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        for each in {path.parent, *(f.parent for f in made)}:
            sync_folder(each)
    except OSError as error:
        key = "store_full" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "store_io"
        raise StoreError(key, place=str(path), reason=error.strerror) from error


def release(workspace: Workspace, photo: Photo) -> str:
    """Make the copy for the public: turned upright, smaller, encoded anew; its name.

    Raises:
        ReportError: the photo is not there any more, or broken.
        StoreError: the copy cannot be written.
    """
    try:
        body = read(workspace, photo)
        if body is None:
            raise ReportError("photo_gone")
        with _DECODERS, _opened(body, photo.media_type) as picture:
            picture.draft("RGB", (PUBLIC_SIDE, PUBLIC_SIDE))
            turned = _upright(picture, photo.orientation)
            turned.thumbnail((PUBLIC_SIDE, PUBLIC_SIDE))
            plain = Image.new("RGB", turned.size, "white")
            plain.paste(turned, mask=turned.getchannel("A") if "A" in turned.getbands() else None)
            out = io.BytesIO()
            plain.save(out, "JPEG", quality=80, optimize=True)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, MemoryError) as e:
        raise ReportError("photo_gone") from e
    name = hashlib.sha256(out.getvalue()).hexdigest()[:40] + ".jpg"
    _write(public_path(workspace, name), out.getvalue(), workspace)
    return name


def shown(workspace: Workspace, photo: Photo, *, side: int = 1600) -> bytes | None:
    """The photo upright as JPEG for staff; None where the file is gone."""
    try:
        body = read(workspace, photo)
        if body is None:
            return None
        with _DECODERS, _opened(body, photo.media_type) as picture:
            picture.draft("RGB", (side, side))
            turned = _upright(picture, photo.orientation)
            turned.thumbnail((side, side))
            out = io.BytesIO()
            turned.convert("RGB").save(out, "JPEG", quality=85)
            return out.getvalue()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    picture.load()
    see_through = "A" in picture.getbands() or "transparency" in picture.info
    plain = picture.convert("RGBA" if see_through else "RGB")
    turn = _TURNS.get(orientation)
    return plain if turn is None else plain.transpose(turn)


def _forgotten(workspace: Workspace, name: str) -> Path:
    """The note that an object is still to be removed from the server."""
    return workspace.root / FOLDER / FORGOTTEN / name


def forget(workspace: Workspace, photo: Photo) -> None:
    """Remove a photo and its copy (a redaction); nothing there is fine.

    While the server is away a note stays, and `move` removes the photo there.
    """
    path = path_of(workspace, photo)
    path.unlink(missing_ok=True)  # first, so that `move` cannot bring it over afterwards
    if buckets.of(workspace) is not None:
        note = _forgotten(workspace, path.name)
        note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        note.touch()
        sync_folder(note.parent)
        with suppress(AwayError):
            _remove_noted(workspace)
    if photo.public_name:
        public_path(workspace, photo.public_name).unlink(missing_ok=True)


def _remove_noted(workspace: Workspace) -> None:
    bucket = buckets.of(workspace)
    for note in (workspace.root / FOLDER / FORGOTTEN).glob("*") if bucket is not None else ():
        bucket.remove(note.name)  # type: ignore[union-attr]
        note.unlink(missing_ok=True)


def is_waiting(workspace: Workspace) -> bool:
    """Whether there is anything for `move` to do."""
    noted = (workspace.root / FOLDER / FORGOTTEN).glob("*")
    return bool(waiting(workspace)) or next(noted, None) is not None


def waiting(workspace: Workspace) -> list[Path]:
    """Photos in the folder, which wait for the server where the city has one."""
    return sorted((workspace.root / FOLDER).glob("[0-9a-f][0-9a-f]/*"))


def move(workspace: Workspace) -> int:
    """Bring photos of the folder to the server and remove there what was redacted; how many moved.

    A photo leaves the folder only after it was read back from the server and fits its checksum.

    Raises:
        AwayError: the server cannot be used; what is left stays in the folder.
    """
    bucket, moved = buckets.of(workspace), 0
    if bucket is None:
        return 0
    _remove_noted(workspace)
    types = {suffix: kind for kind, suffix in SUFFIX.items()}
    for path in waiting(workspace):
        try:
            body = path.read_bytes()
        except FileNotFoundError:
            continue  # redacted, or another worker was quicker
        if hashlib.sha256(body).hexdigest() != path.stem:
            continue  # damaged: stays for a person to look at
        bucket.put(path.name, body, types.get(path.suffix, "application/octet-stream"))
        if bucket.get(path.name) != body:
            raise AwayError(bucket.place, path.name)
        if not path.exists():  # redacted meanwhile: not to come back by the copy
            bucket.remove(path.name)
            continue
        path.unlink(missing_ok=True)
        moved += 1
    return moved


def sweep(
    workspace: Workspace, wanted: frozenset[str], *, older_than_s: float = _LEFT_OVER_S
) -> int:
    """Remove what a crash left: files on their way, and photos (SHA-256) that no report names.

    Raises:
        AwayError: the server of the photos is away.
    """
    folder, before, gone = workspace.root / FOLDER, time.time() - older_than_s, 0
    for path in [*folder.glob(f"{INCOMING}/*"), *waiting(workspace)]:
        known = path.parent.name != INCOMING and path.stem in wanted
        with suppress(OSError):
            if not known and path.stat().st_mtime < before:
                path.unlink()
                gone += 1
    bucket = buckets.of(workspace)
    for name, changed in bucket.names() if bucket is not None else ():
        if name.partition(".")[0] not in wanted and changed.timestamp() < before:
            bucket.remove(name)  # type: ignore[union-attr]
            gone += 1
    return gone
