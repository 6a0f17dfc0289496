"""Gauges of rivers and of streets: where they stand and from which water level on they mean danger.

The city's list is `live/stations.csv`; `read` takes a prefecture's list as it is published, columns
matched by name, thresholds in metres on the gauge's own scale.
"""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal, get_args

from citymap import crs
from citymap.errors import BadInputError
from citymap.workspace import held, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from citymap.workspace import Workspace

Kind = Literal["river", "inundation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STALE_MIN = 30.0  # gauges report every 10 minutes: three missing reports in a row
MAX_BYTES = 4 << 20
MAX_STATIONS = 5_000
THRESHOLDS = ("standby_m", "caution_m", "evacuation_m", "danger_m")


@dataclass(frozen=True, slots=True)
class Station:
    """One gauge; degrees (JGD2011), levels in metres on its own scale, None where not published.

    `standby_m` 水防団待機水位, `caution_m` 氾濫注意水位, `evacuation_m` 避難判断水位, `danger_m`
    氾濫危険水位. A reading older than `stale_min` minutes says nothing any more.
    """

    station_id: str
    name: str
    river: str = ""
    kind: Kind = "river"
    lon: float | None = None
    lat: float | None = None
    standby_m: float | None = None
    caution_m: float | None = None
    evacuation_m: float | None = None
    danger_m: float | None = None
    stale_min: float = STALE_MIN

    @property
    def thresholds(self) -> dict[str, float]:
        """Those that are published, the lowest first."""
        found = {name: getattr(self, name) for name in THRESHOLDS}
        return {name: value for name, value in found.items() if value is not None}


NAMES: Mapping[str, tuple[str, ...]] = {
    "station_id": ("station_id", "id", "観測所id", "観測所コード", "観測所番号", "局番号"),
    "name": ("name", "観測所名", "観測所", "局名", "名称"),
    "river": ("river", "河川名", "河川"),
    "kind": ("kind", "種別"),
    "lon": ("lon", "経度", "longitude"),
    "lat": ("lat", "緯度", "latitude"),
    "standby_m": ("standby_m", "水防団待機水位", "通報水位"),
    "caution_m": ("caution_m", "氾濫注意水位", "はん濫注意水位", "警戒水位"),
    "evacuation_m": ("evacuation_m", "避難判断水位", "特別警戒水位"),
    "danger_m": ("danger_m", "氾濫危険水位", "はん濫危険水位", "危険水位"),
    "stale_min": ("stale_min",),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list says, and what of it could not be used: (line, station, what)."""

    stations: tuple[Station, ...]
    problems: tuple[tuple[int, str, str], ...] = ()


def path(workspace: Workspace) -> Path:
    """The city's own list."""
    return workspace.root / "live" / "stations.csv"


def stations(workspace: Workspace) -> dict[str, Station]:
    """The gauges of the city by id; none where there is no list.

    Raises:
        BadInputError: the list cannot be read.
    """
    where = path(workspace)
    if not where.is_file():
        return {}
    return {s.station_id: s for s in read(where).stations}


def text_of(body: bytes, place: str) -> str:
    """UTF-8 (with or without BOM), else CP932.

    Raises:
        BadInputError: neither.
    """
    for name in ("utf-8-sig", "cp932"):
        try:
            return body.decode(name)
        except UnicodeDecodeError:
            continue
    raise BadInputError("live_encoding", place=place)


def read(where: Path) -> Listed:
    """A list of gauges in CSV. A row whose levels stand in the wrong order keeps none of them.

    Raises:
        BadInputError: no such file, too large, no text, or no column with names.
    """
    try:
        if where.stat().st_size > MAX_BYTES:
            raise BadInputError("live_too_large", place=str(where), mb=MAX_BYTES >> 20)
        text = text_of(where.read_bytes(), str(where))
    except OSError as e:
        raise BadInputError("not_found", place=str(where), path=where) from e
    try:
        rows = list(csv.reader(io.StringIO(text)))
    except csv.Error as e:
        raise BadInputError("live_no_table", place=str(where)) from e
    heads = [_plain(h) for h in rows[0]] if rows else []
    columns = _columns(heads)
    if "name" not in columns and "station_id" not in columns:
        raise BadInputError("stations_columns", place=str(where))
    degrees = {axis: _dms(heads, word) for axis, word in (("lon", "経度"), ("lat", "緯度"))}
    found, problems = [], []
    for line, row in enumerate(rows[1 : MAX_STATIONS + 1], 2):
        if not any(cell.strip() for cell in row):
            continue
        said = {name: row[i].strip() if i < len(row) else "" for name, i in columns.items()}
        name = said.get("name") or said.get("station_id") or ""
        if not name:
            problems.append((line, "", "no_name"))
            continue
        values: dict[str, float | None] = {n: number(said.get(n, "")) for n in THRESHOLDS}
        for axis, parts in degrees.items():
            values[axis] = number(said.get(axis, "")) if parts is None else _degrees(row, parts)
        known = [values[n] for n in THRESHOLDS if values[n] is not None]
        if known != sorted(known):  # type: ignore[type-var]
            problems.append((line, name, "thresholds_order"))
            values |= dict.fromkeys(THRESHOLDS)
        if not _in_japan(values["lon"], values["lat"]):
            if values["lon"] is not None or values["lat"] is not None:
                problems.append((line, name, "position"))
            values["lon"] = values["lat"] = None
        kind = said.get("kind", "")
        stale = number(said.get("stale_min", ""))
        found.append(
            Station(
                said.get("station_id") or "", name, said.get("river", ""),
                "inundation" if kind == "inundation" else "river",
                stale_min=stale if stale and stale > 0 else STALE_MIN, **values,
            )
        )  # fmt: skip
    return Listed(tuple(found), tuple(problems))


def add(workspace: Workspace, listed: Iterable[Station]) -> tuple[Station, ...]:
    """Join a list to the city's own: by id, else by river and name; what is new wins where it speaks.

    A gauge that has no id gets `river/name`. Returns the whole list as written.
    """
    where = path(workspace)
    with held(where.with_name(".stations.lock"), "stations"):
        known = list(stations(workspace).values())
        for new in listed:
            at = next((i for i, old in enumerate(known) if _same(old, new)), None)
            if at is None:
                given = new.station_id or f"{new.river}/{new.name}"
                known.append(replace(new, station_id=given))
            else:
                known[at] = _joined(known[at], new)
        known.sort(key=lambda s: (s.river, s.name, s.station_id))
        out = io.StringIO()
        names = [f.name for f in fields(Station)]
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        for one in known:
            cells = (getattr(one, n) for n in names)
            writer.writerow(["" if c is None else c for c in cells])
        write_text(where, out.getvalue())
    return tuple(known)


def _same(old: Station, new: Station) -> bool:
    made_up = old.station_id == f"{old.river}/{old.name}"
    if new.station_id and not made_up:
        return old.station_id == new.station_id
    return (old.river, old.name) == (new.river, new.name)


def _joined(old: Station, new: Station) -> Station:
    said = {
        f.name: getattr(new, f.name)
        for f in fields(Station)
        if getattr(new, f.name) not in (None, "") and getattr(new, f.name) != f.default
    }
    return replace(old, **said)


def _in_japan(lon: float | None, lat: float | None) -> bool:
    west, south, east, north = crs.JAPAN_LON_LAT
    return lon is not None and lat is not None and west <= lon <= east and south <= lat <= north


def _plain(text: str) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text)).lower()


def _columns(heads: list[str]) -> dict[str, int]:
    short = [re.sub(r"[(（].*", "", h) for h in heads]
    found: dict[str, int] = {}
    for name, words in NAMES.items():
        at = next((i for w in words for i, h in enumerate(short) if h == w), None)
        if at is not None:
            found[name] = at
    return found


def _dms(heads: list[str], word: str) -> list[int] | None:
    try:
        return [heads.index(f"{word}({part})") for part in ("度", "分", "秒")]
    except ValueError:
        return None


def _degrees(row: list[str], parts: list[int]) -> float | None:
    said = [number(row[i]) if i < len(row) else None for i in parts]
    if said[0] is None:
        return None
    return round(said[0] + (said[1] or 0.0) / 60 + (said[2] or 0.0) / 3600, 6)


def number(text: str) -> float | None:
    """A number as a table says it; None for a dash, a blank or a word."""
    try:
        value = float(unicodedata.normalize("NFKC", text).strip().replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
