"""What an operator would look at: each finding says what is wrong and what to do. Changes nothing."""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
from rasterio.errors import RasterioError

from citymap import __version__
from citymap.errors import CitymapError
from citymap.i18n import t
from citymap.reports import bucket as buckets
from citymap.reports import photos
from citymap.settings import Settings
from citymap.store import audit, open_store
from citymap.store.engine import FILE as STORE_FILE
from citymap.store.engine import revisions
from citymap.store.geometry import has_geometry
from citymap.workspace import Workspace

Level = Literal["ok", "warning", "failed"]
LIBRARIES = ("numpy", "pyarrow", "rasterio", "pyproj", "shapely", "pyogrio", "starlette", "streamlit",
             "sqlalchemy", "uvicorn")  # fmt: skip
LOW_BYTES, EMPTY_BYTES = 5 << 30, 500 << 20
STALE_S = 24 * 3600.0
RENDERER = Path(__file__).parents[1] / "web" / "static" / "index.html"
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "C:/Windows/Fonts")
FONT_NAMES = (
    "noto",
    "ipa",
    "gothic",
    "meiryo",
    "mincho",
    "takao",
    "vl-",
    "biz",
    "hiragino",
    "msgothic",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `values` fill the texts `doctor.<id>` and `doctor_do.<id>`.

    An error among the values speaks the language of the text.
    """

    id: str
    level: Level
    values: dict[str, Any]

    def message(self, lang: str) -> str:
        """What was found."""
        return t(f"doctor.{self.id}", lang, **self.said(lang))

    def remedy(self, lang: str) -> str:
        """What to do; empty where all is well."""
        return "" if self.level == "ok" else t(f"doctor_do.{self.id}", lang, **self.said(lang))

    def said(self, lang: str) -> dict[str, Any]:
        """The values as the texts take them."""
        return {
            k: v.message(lang).replace("\n", " ") if isinstance(v, CitymapError) else v
            for k, v in self.values.items()
        }

    def as_dict(self, lang: str) -> dict[str, Any]:
        """For `--json`."""
        return {
            "id": self.id, "level": self.level, "values": self.said(lang),
            "message": self.message(lang), "remedy": self.remedy(lang),
        }  # fmt: skip


def _ok(id_: str, **values: object) -> Finding:
    return Finding(id_, "ok", values)


def _bad(id_: str, level: Level = "failed", **values: object) -> Finding:
    return Finding(id_, level, values)


def examine(city: Path | None = None, *, deep: bool = True) -> list[Finding]:
    """Everything; with `deep` every table, tile and page of the store is read."""
    found = [*_environment()]
    try:
        settings = Settings(city=city) if city else Settings()
    except CitymapError as e:
        return [*found, _bad("settings", reason=e)]
    found.append(_ok("settings_fine"))
    found += _fonts()
    if settings.city is None:
        return [*found, _bad("no_city"), *_ports(settings), *_exposed(settings, None)]
    workspace = Workspace(settings.city.resolve())
    try:
        name = workspace.city().name
    except CitymapError as e:
        found.append(_bad("city", reason=e))
        return [*found, *_ports(settings)]
    found.append(_ok("city_fine", name=name, path=str(workspace.root)))
    looks: list[Callable[[], Iterator[Finding]]] = [
        lambda: _disk(workspace), lambda: _clock(workspace), lambda: _leftovers(workspace),
        lambda: _tiles(workspace, deep=deep), lambda: _store(workspace, settings, deep=deep),
        lambda: _photos(workspace, settings), lambda: _ports(settings), lambda: _tls(settings),
        lambda: _exposed(settings, workspace),
    ]  # fmt: skip
    if deep:
        looks.insert(2, lambda: _tables(workspace))
    for look in looks:
        found += look()
    return found


def _environment() -> Iterator[Finding]:
    python = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036  (a copied folder runs on any Python)
        yield _bad("python", version=python)
    versions = {}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            yield _bad("library", name=library)
    listed = ", ".join(f"{k} {v}" for k, v in versions.items())
    yield _ok("versions", citymap=__version__, python=python, system=platform.platform(),
              gdal=rasterio.__gdal_version__, sqlite=sqlite3.sqlite_version, libraries=listed)  # fmt: skip
    yield _ok("renderer_fine") if RENDERER.is_file() else _bad("renderer", path=str(RENDERER))
    yield from _kernels()


def _kernels() -> Iterator[Finding]:
    """Whether the first flood run would have to compile its kernels."""
    from citymap.flood import compiled  # noqa: PLC0415  (pulls in numba)

    place = str(compiled.folder())
    ready = all(compiled.compiled_before(v) for v in compiled.VARIANTS)
    yield _ok("kernels_fine", path=place) if ready else _bad("kernels", "warning", path=place)


def _fonts() -> Iterator[Finding]:
    command = shutil.which("fc-list")
    if command:
        listed = subprocess.run(
            [command, ":lang=ja", "family"], capture_output=True, text=True, check=False, timeout=30
        )
        there = bool(listed.stdout.strip())
    else:
        names = (p.name.lower() for f in FONT_FOLDERS for p in Path(f).rglob("*.[to]t[fc]"))
        there = any(part in name for name in names for part in FONT_NAMES)
    yield _ok("fonts_fine") if there else _bad("fonts", "warning")


def _disk(workspace: Workspace) -> Iterator[Finding]:
    free = shutil.disk_usage(workspace.root).free
    gb = f"{free / 1e9:.1f}"
    if free < EMPTY_BYTES:
        yield _bad("disk", free=gb)
    elif free < LOW_BYTES:
        yield _bad("disk", "warning", free=gb)
    else:
        yield _ok("disk_fine", free=gb)
    if not os.access(workspace.root, os.W_OK) or _mounted_read_only(workspace.root):
        yield _bad("read_only", path=str(workspace.root))


def _mounted_read_only(path: Path) -> bool:
    if not hasattr(os, "statvfs"):
        return False
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _clock(workspace: Workspace) -> Iterator[Finding]:
    """No file of the city can be from the future."""
    newest = max((p.stat().st_mtime for p in workspace.root.iterdir()), default=0.0)
    ahead_h = (newest - time.time()) / 3600
    yield _bad("clock", hours=f"{ahead_h:.0f}") if ahead_h > 1 else _ok("clock_fine")


def _tables(workspace: Workspace) -> Iterator[Finding]:
    """Every page of every table and raster, against the checksums inside the formats."""
    broken, tables, rasters = [], 0, 0
    folders = [
        workspace.root,
        *(p for p in workspace.root.iterdir() if p.is_dir() and p.name != "tiles"),
    ]
    for folder in folders:
        deeper = folder.glob("*") if folder == workspace.root else folder.rglob("*")
        for path in sorted(deeper):
            try:
                if path.suffix == ".parquet":
                    tables += 1
                    for _ in pq.ParquetFile(path, page_checksum_verification=True).iter_batches():
                        pass
                elif path.suffix == ".tif":
                    rasters += 1
                    with rasterio.open(path, driver="GTiff") as source:
                        for _, window in source.block_windows(1):
                            source.read(1, window=window)
            except (OSError, pa.ArrowException, RasterioError, ValueError) as e:
                broken.append(
                    f"{path.relative_to(workspace.root)} ({str(e).splitlines()[0][:120]})"
                )
    if broken:
        yield _bad("tables", files="; ".join(broken))
    else:
        yield _ok("tables_fine", tables=tables, rasters=rasters)


def _leftovers(workspace: Workspace) -> Iterator[Finding]:
    old = [
        p.relative_to(workspace.root).as_posix()
        for pattern in (".*.tmp", "*/.*.tmp", ".backup-*", ".demo-*", "tiles/.building-*")
        for p in workspace.root.glob(pattern)
        if time.time() - p.lstat().st_mtime > STALE_S
    ]
    if old:
        yield _bad("leftovers", "warning", files=", ".join(sorted(old)))


def _tiles(workspace: Workspace, *, deep: bool) -> Iterator[Finding]:
    from citymap.tiles.build import version as tiles_version  # noqa: PLC0415  (pulls in the builder)

    manifest = workspace.tiles / "manifest.json"
    if not manifest.is_file():
        yield _bad("no_tiles", path=str(workspace.root))
        return
    names = [p.name for p in workspace.tiles.iterdir() if p.is_dir() and not p.name.startswith(".")]
    if tiles_version(workspace) not in names:
        yield _bad("tiles_old", "warning")
    broken, seen = [], 0
    for path in workspace.tiles.rglob("*.gz") if deep else ():
        seen += 1
        try:
            with gzip.open(path) as handle:  # the CRC stands at the end
                while handle.read(1 << 20):
                    pass
        except (OSError, EOFError, zlib.error):
            broken.append(path.relative_to(workspace.root).as_posix())
    if broken:
        yield _bad("tiles", files=", ".join(broken[:5]), count=len(broken))
    elif deep:
        yield _ok("tiles_fine", count=seen)


def _store(workspace: Workspace, settings: Settings, *, deep: bool) -> Iterator[Finding]:
    """The SQLite file is read as it lies, without moving its tables forward."""
    if settings.store:
        try:
            store = open_store(settings.store, patience_s=2)
        except CitymapError as e:
            yield _bad("store", reason=e)
            return
        yield _ok("store_fine", place=store.place, revision=store.revision())
        with store.read() as connection:
            spatial = has_geometry(connection)
        yield _ok("geometry_fine") if spatial else _bad("geometry", "warning")
        store.close()
        return
    path = workspace.root / STORE_FILE
    if not path.is_file():
        yield _ok("store_none")
        return
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as plain:
            said = [
                row[0]
                for row in plain.execute(
                    "PRAGMA integrity_check(5)" if deep else "PRAGMA quick_check(5)"
                )
            ]
            if said != ["ok"]:
                yield _bad("store_damaged", reason="; ".join(said)[:300], path=str(path))
                return
            tables = {
                r[0] for r in plain.execute("SELECT name FROM sqlite_master WHERE type='table'")
            }
            if "alembic_version" not in tables:
                if tables:
                    yield _bad("store_half", path=str(path))
                return
            found = [r[0] for r in plain.execute("SELECT version_num FROM alembic_version")]
    except sqlite3.DatabaseError as e:
        yield _bad("store_damaged", reason=str(e), path=str(path))
        return
    known = revisions()
    if len(found) != 1:
        yield _bad("store_half", path=str(path))
        return
    if found[0] not in known:
        yield _bad("store_newer", revision=found[0])
        return
    if found[0] != known[-1]:
        yield _ok("store_behind", revision=found[0], newest=known[-1])
        return
    missing = _missing(path)
    if missing:
        yield _bad("store_half", path=str(path))
        return
    yield _ok("store_fine", place=str(path), revision=found[0])
    store = open_store(workspace)
    at = audit.broken_at(store) if deep else None
    store.close()
    if at is not None:
        yield _bad("audit", number=at)


def _photos(workspace: Workspace, settings: Settings) -> Iterator[Finding]:
    """The S3-compatible server of the photos, tried with an object that is taken away again."""
    bucket = buckets.named(settings)
    if bucket is None:
        return
    about: dict[str, Any] = {
        "place": bucket.place, "waiting": len(photos.waiting(workspace)),
    }  # fmt: skip
    body = os.urandom(16)
    name = f"{hashlib.sha256(body).hexdigest()}.probe"
    try:
        bucket.put(name, body, "application/octet-stream")
        read = bucket.get(name)
        bucket.remove(name)
    except CitymapError as e:
        yield _bad("photos_away", "failed", **about, reason=str(e.values.get("reason", "")))
        return
    if read != body:
        yield _bad("photos_away", "failed", **about, reason="checksum")
        return
    yield _ok("photos_fine", **about)


def _missing(path: Path) -> set[str]:
    """Tables and columns that the newest revision has and this file has not."""
    from citymap.store.tables import METADATA  # noqa: PLC0415

    wanted = {f"{table.name}.{c.name}" for table in METADATA.sorted_tables for c in table.columns}
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as plain:
        there = {
            f"{table.name}.{row[1]}"
            for table in METADATA.sorted_tables
            for row in plain.execute(f'PRAGMA table_info("{table.name}")')
        }
    return wanted - there


def _ports(settings: Settings) -> Iterator[Finding]:
    for name, port in (("port", settings.port), ("staff_port", settings.staff_port)):
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError as e:
                taken = e.errno == 98 or "in use" in str(e)
                yield _bad(
                    "port_used" if taken else "port",
                    "warning",
                    port=port,
                    name=name,
                    reason=e.strerror,
                )
            else:
                yield _ok("port_free", port=port, name=name)


def _tls(settings: Settings) -> Iterator[Finding]:
    if settings.tls_cert is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as e:
        yield _bad("tls", path=str(settings.tls_cert), reason=str(e))
    else:
        yield _ok("tls_fine", path=str(settings.tls_cert))


def _exposed(settings: Settings, workspace: Workspace | None) -> Iterator[Finding]:
    """Open to the network without TLS or without accounts."""
    if settings.host in {"127.0.0.1", "::1", "localhost"} and not settings.trusted_proxy:
        return
    if settings.tls_cert is None and not settings.trusted_proxy:
        yield _bad("no_tls", "warning", host=settings.host)
    if workspace is not None and (settings.store or (workspace.root / STORE_FILE).is_file()):
        from citymap.store import accounts  # noqa: PLC0415

        try:
            store = open_store(settings.store or workspace, patience_s=2)
        except CitymapError:
            return  # said above
        if not accounts.count(store):
            yield _bad("no_accounts", "warning")
        store.close()
