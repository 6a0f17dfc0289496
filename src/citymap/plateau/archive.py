"""What SRC holds: folders, zips and single files → a list of source files with their theme."""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from citymap.errors import BadInputError
from citymap.progress import Progress

MAX_MEMBERS = 500_000
MAX_TOTAL_BYTES = 200 << 30
MAX_NESTED = 1  # zips in a zip (GSI packs its DEMs so); deeper is refused
MAX_RATIO = 200  # of the whole archive; a PLATEAU city packs about 20 to 1
RATIO_FREE_BYTES = 256 << 20  # below this a high ratio harms nobody

THEMES = frozenset(
    [
        "bldg",
        "ubld",
        "dem",
        "tran",
        "rwy",
        "trk",
        "squr",
        "wwy",
        "brid",
        "tun",
        "frn",
        "veg",
        "wtr",
        "luse",
        "urf",
        "lsld",
        "fld",
        "tnm",
        "htd",
        "ifld",
        "rfld",
        "area",
        "app",
        "unf",
        "gen",
        "cons",
    ]
)
_UDX = re.compile(r"(?:^|/)udx/([a-z]+)/", re.I)
_NAMED = re.compile(r"^(\d{4,11})_([a-z]+)_(\d{3,4})?", re.I)
_FOLDER = re.compile(r"(?:^|/)(\d{5,6})_([A-Za-z][\w-]*?)_(?:(?:city|pref)_)?(\d{4})_citygml")
_SUFFIXES = {
    ".csv": "csv", ".tif": "geotiff", ".tiff": "geotiff", ".geojson": "geojson", ".json": "geojson",
    ".nc": "netcdf", ".shp": "shapefile", ".gpkg": "geopackage", ".fgb": "flatgeobuf", ".kml": "kml", ".parquet": "geoparquet",
}  # fmt: skip
_TILE = re.compile(r"/\d{1,2}/\d{1,7}/\d{1,7}\.png$")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to import. `name` is what tables record; `root` is the data set's root folder."""

    path: Path
    name: str
    theme: str
    size: int
    mesh: str | None = None
    crs: int | None = None
    root: Path | None = None
    city_code: str | None = None
    city_name: str | None = None
    edition: str | None = None


def discover(sources: Sequence[Path], unpack_to: Path, *, progress: Progress) -> list[SourceFile]:
    """List what can be imported; zips are unpacked below `unpack_to` (once, by content).

    Raises:
        BadInputError: a zip is broken, a bomb, or names paths outside itself.
    """
    found: list[SourceFile] = []
    for source in sources:
        found += _discover(source, unpack_to, progress, depth=0)
    unique: dict[Path, SourceFile] = {f.path: f for f in found}
    return sorted(unique.values(), key=lambda f: (f.theme, str(f.path)))


def _discover(source: Path, unpack_to: Path, progress: Progress, depth: int) -> list[SourceFile]:
    if source.is_file() and zipfile.is_zipfile(source) and source.suffix.lower() in (".zip", ""):
        folder = unpack(source, unpack_to, progress=progress)
        return _discover(folder, unpack_to, progress, depth + 1)
    if source.is_file():
        described = describe(source, source.parent)
        return [described] if described else []
    found: list[SourceFile] = []
    for path in sorted(source.rglob("*")):
        if path.is_symlink() or not path.is_file() or _hidden(path.relative_to(source)):
            continue
        if path.suffix.lower() == ".zip":
            if depth > MAX_NESTED:
                raise BadInputError("zip_nested", place=path.name)
            found += _discover(path, unpack_to, progress, depth + 1)
            continue
        described = describe(path, source)
        if described is not None:
            found.append(described)
    return found


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def describe(path: Path, top: Path) -> SourceFile | None:
    """Theme and origin of one file by its folder and name; None for what is never imported."""
    text = path.as_posix()
    suffix = path.suffix.lower()
    parents = {p.lower() for p in path.parts}
    if (
        "codelists" in parents
        or "schemas" in parents
        or "metadata" in parents
        or "specification" in parents
    ):
        return None
    udx, named, folder = _UDX.search(text), _NAMED.match(path.name), None
    for match in _FOLDER.finditer(text):
        folder = match
    if suffix in (".gml", ".xml"):
        if udx and udx[1].lower() in THEMES:
            theme = udx[1].lower()
        elif named and named[2].lower() in THEMES:
            theme = named[2].lower()
        else:
            theme = _sniff(path)
            if theme is None and suffix == ".xml":
                return None
            theme = theme or "unknown"
    elif suffix in _SUFFIXES:
        theme = _SUFFIXES[suffix]
    elif _TILE.search(text):
        theme = "png-tile"
    else:
        return None
    return SourceFile(
        path=path, name=_name(path, top), theme=theme, size=path.stat().st_size,
        mesh=named[1] if named else None,
        crs=int(named[3]) if named and named[3] else None,
        root=_root(path, top),
        city_code=folder[1] if folder else None, city_name=folder[2] if folder else None,
        edition=folder[3] if folder else None,
    )  # fmt: skip


def _name(path: Path, top: Path) -> str:
    """What tables call the file: its path from `udx/` on, else its bare name."""
    parts = path.parts
    if "udx" in parts:
        at = len(parts) - 1 - parts[::-1].index("udx")
        return "/".join(parts[at:])
    del top
    return path.name


def _root(path: Path, top: Path) -> Path:
    """The data set's root: the folder that holds udx/ or codelists/, else the folder named in SRC."""
    for parent in path.parents:
        if (parent / "udx").is_dir() or (parent / "codelists").is_dir():
            return parent
        if parent == top:
            break
    return top


_CONTENT = (
    (b"bldg:Building", "bldg"), (b"<Building", "bldg"), (b"dem:ReliefFeature", "dem"), (b"tran:Road", "tran"),
    (b"luse:LandUse", "luse"), (b"wtr:WaterBody", "fld"), (b"urf:", "urf"), (b"brid:Bridge", "brid"),
    (b"fgd.gsi.go.jp", "fg-gml"), (b"CityModel", "gen"),
)  # fmt: skip


def _sniff(path: Path) -> str | None:
    """Theme by the first features of the file; None when it is no GML at all."""
    with path.open("rb") as handle:
        head = handle.read(1 << 18)
    body = head.partition(b"Member")[2] or head
    for needle, theme in _CONTENT:
        if needle in body or (needle in head and theme in ("fg-gml", "gen")):
            return theme
    return None


def _sha(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _decoded(info: zipfile.ZipInfo) -> str:
    """A name without the UTF-8 flag: UTF-8 where it is valid, else CP932 as Japanese Windows writes."""
    for encoding in ("utf-8", "cp932"):
        try:
            return info.orig_filename.encode("cp437").decode(encoding)
        except (UnicodeEncodeError, UnicodeDecodeError):
            continue
    return info.filename


def _names(archive: zipfile.ZipFile) -> Iterable[tuple[zipfile.ZipInfo, str]]:
    """Members with their names; CP932 where the archive does not say UTF-8."""
    for info in archive.infolist():
        name = info.filename
        if not info.flag_bits & 0x800:
            name = _decoded(info)
        yield info, name.replace("\\", "/")


def unpack(
    path: Path, below: Path, *, progress: Progress, max_total: int = MAX_TOTAL_BYTES
) -> Path:
    """Unpack a zip into a folder named by its content; a finished one is taken as it is.

    Raises:
        BadInputError: not a zip, encrypted, a path that leaves the folder, a link, or a bomb.
    """
    place = path.name
    target = below / _sha(path)[:16]
    if (target / ".complete").exists():
        return target
    shutil.rmtree(target, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as archive:
            members = list(_names(archive))
            _check(members, path, max_total)
            total = sum(i.file_size for i, _ in members) or 1
            done = 0
            for info, name in members:
                if name.endswith("/"):
                    continue
                out = target / name
                out.parent.mkdir(parents=True, exist_ok=True)
                written = 0
                with archive.open(info) as source, out.open("wb") as sink:
                    while block := source.read(1 << 20):
                        written += len(block)
                        if written > info.file_size:
                            raise BadInputError("zip_bomb", place=place, ratio="∞", limit=MAX_RATIO)
                        sink.write(block)
                done += info.file_size
                progress.update(done, total, f"unzip {place}")
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as e:
        shutil.rmtree(target, ignore_errors=True)
        raise BadInputError("zip_broken", place=place, reason=e) from e
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    target.mkdir(parents=True, exist_ok=True)
    (target / ".complete").touch()
    return target


def _check(members: list[tuple[zipfile.ZipInfo, str]], path: Path, max_total: int) -> None:
    total = sum(i.file_size for i, _ in members)
    packed = max(path.stat().st_size, 1)
    if (
        len(members) > MAX_MEMBERS
        or total > max_total
        or (total > RATIO_FREE_BYTES and total / packed > MAX_RATIO)
    ):
        raise BadInputError("zip_bomb", place=path.name, ratio=total // packed, limit=MAX_RATIO)
    free = shutil.disk_usage(path.parent).free
    if total > free:
        raise BadInputError("zip_no_space", place=path.name, gigabytes=round(total / 1e9, 1))
    for info, name in members:
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or ":" in parts[0] or "\0" in name:
            raise BadInputError("zip_unsafe_path", place=path.name, member=name)
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadInputError("zip_unsafe_path", place=path.name, member=name)
        if info.flag_bits & 0x1:
            raise BadInputError("zip_encrypted", place=path.name)
