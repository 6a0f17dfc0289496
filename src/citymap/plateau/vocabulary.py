"""The words of CityGML 2.0/3.0 and i-UR 1.4 to 4.0 that the building reader understands."""

from __future__ import annotations

import re

# What an element means to the scanner. LOD properties are LOD_BASE + 10 * lod + LodForm.
NONE, MEMBER, BUILDING, PART, INSTALLATION, IMAGE, SURFACE_BASE = 0, 1, 2, 3, 4, 5, 10
POLYGON, RING, POSLIST, POS, MODEL = 30, 31, 32, 33, 34
LOD_BASE = 100
FORM_FOOTPRINT, FORM_ROOF_EDGE, FORM_SOLID, FORM_SURFACE = 0, 1, 2, 3

# Kinds of surface; the code is the position.
KINDS = (
    "solid", "roof", "wall", "ground", "closure", "outer_ceiling", "outer_floor", "installation",
    "footprint", "roof_edge",
)  # fmt: skip
KIND_SOLID, KIND_ROOF, KIND_WALL, KIND_GROUND = 0, 1, 2, 3
KIND_INSTALLATION, KIND_FOOTPRINT, KIND_ROOF_EDGE = 7, 8, 9

_SURFACES = {
    "RoofSurface": 1, "WallSurface": 2, "GroundSurface": 3, "ClosureSurface": 4,
    "OuterCeilingSurface": 5, "OuterFloorSurface": 6,
}  # fmt: skip


def _vocabulary() -> dict[str, tuple[int, str]]:
    """Local name → (meaning, family of namespaces it must come from)."""
    words: dict[str, tuple[int, str]] = {
        "CityModel": (MODEL, "core"),
        "cityObjectMember": (MEMBER, "core"),
        "Building": (BUILDING, "bldg"),
        "BuildingPart": (PART, "bldg"),
        "BuildingInstallation": (INSTALLATION, "bldg"),
        "imageURI": (IMAGE, "app"),
        "Polygon": (POLYGON, "gml"),
        "PolygonPatch": (POLYGON, "gml"),
        "Triangle": (POLYGON, "gml"),
        "Rectangle": (POLYGON, "gml"),
        "LinearRing": (RING, "gml"),
        "posList": (POSLIST, "gml"),
        "pos": (POS, "gml"),
    }
    for name, kind in _SURFACES.items():
        words[name] = (SURFACE_BASE + kind, "bldg|con")
    words["lod0FootPrint"] = (LOD_BASE + FORM_FOOTPRINT, "bldg")
    words["lod0RoofEdge"] = (LOD_BASE + FORM_ROOF_EDGE, "bldg")
    words["lod0MultiSurface"] = (LOD_BASE + FORM_FOOTPRINT, "core|bldg")
    for lod in (1, 2, 3, 4):
        words[f"lod{lod}Solid"] = (LOD_BASE + 10 * lod + FORM_SOLID, "core|bldg")
        words[f"lod{lod}MultiSurface"] = (LOD_BASE + 10 * lod + FORM_SURFACE, "core|bldg|con")
        words[f"lod{lod}Geometry"] = (LOD_BASE + 10 * lod + FORM_SURFACE, "bldg|core")
    return words


VOCABULARY = _vocabulary()

# Namespace → family. i-UR 1.x lived at kantei.go.jp, later at geospatial.jp.
_FAMILIES = (
    ("core", re.compile(r"http://www\.opengis\.net/citygml/[123]\.0$|http://www\.opengis\.net/citygml/profiles/base/2\.0$")),
    ("bldg", re.compile(r"http://www\.opengis\.net/citygml/building/[123]\.0$")),
    ("con", re.compile(r"http://www\.opengis\.net/citygml/construction/3\.0$")),
    ("gen", re.compile(r"http://www\.opengis\.net/citygml/generics/[123]\.0$")),
    ("app", re.compile(r"http://www\.opengis\.net/citygml/appearance/[123]\.0$")),
    ("gml", re.compile(r"http://www\.opengis\.net/gml(/3\.2)?$")),
    ("xAL", re.compile(r"urn:oasis:names:tc:ciq:(xsdschema:xAL:2\.0|xal:3)$")),
    ("xlink", re.compile(r"http://www\.w3\.org/1999/xlink$")),
    ("uro", re.compile(r".*/(iur/)?uro/\d(\.\d)?$")),
    ("urf", re.compile(r".*/(iur/)?urf/\d(\.\d)?$")),
    ("urc", re.compile(r".*/(iur/)?urc/\d(\.\d)?$")),
)  # fmt: skip


def family(namespace: str) -> str | None:
    """The canonical prefix of a namespace, None when it is foreign."""
    for name, pattern in _FAMILIES:
        if pattern.match(namespace):
            return name
    return None


# Risk attributes of every i-UR generation: the name minus prefixes and suffix.
RISKS = {
    "RiverFloodingRisk": "river_flood",
    "TsunamiRisk": "tsunami",
    "HighTideRisk": "high_tide",
    "InlandFloodingRisk": "inland_flood",
    "ReservoirFloodingRisk": "reservoir_flood",
    "LandSlideRisk": "landslide",
}


def risk_hazard(local_name: str) -> str | None:
    """The hazard of `BuildingRiverFloodingRiskAttribute`, `RiverFloodingRiskAttribute`, …"""
    if not local_name.endswith("RiskAttribute"):
        return None
    stem = local_name.removesuffix("Attribute").removeprefix("Building").removeprefix("WaterBody")
    return RISKS.get(stem, "other")
