"""Pictures of drones and dashcams in bulk: where each was taken, what ground it shows, drafts for staff.

Nothing is decided here: a draft is a report that nobody has confirmed, from the source `images`.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from citymap import crs
from citymap.progress import Progress, Quiet
from citymap.reports import desk, incoming, photos, receive
from citymap.reports.categories import in_force
from citymap.reports.model import ReportError, Sender
from citymap.store.tables import now
from citymap.terrain import raster
from citymap.workspace import replacing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.store import Store
    from citymap.workspace import Workspace

JAPAN = timezone(timedelta(hours=9))
NAMES = uuid.UUID("6f1c1f0e-3a53-4b53-9d0e-2f5c1c0f7a11")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
DIAGONAL_MM = 43.267  # of the 24 × 36 mm frame that a 35 mm equivalent focal length means
FARTHEST_M = 600.0  # a ray that has not met the ground by then sees the horizon
KEPT_SIDE = 2400
MAX_PIXELS = 120_000_000  # of a drone's picture, which is made smaller before it is kept
_HEAD = 512 << 10
_XMP = re.compile(rb"drone-dji:(\w+)\s*(?:=\s*\"|>)\s*([-+]?[0-9.]+)")
SCHEMA = pa.schema(
    [
        ("report_id", pa.string()), ("file", pa.string()), ("taken_at", pa.timestamp("us", "UTC")),
        ("lon", pa.float64()), ("lat", pa.float64()), ("height_m", pa.float64()),
        ("heading_deg", pa.float64()), ("pitch_deg", pa.float64()), ("geometry", pa.binary()),
    ]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: position in degrees (EPSG:6668), angles in degrees.

    `heading_deg` is clockwise from north, `pitch_deg` −90 straight down and 0 level; `height_m` is
    above the ground below the camera, `elevation_m` above the sea where only that is known.
    """

    path: Path
    lon: float
    lat: float
    taken_at: datetime | None
    height_m: float | None
    elevation_m: float | None
    heading_deg: float | None
    pitch_deg: float | None
    focal35_mm: float | None
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """What became of the pictures: drafts made, those that were there, and why others were not taken."""

    drafts: int
    known: int
    skipped: tuple[tuple[str, str], ...]
    footprints: int


def shot(path: Path) -> Shot:
    """Read where and how a picture was taken.

    Raises:
        ReportError: it is no picture, or has no position.
    """
    try:
        with _opened(path) as picture:
            exif, (width, height) = picture.getexif(), picture.size
        gps, more = exif.get_ifd(ExifTags.IFD.GPSInfo), exif.get_ifd(ExifTags.IFD.Exif)
        with path.open("rb") as handle:
            xmp = {k.decode(): float(v) for k, v in _XMP.findall(handle.read(_HEAD))}
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
    ) as e:
        raise ReportError("photo_broken") from e
    lat, lon = _degrees(gps, 2, 1, "S"), _degrees(gps, 4, 3, "W")
    if lat is None or lon is None or (lat == 0 and lon == 0):
        raise ReportError("image_no_position")
    focal = more.get(0xA405)
    return Shot(
        path, lon, lat, _taken(exif, more), xmp.get("RelativeAltitude"),
        xmp.get("AbsoluteAltitude", _number(gps.get(6))),
        xmp.get("GimbalYawDegree", _number(gps.get(17))), xmp.get("GimbalPitchDegree"),
        float(focal) if isinstance(focal, int) and focal > 0 else None, width, height,
    )  # fmt: skip


@contextmanager
def _opened(source: Path | io.BytesIO) -> Iterator[Image.Image]:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # large pictures are expected here; `MAX_PIXELS` is the limit
        with Image.open(source, formats=["JPEG", "PNG", "WEBP"]) as picture:
            yield picture


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return found if math.isfinite(found) else None


def _degrees(gps: Mapping[int, Any], value: int, side: int, negative: str) -> float | None:
    try:
        d, m, s = (float(part) for part in gps[value])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    found = d + m / 60 + s / 3600
    return None if not math.isfinite(found) else -found if gps.get(side) == negative else found


def _taken(exif: Image.Exif, more: Mapping[int, Any]) -> datetime | None:
    """Cameras write local time; without an offset it is taken as Japan's."""
    text, offset = more.get(0x9003) or exif.get(0x0132), more.get(0x9011)
    try:
        found = datetime.strptime(str(text), "%Y:%m:%d %H:%M:%S")
        if isinstance(offset, str) and re.fullmatch(r"[+-]\d\d:\d\d", offset):
            return datetime.fromisoformat(found.isoformat() + offset).astimezone(UTC)
        return found.replace(tzinfo=JAPAN).astimezone(UTC)
    except ValueError:
        return None


def rays(one: Shot) -> NDArray[np.float64] | None:
    """Directions (east, north, up; unit length) of the four corners of a picture, clockwise from the
    upper left; None where its angles or its lens are not known.

    The camera looks along `heading_deg` and `pitch_deg`; a gimbal keeps the horizon level.
    """
    if one.heading_deg is None or one.pitch_deg is None or one.focal35_mm is None:
        return None
    diagonal = math.hypot(one.width, one.height)
    half_x = DIAGONAL_MM / 2 * one.width / diagonal / one.focal35_mm
    half_y = DIAGONAL_MM / 2 * one.height / diagonal / one.focal35_mm
    yaw, pitch = math.radians(one.heading_deg), math.radians(one.pitch_deg)
    level = np.array([math.sin(yaw), math.cos(yaw), 0.0])
    ahead = level * math.cos(pitch) + np.array([0.0, 0.0, math.sin(pitch)])
    right = np.array([math.cos(yaw), -math.sin(yaw), 0.0])
    up = np.cross(right, ahead)
    corners = [(-1, 1), (1, 1), (1, -1), (-1, -1)]
    found = np.array([ahead + x * half_x * right + y * half_y * up for x, y in corners])
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def footprint(one: Shot, *, terrain: Path | None, epsg: int) -> shapely.Polygon | None:
    """The ground that a picture shows (lon, lat), on the terrain where there is one, else level.

    None where the camera looks over the horizon, or its height or angles are not known. The height
    of a drone above its start is taken as above the ground below it: an estimate.
    """
    directions = rays(one)
    if directions is None:
        return None
    x, y = (float(v) for v in crs.project(one.lon, one.lat, epsg))
    ground = _ground(terrain, [one.lon], [one.lat])[0]
    if one.height_m is not None:
        camera = ground + one.height_m
    elif one.elevation_m is not None and terrain is not None:
        camera = one.elevation_m
    else:
        return None
    if camera - ground < 1 or (directions[:, 2] > -0.05).any():
        return None
    at = np.full(4, ground)
    for _ in range(12):  # walk along each ray to the height of the ground found below its end
        far = (camera - at) / -directions[:, 2]
        east, north = x + far * directions[:, 0], y + far * directions[:, 1]
        lon, lat = crs.unproject(east, north, epsg)
        at = 0.5 * at + 0.5 * _ground(terrain, lon, lat, otherwise=ground)
    if (far > FARTHEST_M).any():
        return None
    return shapely.Polygon(np.column_stack([lon, lat]))


def _ground(
    terrain: Path | None, lon: Any, lat: Any, *, otherwise: float = 0.0
) -> NDArray[np.float64]:
    if terrain is None or not terrain.is_file():
        return np.full(len(lon), otherwise)
    found = raster.sample(terrain, lon, lat)
    return np.where(np.isfinite(found), found, otherwise)


def files(sources: Sequence[Path]) -> Iterator[Path]:
    """The pictures below folders, and the files that are named, in the order of their names."""
    for source in sources:
        if source.is_dir():
            yield from sorted(
                p for p in source.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
            )
        else:
            yield source


def gather(
    store: Store,
    workspace: Workspace,
    sources: Sequence[Path],
    *,
    by: str,
    category: str = "other",
    progress: Progress | None = None,
    names: Mapping[Path, str] | None = None,
) -> Gathered:
    """Make a draft of each picture that has a position in the city, and the layer of footprints.

    The same picture again is the same draft. `names` says what people call a file that has another
    name on the disk. `live/images.parquet` holds points and footprints.

    Raises:
        ReportError: there is no such category.
        StoreError: the store cannot be written.
    """
    listed, city, progress = in_force(workspace), workspace.city(), progress or Quiet()
    if category not in listed.by_code():
        raise ReportError("report_category")
    rows: list[dict[str, Any]] = []
    skipped: list[tuple[str, str]] = []
    drafts = known = 0
    found = list(files(sources))
    for number, path in enumerate(found):
        called = (names or {}).get(path, path.name)
        progress.update(number, len(found), called)
        try:
            one = shot(path)
            raw = path.read_bytes()
            report_id = str(uuid.uuid5(NAMES, hashlib.sha256(raw).hexdigest()))
            data: dict[str, Any] = {
                "id": report_id, "category": category, "lon": one.lon, "lat": one.lat,
                "position_source": "photo", "text": called,
            }  # fmt: skip
            at = now()
            if one.taken_at is not None and at - incoming.OLDEST < one.taken_at <= at:
                data["observed_at"] = one.taken_at.isoformat()
            kept = photos.check(_smaller(raw))
            report = incoming.read(
                data, photos=[kept.sent_sha256], catalogue=listed, bbox=city.bbox, at=at
            )
            if desk.found(store, report_id) is not None:
                known += 1
            else:
                sender = Sender(by, "public", "images")
                receive.accept(store, workspace, report, [kept], sender=sender, at=at)
                drafts += 1
        except (ReportError, OSError) as error:
            key = error.key if isinstance(error, ReportError) else "photo_broken"
            skipped.append((called, key))
            continue
        ground = footprint(one, terrain=workspace.terrain, epsg=city.epsg)
        shape = ground if ground is not None else shapely.Point(one.lon, one.lat)
        rows.append(
            {
                "report_id": report_id, "file": called, "taken_at": one.taken_at, "lon": one.lon,
                "lat": one.lat, "height_m": one.height_m, "heading_deg": one.heading_deg,
                "pitch_deg": one.pitch_deg, "geometry": shapely.to_wkb(shape),
            }
        )  # fmt: skip
    progress.update(len(found), len(found), "")
    _keep(workspace, rows)
    areas = sum(shapely.get_type_id(shapely.from_wkb(r["geometry"])) == 3 for r in rows)
    return Gathered(drafts, known, tuple(skipped), areas)


def path_of(workspace: Workspace) -> Path:
    """Where points and footprints lie."""
    return workspace.root / "live" / "images.parquet"


def _keep(workspace: Workspace, rows: list[dict[str, Any]]) -> None:
    path = path_of(workspace)
    before = pq.read_table(path).to_pylist() if path.is_file() else []
    new = {row["report_id"] for row in rows}
    merged = [row for row in before if row["report_id"] not in new] + rows
    if merged:
        with replacing(path) as temporary:
            pq.write_table(pa.Table.from_pylist(merged, schema=SCHEMA), temporary)


def footprint_of(workspace: Workspace, report_id: str) -> shapely.Polygon | None:
    """The ground that the picture of a draft shows."""
    path = path_of(workspace)
    if not path.is_file():
        return None
    table = pq.read_table(path, filters=[("report_id", "=", report_id)])
    shape = shapely.from_wkb(table["geometry"][0].as_py()) if table.num_rows else None
    return shape if isinstance(shape, shapely.Polygon) else None


def _smaller(raw: bytes) -> bytes:
    """A large picture as staff need it: upright, 2400 px, without metadata."""
    with _opened(io.BytesIO(raw)) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise ReportError("photo_bomb", limit=MAX_PIXELS // 1_000_000)
        if len(raw) <= photos.MAX_BYTES // 4 and max(picture.size) <= KEPT_SIDE:
            return raw
        picture.draft("RGB", (KEPT_SIDE, KEPT_SIDE))
        upright = ImageOps.exif_transpose(picture).convert("RGB")
        upright.thumbnail((KEPT_SIDE, KEPT_SIDE))
        out = io.BytesIO()
        upright.save(out, "JPEG", quality=85)
        return out.getvalue()
