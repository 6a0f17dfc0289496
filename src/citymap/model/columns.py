"""Declared columns of every table we write: name, type, unit and meaning.

Geometry columns are WKB; positions are lon, lat in EPSG:6668, heights 標高 (T.P.) in metres.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pyarrow as pa

from citymap.errors import SchemaError


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `nullable` False means that a null is an error."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    """A declared table; `geometry` lists the GeoParquet geometry types, None without geometry."""

    name: str
    columns: tuple[Column, ...]
    geometry: tuple[str, ...] | None = None
    epsg: int = 6668
    extra: dict[str, str] = field(default_factory=dict)

    def schema(self) -> pa.Schema:
        """The Arrow schema."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns])

    def check(self, table: pa.Table) -> None:
        """Raise `SchemaError` unless every declared column is there, of its type, and filled."""
        for c in self.columns:
            if c.name not in table.column_names:
                raise SchemaError("schema", table=self.name, reason=f"no column {c.name}")
            column = table.column(c.name)
            if column.type != c.type:
                try:
                    column.cast(c.type)
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as e:
                    reason = f"{c.name} is {column.type}, declared {c.type}"
                    raise SchemaError("schema", table=self.name, reason=reason) from e
            if not c.nullable and column.null_count:
                raise SchemaError("schema", table=self.name, reason=f"{c.name} has nulls")
        extra = set(table.column_names) - {c.name for c in self.columns}
        if extra:
            raise SchemaError("schema", table=self.name, reason=f"undeclared {sorted(extra)}")


class GEO_TABLES:
    """GeoParquet 1.1 metadata."""

    @staticmethod
    def metadata(
        table: Table, bbox: tuple[float, float, float, float] | None = None
    ) -> dict[bytes, bytes]:
        """The `geo` metadata of a declared table (WKB, column `geometry`)."""
        column: dict[str, object] = {
            "encoding": "WKB", "geometry_types": list(table.geometry or ()), "crs": projjson(table.epsg),
            "edges": "planar",
        }  # fmt: skip
        if bbox is not None:
            column["bbox"] = list(bbox)
        geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
        return {b"geo": json.dumps(geo).encode()}


def projjson(epsg: int) -> object:
    """PROJJSON of an EPSG code, as GeoParquet wants it."""
    from pyproj import CRS  # noqa: PLC0415

    return CRS.from_epsg(epsg).to_json_dict()


_S, _F, _I = pa.string(), pa.float64(), pa.int32()
_WKB = pa.binary()

RISK = pa.struct([
    ("hazard", _S), ("name", _S), ("scale", _S), ("admin", _S), ("rank", _I),
    ("depth_m", _F), ("duration_h", _F),
])  # fmt: skip

BUILDINGS = Table(
    "buildings",
    (
        Column(
            "gml_id",
            _S,
            "gml:id, unique in the city (a collision gets a suffix ~2)",
            nullable=False,
        ),
        Column("building_id", _S, "uro:buildingID, else gml:id", nullable=False),
        Column("class", _S, "bldg:class, decoded"),
        Column("class_code", _S, "bldg:class (3001 ordinary, 3002 solid, 3003/3004 without walls)"),
        Column("usage", _S, "bldg:usage, decoded (several joined by ;)"),
        Column("usage_code", _S, "bldg:usage"),
        Column("structure_code", _S, "uro:buildingStructureType"),
        Column("address", _S, "address as one line"),
        Column("district_id", _S, "町字 that holds the building"),
        Column("name", _S, "gml:name"),
        Column("measured_height_m", _F, "bldg:measuredHeight, else the highest building part", "m"),
        Column("storeys_above", _I, "storeys above ground"),
        Column("storeys_below", _I, "storeys below ground"),
        Column("year_built", _I, "bldg:yearOfConstruction", "year"),
        Column("structure", _S, "uro:buildingStructureType, decoded"),
        Column(
            "footprint_area_m2",
            _F,
            "uro:buildingFootprintArea, else measured on the footprint",
            "m2",
        ),
        Column("total_floor_area_m2", _F, "uro:totalFloorArea", "m2"),
        Column("ground_elevation_m", _F, "lowest vertex of LOD1 (else LOD2), 標高", "m"),
        Column("roof_elevation_m", _F, "highest vertex of LOD1 (else LOD2), 標高", "m"),
        Column("lod", _I, "highest level of detail present"),
        Column("source_file", _S, "file the building came from", nullable=False),
        Column("edition", _S, "year or name of the data set"),
        Column("risks", pa.list_(RISK), "every disaster-risk attribute; none is lost"),
        Column("geometry", _WKB, "footprint"),
    ),
    geometry=("Polygon", "MultiPolygon"),
)

# kind: solid (LOD1 block or LOD2 solid without boundary surfaces), roof, wall, ground, closure,
# outer_ceiling, outer_floor, installation, footprint (LOD0), roof_edge (LOD0)
BUILDING_SURFACES = Table(
    "building_surfaces",
    (
        Column("gml_id", _S, "the building", nullable=False),
        Column("lod", pa.int8(), "0 to 4", nullable=False),
        Column("kind", _S, "solid, roof, wall, ground, closure, outer_ceiling, outer_floor, installation, "
               "footprint or roof_edge", nullable=False),
        Column("geometry", _WKB, "MultiPolygon Z: lon, lat, 標高", "m", nullable=False),
    ),
    geometry=("MultiPolygon Z",),
    epsg=6697,
)  # fmt: skip

BUILDING_ATTRIBUTES = Table(
    "building_attributes",
    (
        Column("gml_id", _S, "the building", nullable=False),
        Column("group", _S, "enclosing element, e.g. uro:BuildingDetailAttribute"),
        Column("item", _I, "number of the group within the building"),
        Column("name", _S, "element, e.g. uro:fireproofStructureType", nullable=False),
        Column("value", _S, "decoded value"),
        Column("code", _S, "code as it stands, where the value has a code list"),
    ),
)

ROADS = Table(
    "roads",
    (
        Column("edge_id", pa.int64(), "number of the edge", nullable=False),
        Column("u", pa.int64(), "start node", nullable=False),
        Column("v", pa.int64(), "end node", nullable=False),
        Column("length_m", _F, "length in the plane-rectangular zone", "m", nullable=False),
        Column("width_m", _F, "carriageway width", "m"),
        Column("kind", _S, "road class, decoded"),
        Column("name", _S, "road name"),
        Column("bridge", pa.bool_(), "on a bridge"),
        Column("tunnel", pa.bool_(), "in a tunnel or underpass"),
        Column("source", _S, "lod0 (network) or lod1-centreline (estimated from the surface)"),
        Column("geometry", _WKB, "centreline"),
    ),
    geometry=("LineString",),
)

# base/<theme>.parquet for theme in: road, rail, water, landuse, green, urban (urf)
BASE = Table(
    "base",
    (
        Column("gml_id", _S, "gml:id"),
        Column("theme", _S, "road, rail, water, landuse, green, urban or bridge", nullable=False),
        Column("kind", _S, "class or function, decoded"),
        Column("kind_code", _S, "its code"),
        Column("name", _S, "name"),
        Column("source_file", _S, "file"),
        Column("geometry", _WKB, "surface (or line)"),
    ),
    geometry=("Polygon", "MultiPolygon", "LineString", "MultiLineString"),
)

DISTRICTS = Table(
    "districts",
    (
        Column("district_id", _S, "町字ID or code", nullable=False),
        Column("name", _S, "町字 name"),
        Column("name_kana", _S, "reading"),
        Column("geometry", _WKB, "extent"),
    ),
    geometry=("Polygon", "MultiPolygon"),
)

ADDRESSES = Table(
    "addresses",
    (
        Column("address", _S, "address as one line", nullable=False),
        Column("lon", _F, "longitude", "deg", nullable=False),
        Column("lat", _F, "latitude", "deg", nullable=False),
        Column("district_id", _S, "町字 that holds it"),
    ),
)

# hazards/<id>.parquet: classed hazard surfaces of PLATEAU fld, tnm, htd, ifld, lsld
HAZARD_SURFACES = Table(
    "hazard_surfaces",
    (
        Column("gml_id", _S, "gml:id"),
        Column(
            "hazard",
            _S,
            "river_flood, tsunami, high_tide, inland_flood or landslide",
            nullable=False,
        ),
        Column("name", _S, "river or description, decoded"),
        Column("scale", _S, "L1 or L2"),
        Column("admin", _S, "who designated it, decoded"),
        Column("rank", _I, "depth rank as published"),
        Column("class_code", _S, "class code as published"),
        Column("kind", _S, "class decoded"),
        Column(
            "elevation_m", _F, "mean 標高 of the water surface; null for ground-level surfaces", "m"
        ),
        Column("source_file", _S, "file"),
        Column("geometry", _WKB, "extent"),
    ),
    geometry=("Polygon", "MultiPolygon"),
)

TABLES = {
    t.name: t
    for t in (
        BUILDINGS,
        BUILDING_SURFACES,
        BUILDING_ATTRIBUTES,
        ROADS,
        BASE,
        DISTRICTS,
        ADDRESSES,
        HAZARD_SURFACES,
    )
}

EXPOSURE = Table(
    "exposure",
    (
        Column("building_id", pa.string(), "building, in the order of buildings.parquet", nullable=False),
        Column("depth_max_m", pa.float64(), "largest depth at the footprint; of a class its upper bound", "m"),
        Column("depth_mean_m", pa.float64(), "area-weighted mean where the grid has a value", "m"),
        Column("duration_h", pa.float64(), "inundation lasts", "h"),
        Column("collapse_flow", pa.bool_(), "in the zone of 氾濫流; null: none was drawn"),
        Column("collapse_erosion", pa.bool_(), "in the zone of 河岸侵食; null: none was drawn"),
        Column("verdict", pa.string(), "leave | unknown | stay_upstairs | outside_assumed_area", nullable=False),
        Column("dry_floor", pa.int16(), "lowest floor above the water, 1 the ground floor"),
        Column("reasons", pa.list_(pa.string()), "codes of citymap.assess.verdict.REASONS", nullable=False),
        Column("hazard", pa.string(), "hazard of the set; in `combined` of the set that decided the verdict"),
        Column("scale", pa.string(), "L1 or L2, where it is known; likewise"),
        Column("arrival_h", pa.float64(), "earliest arrival of the water at the footprint", "h"),
        Column("zones", pa.list_(pa.string()), "codes of citymap.hazard.zones.ZONES: 土砂災害 and tsunami zones"),
        Column("disagrees", pa.bool_(), "sources of the set disagree here: see exposure/<set>.disagreements.csv"),
    ),
)  # fmt: skip
