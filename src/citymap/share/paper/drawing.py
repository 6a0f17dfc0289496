"""The map of a sheet as SVG, in millimetres: ground, hazard, buildings, roads, names, shelters, grid."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import shapely

from citymap.share.gate import release_table
from citymap.share.paper.frame import COLUMNS, HEIGHT_MM, ROWS, WIDTH_MM, bar_m
from citymap.share.paper.ground import (
    NOT_SURVEYED,
    SPECIAL_ZONE,
    UNKNOWN_DEPTH,
    ZONE,
    depth_classes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.layers.catalogue import Audience
    from citymap.share.paper.frame import Frame
    from citymap.share.paper.ground import Ground
    from citymap.share.paper.shelters import Listed
    from citymap.workspace import Workspace

EDGE_MM = 6.0  # around the map, for the letters and numbers of the grid
PAGE_WIDTH_MM, PAGE_HEIGHT_MM = WIDTH_MM + 2 * EDGE_MM, HEIGHT_MM + 2 * EDGE_MM
SIMPLE_MM = 0.08
BUILDINGS_TO = 10_000  # a smaller scale draws no single buildings
LANES_TO = 15_000
NUMBERED_MM2 = 120.0  # an area this large bears the number of its class
WIDE_M = 9.0
MARKS = {"usable": "#0017c1", "upper_floors": "#0017c1", "must_not": "#b10000"}  # else grey
PATTERNS = f"""<defs>
<pattern id="p{NOT_SURVEYED}" width="3" height="3" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="3" height="3" fill="#fff"/><path d="M0 0V3" stroke="#55585e" stroke-width="0.7"/></pattern>
<pattern id="p{UNKNOWN_DEPTH}" width="2.4" height="2.4" patternUnits="userSpaceOnUse"><rect width="2.4" height="2.4" fill="#ffe9d9"/><circle cx="1.2" cy="1.2" r="0.5" fill="#b10000"/></pattern>
<pattern id="p{ZONE}" width="3" height="3" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect width="3" height="3" fill="#fff3b0"/><path d="M0 0V3" stroke="#b78f00" stroke-width="0.5"/></pattern>
<pattern id="p{SPECIAL_ZONE}" width="2" height="2" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect width="2" height="2" fill="#ffc9c9"/><path d="M0 0V2" stroke="#b10000" stroke-width="0.7"/></pattern>
<pattern id="pflow" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><path d="M0 0V4" stroke="#96004f" stroke-width="0.8"/></pattern>
<pattern id="perosion" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><path d="M0 0V4" stroke="#8a3b00" stroke-width="0.8"/></pattern>
<clipPath id="inside"><rect width="{WIDTH_MM:g}" height="{HEIGHT_MM:g}"/></clipPath>
</defs>"""


def fill_of(number: int) -> str:
    """The paint of a class: the official colour, or a pattern."""
    for k, _, colour in depth_classes():
        if k == number:
            return "#{:02x}{:02x}{:02x}".format(*colour)
    return f"url(#p{number})"


def path_of(shapes: Iterable[Any]) -> str:
    """SVG path data of lines and areas in mm, cut at the edge of the map, to a tenth of a mm."""
    flat = np.array([s for s in shapes if s is not None and not s.is_empty], object)
    if not len(flat):
        return ""
    cut = shapely.clip_by_rect(
        shapely.simplify(flat, SIMPLE_MM), -1, -1, WIDTH_MM + 1, HEIGHT_MM + 1
    )
    parts = shapely.normalize(
        shapely.get_parts(cut)
    )  # holes turn the other way: all fills are nonzero
    parts = parts[~shapely.is_empty(parts)]
    kind = shapely.get_type_id(parts)
    rings = shapely.get_rings(parts[kind == 3])
    lines = parts[(kind == 1) | (kind == 2)]
    out = []
    for line, close in (*((r, "Z") for r in rings), *((one, "") for one in lines)):
        at = np.round(shapely.get_coordinates(line), 1)
        if close:
            at = at[:-1]
        if len(at) >= 2:
            out.append("M" + "L".join(f"{x:g} {y:g}" for x, y in at.tolist()) + close)
    return "".join(out)


class Drawing:
    """Draws one sheet of a city for an audience."""

    def __init__(self, workspace: Workspace, frame: Frame, audience: Audience = "public") -> None:
        self._workspace = workspace
        self._frame = frame
        self._audience = audience

    def svg(self, ground: Ground, shelters: Sequence[Listed], district: Any, *, label: str) -> str:
        """The whole map. `district` is its area in degrees, `label` what a screen reader says."""
        w, h = PAGE_WIDTH_MM, PAGE_HEIGHT_MM
        return (
            f'<svg class="map" viewBox="0 0 {w:g} {h:g}" role="img" aria-label="{escape(label, quote=True)}">{PATTERNS}'
            f'<g transform="translate({EDGE_MM:g} {EDGE_MM:g})"><rect width="{WIDTH_MM:g}" height="{HEIGHT_MM:g}" fill="#fbfaf7"/>'
            f'<g clip-path="url(#inside)">{self._below(ground)}{self._built()}{self._ways()}'
            f"{self._collapse(ground)}{self._district(district)}{_lines()}{_numbers(ground)}{self._names(shelters)}{_marks(shelters)}</g>"
            f'<rect width="{WIDTH_MM:g}" height="{HEIGHT_MM:g}" fill="none" stroke="#000" stroke-width="0.5"/>{_letters()}'
            "</g></svg>"
        )

    def _shapes(
        self, path: Path, kind: str, columns: Sequence[str] = ()
    ) -> tuple[NDArray[Any], Any]:
        """Shapes in mm that touch the sheet, and the columns of their rows."""
        nothing = np.empty(0, object)
        if not path.is_file():
            return nothing, None
        names = pq.read_schema(path).names
        table = pq.read_table(path, columns=[c for c in (*columns, "geometry") if c in names])
        table = release_table(kind, table, self._audience)
        if "geometry" not in table.column_names:
            return nothing, None
        shapes = shapely.force_2d(
            shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
        )
        near = np.flatnonzero(shapely.intersects(shapes, shapely.box(*self._frame.bbox)))
        return self._on_paper(shapes[near]), table.take(near)

    def _on_paper(self, shapes: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(shapely.transform(shapes, self._frame.of_lon_lat), object)

    def _below(self, ground: Ground) -> str:
        out = []
        for number, areas in sorted(ground.classes.items()):
            out.append(f'<path d="{path_of(areas)}" fill="{fill_of(number)}"/>')
        water, _ = self._shapes(self._workspace.base / "water.parquet", "base_map")
        flat = shapely.get_dimensions(water)
        out.append(f'<path d="{path_of(water[flat == 2])}" fill="#9cc3e0"/>')
        out.append(
            f'<path d="{path_of(water[flat == 1])}" fill="none" stroke="#9cc3e0" stroke-width="0.5"/>'
        )
        return "".join(out)

    def _built(self) -> str:
        if self._frame.scale > BUILDINGS_TO:
            return ""
        shapes, _ = self._shapes(self._workspace.buildings, "buildings")
        return f'<path d="{path_of(shapes)}" fill="#8a857c" fill-opacity="0.5" stroke="#6b675f" stroke-width="0.1"/>'

    def _ways(self) -> str:
        shapes, table = self._shapes(self._workspace.roads, "roads", ("width_m", "name"))
        out = []
        if table is not None:
            wide = np.zeros(len(shapes), bool)
            if "width_m" in table.column_names:
                wide = np.nan_to_num(table["width_m"].to_numpy().astype(float)) >= WIDE_M
            per = 1000 / self._frame.scale
            if self._frame.scale <= LANES_TO or not wide.any():
                lanes, px = path_of(shapes[~wide]), min(2.0, max(0.35, 4 * per))
                out.append(_road(lanes, px + 0.3, "#a9a59b") + _road(lanes, px, "#fff"))
            avenues, px = path_of(shapes[wide]), min(4.0, max(0.9, WIDE_M * per))
            out.append(_road(avenues, px + 0.4, "#77736a") + _road(avenues, px, "#fff"))
        rail, _ = self._shapes(self._workspace.base / "rail.parquet", "base_map")
        line = path_of(shapely.boundary(s) if shapely.get_dimensions(s) == 2 else s for s in rail)
        out.append(_road(line, 1.1, "#33363c") + f'<path d="{line}" class="rail"/>')
        return "".join(out)

    def _collapse(self, ground: Ground) -> str:
        out = []
        for name, areas in (("flow", ground.collapse_flow), ("erosion", ground.collapse_erosion)):
            if areas is not None and len(areas):
                colour = {"flow": "#96004f", "erosion": "#8a3b00"}[name]
                out.append(
                    f'<path d="{path_of(areas)}" fill="url(#p{name})" stroke="{colour}" stroke-width="0.6"/>'
                )
        return "".join(out)

    def _district(self, district: Any) -> str:
        others, _ = self._shapes(self._workspace.districts, "districts")
        borders = path_of(shapely.boundary(others))
        line = path_of(self._on_paper(np.array([shapely.force_2d(district)], object)))
        return (
            f'<path d="{borders}" fill="none" stroke="#33363c" stroke-width="0.35" stroke-dasharray="1.6 1"/>'
            f'<path d="{line}" fill="none" stroke="#fff" stroke-width="2.2" stroke-opacity="0.8"/>'
            f'<path d="{line}" fill="none" stroke="#000" stroke-width="1" stroke-dasharray="6 1.6 1.2 1.6"/>'
        )

    def _names(self, shelters: Sequence[Listed]) -> str:
        """Names of shelters and districts; one that would lie over another moves or is left out."""
        write = _Writer([(*s.at, 5.0, 4.5) for s in shelters if s.place])
        for s in shelters:
            half = 1.8 * len(s.name)
            if s.place:
                x, y = s.at
                write(
                    s.name,
                    half,
                    "place",
                    [(x, y + 9), (x, y - 6), (x + half + 6, y + 1), (x - half - 6, y + 1)],
                )
        shapes, table = self._shapes(self._workspace.districts, "districts", ("name",))
        page = shapely.box(0, 0, WIDTH_MM, HEIGHT_MM)
        for shape, name in zip(
            shapes, [] if table is None else table["name"].to_pylist(), strict=True
        ):
            here = shapely.intersection(shapely.make_valid(shape), page)
            if name and not here.is_empty:
                at = shapely.point_on_surface(here)
                write(
                    name, 2.8 * len(name), "name", [(at.x, at.y + dy) for dy in (0, 9, -9, 18, -18)]
                )
        return "".join(write.out)


class _Writer:
    """Places names where nothing stands yet."""

    def __init__(self, taken: list[tuple[float, float, float, float]]) -> None:
        self._taken = taken
        self.out: list[str] = []

    def __call__(self, text: str, half: float, look: str, tried: list[tuple[float, float]]) -> None:
        for wished_x, wished_y in tried:
            x = min(WIDTH_MM - half, max(half, wished_x))
            y = min(HEIGHT_MM - 3, max(6.0, wished_y))
            if all(
                abs(x - tx) > half + tw or abs(y - 1.5 - ty) > 3.0 + th
                for tx, ty, tw, th in self._taken
            ):
                self._taken.append((x, y - 1.5, half, 3.0))
                self.out.append(
                    f'<text x="{x:.1f}" y="{y:.1f}" class="{look}">{escape(text)}</text>'
                )
                return


def _numbers(ground: Ground) -> str:
    """The number of its class on every large area, so that colour is not all that tells."""
    out = []
    for number, areas in sorted(ground.classes.items()):
        for area in areas if number <= len(depth_classes()) else ():
            for part in shapely.get_parts(_cut(area)):
                if part.area >= NUMBERED_MM2:
                    at = shapely.point_on_surface(part)
                    out.append(
                        f'<text x="{at.x:.1f}" y="{at.y + 1.8:.1f}" class="class">{number}</text>'
                    )
    return "".join(out)


def _cut(area: Any) -> Any:
    """A large area in pieces, so that its number stands more than once."""
    west, south, east, north = area.bounds
    tiles = [
        shapely.box(x, y, x + 72, y + 72)
        for x in np.arange(west, east, 72.0) for y in np.arange(south, north, 72.0)
    ]  # fmt: skip
    return shapely.GeometryCollection([p for p in shapely.intersection(area, tiles) if p.area])


def _road(path: str, width: float, colour: str) -> str:
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:.2f}" stroke-linecap="round" stroke-linejoin="round"/>'


def _lines() -> str:
    across = "".join(f"M{WIDTH_MM * k / COLUMNS:.2f} 0V{HEIGHT_MM:g}" for k in range(1, COLUMNS))
    down = "".join(f"M0 {HEIGHT_MM * k / ROWS:.2f}H{WIDTH_MM:g}" for k in range(1, ROWS))
    return f'<path d="{across}{down}" fill="none" stroke="#000" stroke-opacity="0.35" stroke-width="0.18"/>'


def _letters() -> str:
    out = []
    for k in range(COLUMNS):
        x = WIDTH_MM * (k + 0.5) / COLUMNS
        out += [(x, -1.6, chr(ord("A") + k)), (x, HEIGHT_MM + 4.6, chr(ord("A") + k))]
    for k in range(ROWS):
        y = HEIGHT_MM * (k + 0.5) / ROWS + 1.5
        out += [(-3.2, y, str(k + 1)), (WIDTH_MM + 3.2, y, str(k + 1))]
    return "".join(f'<text x="{x:.1f}" y="{y:.1f}" class="ref">{text}</text>' for x, y, text in out)


def _marks(shelters: Sequence[Listed]) -> str:
    out = []
    for s in shelters:
        if not s.place:
            continue
        x, y = s.at
        colour = MARKS.get(s.use, "#4d4f55")
        shape = {
            "upper_floors": f'<path d="M{x:.1f} {y - 4.2:.1f}l4.2 7.4h-8.4z"/>',
            "must_not": f'<rect x="{x - 3.2:.1f}" y="{y - 3.2:.1f}" width="6.4" height="6.4"/>',
        }.get(s.use, f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.4"/>')
        light = " light" if s.use in {"usable", "upper_floors"} else ""
        hollow = s.use not in {"usable", "upper_floors"}
        look = f'fill="{"#fff" if hollow else colour}" stroke="{colour if hollow else "#fff"}" stroke-width="0.7"'
        cross = f'<path d="M{x - 3.2:.1f} {y - 3.2:.1f}l6.4 6.4m0 -6.4l-6.4 6.4" stroke="{colour}" stroke-width="0.5"/>' if s.use == "must_not" else ""  # fmt: skip
        out.append(
            f'<g {look}>{shape}{cross}</g><text x="{x:.1f}" y="{y + 1.5:.1f}" class="mark{light}">{s.number}</text>'
        )
    return "".join(out)


def scale_bar(scale: int, north: str) -> str:
    """The scale bar in its true length with the arrow beside it, for the panel: nothing covers the map."""
    metres = bar_m(scale)
    long = metres * 1000 / scale
    text = "".join(
        f'<text x="{4 + long * f:.2f}" y="4" class="bar">{_metres(metres * f)}</text>'
        for f in (0, 0.5, 1)
    )
    return (
        f'<svg class="bar" viewBox="0 0 100 9" aria-hidden="true">{text}'
        f'<rect x="4" y="5.2" width="{long:.2f}" height="1.6" fill="#fff" stroke="#000" stroke-width="0.25"/>'
        f'<rect x="4" y="5.2" width="{long / 2:.2f}" height="1.6" fill="#000"/>'
        f'<path d="M93 0l3.2 9-3.2-2.2-3.2 2.2z" fill="#000"/><text x="98" y="8" class="bar">{escape(north)}</text></svg>'
    )


def _metres(value: float) -> str:
    return f"{value / 1000:g} km" if value >= 1000 else f"{value:g} m" if value else "0"
