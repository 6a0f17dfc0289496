"""Declared columns of the result files of an evacuation."""

from __future__ import annotations

import pyarrow as pa

from citymap.model.columns import Column, Table

_S, _F = pa.string(), pa.float64()

PEOPLE = Table(
    "evacuation_people",
    (
        Column("person_id", pa.int64(), "number of the person", nullable=False),
        Column("building_id", _S, "home", nullable=False),
        Column("district_id", _S, "町字 of the home"),
        Column("age", _S, "0-14, 15-64, 65-74 or 75+", nullable=False),
        Column("mobility", _S, "adult, child, elderly or impaired", nullable=False),
        Column("household", pa.int64(), "who goes together", nullable=False),
        Column("mode", _S, "foot or car", nullable=False),
        Column("status", _S, "evacuated, vertical, stranded, en_route, waiting or stayed", nullable=False),
        Column("reason", _S, "why stranded: on_link, no_way, road_closed, home_cut_off, no_place, "
               "off_network or stayed_in_water"),
        Column("departure_h", _F, "left home", "h"),
        Column("end_h", _F, "arrived, or got stuck", "h"),
        Column("shelter_id", _S, "shelter reached"),
        Column("distance_m", _F, "way gone", "m"),
        Column("lon", _F, "where in the end", "deg", nullable=False),
        Column("lat", _F, "where in the end", "deg", nullable=False),
    ),
)  # fmt: skip

LINKS = Table(
    "evacuation_links",
    (
        Column("edge_id", pa.int64(), "number of the edge in its source (-1: added by the plan)", nullable=False),
        Column("length_m", _F, "length", "m", nullable=False),
        Column("width_m", _F, "width used", "m", nullable=False),
        Column("bridge", pa.bool_(), "stands above the water", nullable=False),
        Column("underpass", pa.bool_(), "floods first", nullable=False),
        Column("passed", _F, "people who entered, both ways", nullable=False),
        Column("delay_person_h", _F, "time lost in the queue at its ends", "h", nullable=False),
        Column("peak_density_m2", _F, "most people at a time per area", "1/m2", nullable=False),
        Column("stranded", pa.int64(), "people stuck on it", nullable=False),
        Column("closes_h", _F, "closed to adults from; null never", "h"),
        Column("max_depth_m", _F, "deepest water along it", "m", nullable=False),
        Column("geometry", pa.binary(), "centreline"),
    ),
    geometry=("LineString",),
)  # fmt: skip

LEAVE_BY = Table(
    "leave_by",
    (
        Column("building_id", _S, "building", nullable=False),
        Column("mobility", _S, "adult, child, elderly or impaired", nullable=False),
        Column("leave_by_h", _F, "latest safe departure; infinite: never cut off; null: no way even at the start", "h"),
        Column("shelter_id", _S, "shelter of the last way"),
        Column("route_length_m", _F, "length of that way", "m"),
    ),
)  # fmt: skip

STRESS = Table(
    "stress",
    (
        Column("building_id", _S, "home", nullable=False),
        Column("district_id", _S, "町字 of the home"),
        Column("people", pa.int64(), "how many of the home", nullable=False),
        Column("shelter_id", _S, "their place; null: turned away"),
        Column("walk_min", _F, "walk to it", "min"),
    ),
)
