"""Features of CityGML other than buildings, streamed from a file into plain rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely
from lxml import etree

from citymap import crs
from citymap.errors import BadInputError
from citymap.plateau.codelist import Codelists
from citymap.plateau.header import read_header
from citymap.plateau.raw import Skipped
from citymap.plateau.themes import THEMES
from citymap.plateau.vocabulary import family
from citymap.progress import Progress, Quiet

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MEMBERS = ("{*}cityObjectMember", "{*}featureMember")
_RIVER_FOLDER = re.compile(r"^(?:natl|pref)$", re.I)


class FeatureSkippedError(Exception):
    """This feature cannot be used; `reason` is a key, `detail` says more."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class BaseRow:
    """A surface or line of the base map (lon, lat); `theme` names the table."""

    theme: str
    kind: str | None
    kind_code: str | None
    name: str | None
    geometry: shapely.Geometry


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A road centreline of LOD0 (lon, lat)."""

    kind: str | None
    name: str | None
    width_m: float | None
    bridge: bool | None
    tunnel: bool | None
    geometry: shapely.Geometry


@dataclass(frozen=True, slots=True)
class HazardRow:
    """A classed hazard surface; `layer` is the id of the hazard file it belongs to."""

    layer: str
    hazard: str
    name: str | None
    scale: str | None
    admin: str | None
    rank: int | None
    class_code: str | None
    kind: str | None
    elevation_m: float | None
    geometry: shapely.Geometry


Row = BaseRow | LinkRow | HazardRow


@dataclass(slots=True)
class FeatureResult:
    """What one file gave: rows with their gml:id, features left out, and counts.

    `counts["features"]` is the number of features in the file; each is either in `rows` (by
    `gml_id`) or in `skipped`.
    """

    source_file: str
    theme: str
    rows: list[tuple[str, Row]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    warnings: tuple[str, ...] = ()
    bbox: tuple[float, float, float, float] | None = None
    vintage: str | None = None


class Feature:
    """One feature of the file with the ways to ask it; positions come out as lon, lat."""

    def __init__(
        self,
        element: etree._Element,
        path: Path,
        codelists: Codelists,
        *,
        dimension: int,
        epsg: int | None,
    ) -> None:
        self.element = element
        self.path = path
        self.name = etree.QName(element).localname
        self.family = family(etree.QName(element).namespace or "") or ""
        self.line = element.sourceline or 0
        self.gml_id = next(
            (v for k, v in element.attrib.items() if etree.QName(k).localname == "id"), ""
        )
        self._codelists = codelists
        self._dimension = dimension
        self._epsg = epsg

    def text(self, *names: str) -> str | None:
        """Text of the first element of these local names, anywhere in the feature."""
        for name in names:
            for found in self.element.iter(f"{{*}}{name}"):
                value = (found.text or "").strip()
                if value:
                    return value
        return None

    def own(self, *names: str) -> tuple[str | None, str | None]:
        """Code and decoded text of the first direct child with one of these names."""
        for name in names:
            found = self.element.find(f"{{*}}{name}")
            if found is not None and (found.text or "").strip():
                return self.decoded(found)
        return None, None

    def coded(self, *names: str) -> tuple[str | None, str | None]:
        """Code and decoded text of the first element of these names, anywhere in the feature."""
        for name in names:
            for found in self.element.iter(f"{{*}}{name}"):
                if (found.text or "").strip():
                    return self.decoded(found)
        return None, None

    def decoded(self, element: etree._Element) -> tuple[str | None, str | None]:
        """Code and text of an element: without a code space the text is the value itself."""
        value = (element.text or "").strip() or None
        if value is None:
            return None, None
        space = element.get("codeSpace")
        if not space:
            return None, value
        return value, self._codelists.decode(space, value, self.path)

    def label(self) -> str | None:
        """The feature's own gml:name as text."""
        return self.own("name")[1]

    def number(self, *names: str) -> float | None:
        """A number ≥ 0; sentinels and text give None."""
        try:
            value = float(self.text(*names) or "")
        except ValueError:
            return None
        return value if np.isfinite(value) and 0 <= value < 9999 else None

    def generic(self, name: str) -> str | None:
        """Value of a generic attribute of this name."""
        for found in self.element.iter("{*}stringAttribute", "{*}intAttribute", "{*}dateAttribute"):
            if found.get("name") == name:
                value = found.find("{*}value")
                return (value.text or "").strip() or None if value is not None else None
        return None

    def surface(self, *properties: str) -> tuple[shapely.Geometry, float | None]:
        """Union of the polygons of the first property present, and their mean height (None if 0).

        Raises:
            FeatureSkippedError: no such property, or nothing with an area in it.
        """
        return self._outline(self._first(properties))

    def footprint(self) -> shapely.Geometry:
        """The ground that all surfaces of the feature lie over, of whatever level of detail.

        Raises:
            FeatureSkippedError: nothing with an area in it.
        """
        return self._outline(self.element)[0]

    def _outline(self, holder: etree._Element) -> tuple[shapely.Geometry, float | None]:
        pieces: list[shapely.Geometry] = []
        heights: list[float] = []
        lost = 0
        for polygon in holder.iter("{*}Polygon", "{*}PolygonPatch", "{*}Triangle", "{*}Rectangle"):
            rings = self._rings(polygon)
            if not rings or len(rings[0]) < 3:
                lost += 1
                continue
            shape = shapely.Polygon(rings[0][:, :2], [r[:, :2] for r in rings[1:] if len(r) >= 3])
            if not shape.is_valid:
                shape = _areas(shapely.make_valid(shape))
            if shape.is_empty or shape.area == 0:
                lost += 1
                continue
            pieces.append(shape)
            heights.append(float(rings[0][:, 2].mean()))
        if not pieces:
            raise FeatureSkippedError(
                "degenerate_geometry" if lost else "no_geometry", f"{lost} polygons"
            )
        whole = pieces[0] if len(pieces) == 1 else _union(pieces)
        whole = _areas(whole)
        if whole.is_empty:
            raise FeatureSkippedError("degenerate_geometry")
        elevation = float(np.mean(heights)) if any(heights) else None
        return whole, elevation

    def curves(self, *properties: str) -> list[shapely.Geometry]:
        """Lines (lon, lat) of the first property present; empty without one."""
        try:
            holder = self._first(properties)
        except FeatureSkippedError:
            return []
        lines = []
        for element in holder.iter("{*}LineString", "{*}LineStringSegment"):
            points = self._positions(element)
            if len(points) >= 2:
                line = shapely.LineString(points[:, :2])
                if line.length > 0:
                    lines.append(line)
        return lines

    def _first(self, properties: tuple[str, ...]) -> etree._Element:
        for name in properties:
            for child in self.element.iter(f"{{*}}{name}"):
                if len(child):
                    return child
        raise FeatureSkippedError("no_geometry")

    def _rings(self, polygon: etree._Element) -> list[NDArray[np.float64]]:
        rings = []
        for border in polygon:
            if etree.QName(border).localname in (
                "exterior",
                "interior",
                "outerBoundaryIs",
                "innerBoundaryIs",
            ):
                rings.append(self._positions(border))
        return rings

    def _positions(self, holder: etree._Element) -> NDArray[np.float64]:
        """Positions below `holder` as lon, lat, height (n, 3)."""
        words: list[str] = []
        dimension = self._dimension
        for element in holder.iter("{*}posList", "{*}pos"):
            words += (element.text or "").split()
            if element.get("srsDimension"):
                dimension = int(element.get("srsDimension"))
        try:
            numbers = np.array(words, dtype=np.float64)
        except ValueError as e:
            raise FeatureSkippedError("bad_numbers", str(e)[:120]) from e
        if not np.isfinite(numbers).all():
            raise FeatureSkippedError("bad_numbers", "not finite")
        if numbers.size % dimension:
            dimension = 5 - dimension
            if numbers.size % dimension:
                raise FeatureSkippedError("bad_numbers", f"{numbers.size} numbers")
        table = numbers.reshape(-1, dimension)
        lat, lon = table[:, 0], table[:, 1]
        _check_axes(lat, lon)
        if self._epsg in (4301, 4612):
            lon, lat = crs.transformer(self._epsg, crs.GEOGRAPHIC).transform(lon, lat)
        height = table[:, 2] if dimension == 3 else np.zeros(len(table))
        return np.stack([lon, lat, height], axis=1)


def _check_axes(lat: NDArray[np.float64], lon: NDArray[np.float64]) -> None:
    west, south, east, north = crs.JAPAN_LON_LAT
    inside = (lat >= south) & (lat <= north) & (lon >= west) & (lon <= east)
    if inside.all():
        return
    i = int(np.flatnonzero(~inside)[0])
    a, b = float(lat[i]), float(lon[i])
    swapped = south <= b <= north and west <= a <= east
    raise FeatureSkippedError("axis_order" if swapped else "outside_japan", f"{a}, {b}")


def _union(pieces: list[shapely.Geometry]) -> shapely.Geometry:
    try:
        return shapely.union_all(pieces)
    except shapely.errors.GEOSException:
        return shapely.union_all(pieces, grid_size=1e-9)


def _areas(geometry: shapely.Geometry) -> shapely.Geometry:
    """Only the polygons of a geometry, as Polygon or MultiPolygon."""
    if geometry.geom_type in ("Polygon", "MultiPolygon"):
        return geometry
    parts = [p for p in shapely.get_parts(geometry) if p.geom_type in ("Polygon", "MultiPolygon")]
    flat = [q for p in parts for q in shapely.get_parts(p)]
    return flat[0] if len(flat) == 1 else shapely.MultiPolygon(flat)


def iterate(path: Path, codelists: Codelists) -> Iterator[Feature]:
    """The features of a CityGML file, one at a time; a feature is only valid until the next.

    Raises:
        BadInputError: not CityGML, a DTD, or broken XML (with its line).
    """
    header = read_header(path)
    context = etree.iterparse(
        str(path), events=("end",), tag=_MEMBERS, resolve_entities=False, no_network=True,
        load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        for _, member in context:
            for child in member:
                yield Feature(child, path, codelists, dimension=header.dimension, epsg=header.epsg)
            member.clear(keep_tail=False)
            while member.getprevious() is not None:
                del member.getparent()[0]
    except etree.XMLSyntaxError as e:
        raise BadInputError("xml_broken", place=f"{path.name}:{e.lineno}", reason=e.msg) from e


def source_name(path: Path) -> str:
    """What tables record as the file: the path from `udx/` on, else the file's name.

    Flood files of different rivers share their names, so the name alone does not identify one.
    """
    parts = path.parts
    at = max((i for i, p in enumerate(parts[:-1]) if p == "udx"), default=None)
    return path.name if at is None else "/".join(parts[at:])


def read_features(
    path: Path, theme: str, codelists: Codelists, *, source_file: str | None = None,
    progress: Progress | None = None,
) -> FeatureResult:  # fmt: skip
    """Read every feature of a file of `theme`; what cannot be used is listed, never dropped silently.

    Raises:
        BadInputError: the file as a whole cannot be used, or all of its features have their axes
            swapped.
        KeyError: no reader for this theme.
    """
    reader = THEMES.load()[theme]
    progress = progress or Quiet()
    result = FeatureResult(
        source_file or source_name(path), theme, warnings=read_header(path).warnings
    )
    bounds: list[tuple[float, float, float, float]] = []
    for feature in iterate(path, codelists):
        result.counts["features"] += 1
        result.counts[feature.name] += 1
        try:
            rows = list(reader(feature))
            if not rows:
                raise FeatureSkippedError("no_geometry")
        except FeatureSkippedError as e:
            result.skipped.append(
                Skipped(result.source_file, feature.line, feature.gml_id, e.reason, e.detail)
            )
            continue
        for row in rows:
            result.rows.append((feature.gml_id, row))
            bounds.append(row.geometry.bounds)
        result.counts["read"] += 1
        if result.vintage is None:
            result.vintage = feature.text("creationDate", "surveyYear")
        if result.counts["features"] % 500 == 0:
            progress.update(0, 1, f"{theme} {path.name}")
    swapped = [s for s in result.skipped if s.reason == "axis_order"]
    if swapped and not result.rows:
        first, _, second = swapped[0].detail.partition(", ")
        raise BadInputError(
            "axes_swapped", place=f"{path.name}:{swapped[0].line}", first=first, second=second
        )
    if bounds:
        table = np.array(bounds)
        low, high = table[:, :2].min(axis=0), table[:, 2:].max(axis=0)
        result.bbox = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return result


def river_folder(path: Path) -> str | None:
    """Name of the river's folder below `fld/natl` or `fld/pref` (also htd, tnm, … with one)."""
    parts = path.parts
    if "udx" not in parts:
        return None
    inner = parts[len(parts) - parts[::-1].index("udx") + 1 : -1]
    names = [p for p in inner if not _RIVER_FOLDER.match(p)]
    return names[-1] if names else None
