"""What a request for features asks, read strictly, and the rows that answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from citymap.errors import BadInputError
from citymap.share.ogc import cql2, crs_uri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from citymap.share.ogc.collection import Collection

DEFAULT_LIMIT, MAX_LIMIT = 10, 10_000
FILTER_LANGUAGES = ("cql2-text", "cql2-json")
KNOWN = frozenset(
    {"f", "lang", "limit", "offset", "bbox", "bbox-crs", "crs", "datetime", "filter", "filter-lang",
     "filter-crs"}
)  # fmt: skip
Interval = tuple[datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class Query:
    """A request for a page of features; `bbox` is a shape in lon, lat (EPSG:6668)."""

    limit: int = DEFAULT_LIMIT
    offset: int = 0
    crs: str = crs_uri.CRS84
    bbox: Any = None
    datetime: Interval | None = None
    filter: Any = None
    filter_crs: str = crs_uri.CRS84
    equal: tuple[tuple[str, str], ...] = ()


def _wrong(name: str, value: str) -> BadInputError:
    return BadInputError("ogc_parameter", place=name, value=value[:100])


def number(given: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number, not below `low`; above `high` it is `high`.

    Raises:
        BadInputError: it is no such number.
    """
    text = given.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16) or int(text) < low:
        raise _wrong(name, text)
    return min(int(text), high)


def crs_of(given: Mapping[str, str], name: str, offered: list[str]) -> str:
    """A coordinate system that is offered; CRS84 where none is named.

    Raises:
        BadInputError: it is not offered.
    """
    found = crs_uri.canonical(given[name]) if name in given else crs_uri.CRS84
    if found not in offered:
        raise _wrong(name, given[name])
    return found


def box(given: Mapping[str, str], offered: list[str]) -> Any:
    """The shape of `bbox` (4 or 6 numbers) in lon, lat; None without.

    Raises:
        BadInputError: not a box.
    """
    text = given.get("bbox")
    identifier = crs_of(given, "bbox-crs", offered)
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as e:
        raise _wrong("bbox", text) from e
    if len(numbers) == 6:
        numbers = [numbers[i] for i in (0, 1, 3, 4)]
    if len(numbers) != 4 or not np.isfinite(numbers).all():
        raise _wrong("bbox", text)
    first = 1 if crs_uri.north_first(identifier) else 0  # the axis that points east
    upside_down = numbers[1 - first] > numbers[3 - first]
    degrees = crs_uri.epsg_of(identifier) not in {3857, *range(6669, 6688)}
    if upside_down or (not degrees and numbers[first] > numbers[first + 2]):
        raise _wrong("bbox", text)
    return crs_uri.area((numbers[0], numbers[1], numbers[2], numbers[3]), identifier)


def interval(text: str | None) -> Interval | None:
    """`datetime`: an instant, or begin/end with `..` or nothing for an open one.

    Raises:
        BadInputError: neither.
    """
    if text is None:
        return None
    parts = text.split("/")
    if len(parts) > 2 or (len(parts) == 2 and all(p in {"", ".."} for p in parts)):
        raise _wrong("datetime", text)
    try:
        ends = [None if p in {"", ".."} and len(parts) == 2 else cql2.instant(p) for p in parts]
    except BadInputError as e:
        raise _wrong("datetime", text) from e
    start, end = ends[0], ends[-1]
    if start is not None and end is not None and start > end:
        raise _wrong("datetime", text)
    if len(parts[-1]) == 10 and end is not None:  # a day lasts until its end
        end = end.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return start, end


def read(given: Mapping[str, str], collection: Collection, offered: list[str]) -> Query:
    """A query from the parameters of a request.

    Raises:
        BadInputError: a parameter that nobody knows, or a value that cannot be.
    """
    equal = []
    for name, value in given.items():
        if name in KNOWN:
            continue
        if name not in collection.table.column_names or name in collection.nested:
            raise BadInputError("ogc_unknown_parameter", place=name[:100])
        equal.append((name, value))
    language = given.get("filter-lang", "cql2-text")
    if language not in FILTER_LANGUAGES:
        raise _wrong("filter-lang", language)
    filter_crs = crs_of(given, "filter-crs", offered)
    return Query(
        limit=number(given, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT),
        offset=number(given, "offset", 0, 0, 10**12),
        crs=crs_of(given, "crs", offered),
        bbox=box(given, offered),
        datetime=interval(given.get("datetime")),
        filter=cql2.read(given["filter"], language) if "filter" in given else None,
        filter_crs=filter_crs,
        equal=tuple(equal),
    )


def matched(collection: Collection, query: Query) -> NDArray[np.intp]:
    """The numbers of all rows that match, in the order of the table.

    A feature without a place is in no box; one without a time is at any time.

    Raises:
        BadInputError: the filter does not fit the collection.
    """
    keep = np.ones(collection.count, bool)
    if query.bbox is not None:
        keep &= _touching(collection, query.bbox)
    if query.datetime is not None and collection.times is not None:
        keep &= _in_time(collection, query.datetime)
    for name, value in query.equal:
        keep &= _equal(collection, name, value)
    if query.filter is not None:
        keep &= cql2.chosen(query.filter, collection, query.filter_crs)
    return np.flatnonzero(keep)


def _touching(collection: Collection, shape: Any) -> NDArray[np.bool_]:
    west, south, east, north = shapely.bounds(shape)
    b = collection.bounds
    with np.errstate(invalid="ignore"):
        near = (b[:, 0] <= east) & (b[:, 2] >= west) & (b[:, 1] <= north) & (b[:, 3] >= south)
        inside = (b[:, 0] >= west) & (b[:, 2] <= east) & (b[:, 1] >= south) & (b[:, 3] <= north)
    if not _is_box(shape):
        inside[:] = False
    edge = np.flatnonzero(near & ~inside)
    if len(edge):
        shapely.prepare(shape)
        near[edge] = shapely.intersects(shape, collection.shapes(edge))
    return np.asarray(near, bool)


def _is_box(shape: Any) -> bool:
    return bool(shapely.equals(shape, shapely.box(*shapely.bounds(shape)))) if shape.area else False


def _in_time(collection: Collection, wanted: Interval) -> NDArray[np.bool_]:
    begin_name, end_name = collection.times or ("", None)
    begin = cql2.as_instants(collection.table[begin_name].combine_chunks())
    end = cql2.as_instants(collection.table[end_name].combine_chunks()) if end_name else begin
    keep = np.ones(collection.count, bool)
    kind = pa.timestamp("us", "UTC")
    if wanted[1] is not None:
        keep &= _true(pc.less_equal(begin, pa.scalar(wanted[1], kind)))
    if wanted[0] is not None:
        keep &= _true(pc.greater_equal(end, pa.scalar(wanted[0], kind)))
    return keep


def _true(found: Any) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(found, True).to_numpy(zero_copy_only=False), bool)


def _equal(collection: Collection, name: str, value: str) -> NDArray[np.bool_]:
    column = collection.table[name].combine_chunks()
    try:
        wanted = pa.array([value]).cast(column.type)[0]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
        raise _wrong(name, value) from e
    found = pc.fill_null(pc.equal(column, wanted), False)
    return np.asarray(found.to_numpy(zero_copy_only=False), bool)
