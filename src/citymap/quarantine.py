"""Where uploads wait: under a random name, private, of a type that their content says, not their name."""

from __future__ import annotations

import hashlib
import os
import secrets
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from citymap.errors import BadInputError
from citymap.workspace import Workspace

FOLDER = "quarantine"
MAX_PIXELS = 50_000_000  # of a photo; a small file can hold a picture that fills the memory
HEAD_BYTES = 65_536
PHOTOS = frozenset({"image/jpeg", "image/png", "image/webp"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in quarantine; `media_type` is what its content says."""

    path: Path
    media_type: str
    size_bytes: int
    sha256: str


def media_type(head: bytes) -> str | None:
    """The type of a file by its first bytes; None where it is none that anybody may upload.

    A VRT is XML that makes GDAL open other files, so XML passes only as CityGML.
    """
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}:
        return "image/tiff"
    if head.startswith(b"PK\x03\x04"):
        return "application/zip"
    if head.startswith(b"SQLite format 3\0"):
        return "application/geopackage+sqlite3" if b"GPKG" in head[60:80] else None
    if head.startswith(b"PAR1"):
        return "application/vnd.apache.parquet"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return "application/gml+xml" if b"CityModel" in head and b"<!DOCTYPE" not in head else None
    if b"\0" in head:
        return None
    if text.startswith((b"{", b"[")):
        return "application/json"
    first = text.splitlines()[0] if text else b""
    return "text/csv" if b"," in first or b"\t" in first else None


def pixels(head: bytes, kind: str) -> int | None:
    """Width times height as the header of a photo says; None where it does not."""
    if kind == "image/png" and len(head) >= 24:
        width, height = struct.unpack(">II", head[16:24])
        return int(width) * int(height)
    if kind == "image/jpeg":
        at = 2
        while at + 9 < len(head) and head[at] == 0xFF:
            marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
            if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
                height, width = struct.unpack(">HH", head[at + 5 : at + 9])
                return int(width) * int(height)
            at += 2 + length
        return None
    if kind == "image/webp" and head[12:16] == b"VP8X":
        width = int.from_bytes(head[24:27], "little") + 1
        return width * (int.from_bytes(head[27:30], "little") + 1)
    if kind == "image/webp" and head[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return int(width & 0x3FFF) * int(height & 0x3FFF)
    if kind == "image/webp" and head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return ((bits & 0x3FFF) + 1) * (((bits >> 14) & 0x3FFF) + 1)
    return None


def receive(
    workspace: Workspace, chunks: Iterable[bytes], *, allowed: frozenset[str], limit_bytes: int
) -> Upload:
    """Write an upload into the city's quarantine; it is on the disk when this returns.

    Raises:
        BadInputError: empty, too large, of a type that is not allowed, or a picture too large to
            open. Nothing is left then.
    """
    folder = workspace.root / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / secrets.token_hex(16)
    digest, size, head = hashlib.sha256(), 0, b""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
            for chunk in chunks:
                size += len(chunk)
                if size > limit_bytes:
                    raise BadInputError("upload_too_large", limit=f"{limit_bytes / 1e6:,.0f}")
                if len(head) < HEAD_BYTES:
                    head += chunk[: HEAD_BYTES - len(head)]
                digest.update(chunk)
                sink.write(chunk)
            kind = media_type(head)
            if kind is None or kind not in allowed:
                raise BadInputError("upload_type", kinds=", ".join(sorted(allowed)))
            if kind in PHOTOS:
                count = pixels(head, kind)
                if count is None or count > MAX_PIXELS or count == 0:
                    raise BadInputError("upload_pixels", limit=MAX_PIXELS // 1_000_000)
            sink.flush()
            os.fsync(sink.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Upload(path, kind, size, digest.hexdigest())


def waiting(workspace: Workspace, name: str) -> Path | None:
    """A file that `receive` put into the city's quarantine under this name; None where it is gone."""
    path = workspace.root / FOLDER / name
    plain = len(name) == 32 and set(name) <= set("0123456789abcdef")
    return path if plain and path.is_file() else None


def sweep(workspace: Workspace, *, older_than_s: float = 7 * 86_400.0) -> int:
    """Remove uploads that nothing came of; how many."""
    gone = 0
    for path in (workspace.root / FOLDER).glob("*"):
        if path.stat().st_mtime < time.time() - older_than_s:
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def release(upload: Upload, target: Path) -> None:
    """Move a checked upload to where it belongs; it gets its name at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    upload.path.replace(target)
