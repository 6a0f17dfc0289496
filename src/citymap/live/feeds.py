"""Where live values come from: one TOML file a feed in `live/feeds/`, and how its tables are read."""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
import unicodedata
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from citymap.errors import BadInputError
from citymap.live.levels import Reading
from citymap.live.stations import number, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from citymap.workspace import Workspace

MAX_BYTES = 8 << 20
MAX_MESSAGE_BYTES = 1 << 20
MAX_NUMBER_LETTERS = 64
MAX_ROWS = 200_000
METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001}
KEY = "@key"  # the station is the key of the JSON object
TOPIC = "@topic."  # the station is this level of the MQTT topic, counted from 0


_TOPIC = re.compile(r"(?:[^+#\x00/]*|\+)(?:/(?:[^+#\x00/]*|\+))*(?:/#)?|#")


class Columns(BaseModel):
    """Names of columns (CSV) or dotted paths (JSON) of the station's id, the moment and the level.

    Of MQTT the station may be a level of the topic (`@topic.1`), and `time` may be empty: the
    message says none, and its arrival counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    station: str = "id"
    time: str = "time"
    value: str = "value"


class Feed(BaseModel):
    """One source: a `url`, files dropped into a `folder`, or `topics` of an MQTT broker (`host`).

    `levels` are tables of water levels in `unit`, moments without a zone in `zone`; `warnings` are
    XML documents of the Meteorological Agency or the Atom feed that lists them. Without a word
    from a feed of warnings for `stale_min` nothing is known of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
    kind: Literal["levels", "warnings", "mqtt"]
    url: str = ""
    folder: Path | None = None
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]*$", max_length=255)] = ""
    port: Annotated[int | None, Field(ge=1, le=65535)] = None
    tls: bool = True
    protocol: Literal["5", "3.1.1"] = "5"
    topics: Annotated[tuple[str, ...], Field(max_length=1000)] = ()
    format: Literal["csv", "json", "number"] = "csv"
    every_min: Annotated[float, Field(ge=0.1, le=1440)] = 5.0
    stale_min: Annotated[float, Field(ge=1, le=10_080)] = 30.0
    unit: Literal["m", "cm", "mm"] = "m"
    zone: str = "Asia/Tokyo"
    items: str = ""
    columns: Columns = Columns()
    areas: tuple[str, ...] = ()
    rivers: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_one_source(self) -> Feed:
        if self.kind == "mqtt":
            if self.url or self.folder is not None or not self.host or not self.topics:
                raise ValueError("mqtt: host and topics, no url, no folder")
            if self.format == "csv":
                raise ValueError("mqtt: format must be json or number")
            if self.format == "number" and not self.columns.station.startswith(TOPIC):
                raise ValueError("number: columns.station must be a level of the topic, @topic.0")
            bad = [t for t in self.topics if not _TOPIC.fullmatch(t) or len(t) > 500]
            if bad:
                raise ValueError(f"no topic: {bad[0][:100]!r}")
            return self
        if self.host or self.topics or self.format == "number":
            raise ValueError('host, topics and number are for kind = "mqtt"')
        if bool(self.url) == (self.folder is not None):
            raise ValueError("one of url, folder")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise ValueError("url must start with https:// or http://")
        return self

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as e:
            raise ValueError("no such time zone") from e
        return name


def folder(workspace: Workspace) -> Path:
    """Where the feeds are described."""
    return workspace.root / "live" / "feeds"


def feeds(workspace: Workspace) -> list[Feed]:
    """All feeds of the city by id.

    Raises:
        BadInputError: a file that describes none.
    """
    found = []
    for path in sorted(folder(workspace).glob("*.toml")):
        try:
            one = Feed.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError, OSError) as e:
            raise BadInputError("bad_feed", place=str(path), reason=e) from e
        if one.id != path.stem:
            raise BadInputError("bad_feed", place=str(path), reason=f"id = {one.id}")
        if one.folder is not None and not one.folder.is_absolute():
            one = one.model_copy(update={"folder": workspace.root / "live" / one.folder})
        found.append(one)
    return found


def readings(feed: Feed, body: bytes) -> list[Reading]:
    """The readings of one answer, in metres; rows without a station or a moment are left out.

    Raises:
        BadInputError: no table at all, or nothing in it that could be read.
    """
    place = feed.id
    if len(body) > MAX_BYTES:
        raise BadInputError("live_too_large", place=place, mb=MAX_BYTES >> 20)
    text = text_of(body, place)
    if text.lstrip()[:1] == "<":
        raise BadInputError("live_no_table", place=place)
    return _readings(feed, _json(feed, text) if feed.format == "json" else _csv(feed, text))


def of_message(feed: Feed, topic: str, body: bytes, arrived: datetime | None) -> list[Reading]:
    """The readings of one MQTT message, in metres.

    `arrived` is when it came, None where the broker had kept it (retained): nobody knows since
    when, so such a value counts only with a time of its own.

    Raises:
        BadInputError: too large, not in the feed's format, retained without a time, or nothing in it.
    """
    place = f"{feed.id} {topic[:200]}"
    if len(body) > MAX_MESSAGE_BYTES:
        raise BadInputError("live_too_large", place=place, mb=MAX_MESSAGE_BYTES >> 20)
    text = text_of(body, place)
    if text.lstrip()[:1] == "<" or (feed.format == "number" and len(text) > MAX_NUMBER_LETTERS):
        raise BadInputError("live_no_table", place=place)
    says_time = feed.format == "json" and bool(feed.columns.time)
    if not says_time and arrived is None:
        raise BadInputError("live_retained", place=place)
    levels = topic.split("/")
    said = feed.columns.station.removeprefix(TOPIC)
    level = int(said) if said != feed.columns.station and said.isdecimal() else None
    name = levels[level] if level is not None and level < len(levels) else ""
    came = "" if says_time or arrived is None else arrived.replace(microsecond=0).isoformat()
    rows = [("", came, text)] if feed.format == "number" else _json(feed, text)
    return _readings(
        feed,
        ((s if level is None else name, t if says_time else came, v) for s, t, v in rows),
        place,
    )


def _readings(feed: Feed, rows: Iterable[Row], place: str = "") -> list[Reading]:
    place = place or feed.id
    zone, metres = ZoneInfo(feed.zone), METRES[feed.unit]
    found, seen = [], 0
    for seen, (station, time, value) in enumerate(rows, 1):
        if seen > MAX_ROWS:
            raise BadInputError("live_too_large", place=place, mb=MAX_BYTES >> 20)
        name = _word(station)
        at = moment(time, zone)
        if not name or at is None:
            continue
        level = number(_word(value))
        found.append(Reading(name[:128], at, None if level is None else round(level * metres, 4)))
    if not found:
        raise BadInputError("live_nothing", place=place, rows=seen)
    return found


def moment(said: object, zone: ZoneInfo) -> datetime | None:
    """A moment as feeds write it: ISO 8601, 2021/08/14 24:00, 202108140840; None where it is none."""
    text = unicodedata.normalize("NFKC", _word(said)).replace("/", "-")
    if re.fullmatch(r"\d{12}(\d\d)?", text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[8:10]}:{text[10:12]}:{text[12:] or '00'}"
    text = re.sub(r"^(\d{4})-(\d)(?=-)", r"\1-0\2", text)
    text = re.sub(r"^(\d{4}-\d\d)-(\d)(?=\D|$)", r"\1-0\2", text)
    text = re.sub(r"([ T])(\d):", r"\g<1>0\2:", text)
    late = re.sub(r"([ T])24:00(:00)?", r"\g<1>00:00\2", text)  # the end of a day
    try:
        at = datetime.fromisoformat(late)
        at = at + timedelta(days=1) if late != text else at
        at = at if at.tzinfo else at.replace(tzinfo=zone)
        at.astimezone(ZoneInfo("UTC"))
    except (ValueError, OverflowError):
        return None
    return at if 1970 < at.year < 9000 and len(text) >= 15 else None


def _word(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()


Row = tuple[object, object, object]


def _csv(feed: Feed, text: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text))
    names = feed.columns
    try:
        heads = [unicodedata.normalize("NFKC", h).strip() for h in next(reader, [])]
        wanted = [
            unicodedata.normalize("NFKC", n) for n in (names.station, names.time, names.value)
        ]
        missing = [n for n in wanted if n not in heads]
        if missing:
            raise BadInputError("live_columns", place=feed.id, missing=", ".join(missing))
        at = [heads.index(n) for n in wanted]
        for row in reader:
            cells = [row[i] if i < len(row) else "" for i in at]
            yield cells[0], cells[1], cells[2]
    except csv.Error as e:
        raise BadInputError("live_no_table", place=feed.id) from e


def _json(feed: Feed, text: str) -> Iterator[Row]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise BadInputError("live_no_table", place=feed.id) from e
    found = _below(said, feed.items) if feed.items else said
    listed: Iterable[tuple[object, Any]]
    if isinstance(found, list):
        listed = ((None, one) for one in found)
    elif isinstance(found, dict) and feed.columns.station == KEY:
        listed = found.items()
    elif isinstance(found, dict):
        listed = [(None, found)]
    else:
        raise BadInputError("live_columns", place=feed.id, missing=feed.items or "[]")
    names = feed.columns
    for key, one in listed:
        station = key if names.station == KEY else _below(one, names.station)
        yield station, _below(one, names.time), _below(one, names.value)


def _below(value: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
