"""Assumed inundation (fld, tnm, htd, ifld, rfld) of every i-UR generation."""

from __future__ import annotations

from collections.abc import Iterable

from lxml import etree

from citymap.plateau.features import Feature, FeatureSkippedError, HazardRow, Row, river_folder
from citymap.plateau.themes import THEMES
from citymap.plateau.vocabulary import risk_hazard

_BY_THEME = {
    "fld": "river_flood", "tnm": "tsunami", "htd": "high_tide", "ifld": "inland_flood",
    "rfld": "reservoir_flood",
}  # fmt: skip
_SURFACES = ("lod1MultiSurface", "lod0MultiSurface", "lod1Solid", "lod2MultiSurface")


def slug(text: str) -> str:
    """A piece of a file name: letters (Japanese too), digits, `_`; the rest becomes `-`."""
    kept = "".join(c if c.isalnum() or c == "_" else "-" for c in text)
    return "-".join(p for p in kept.split("-") if p)[:60]


def _risk(feature: Feature) -> etree._Element | None:
    for element in feature.element.iter("{*}*"):
        if risk_hazard(etree.QName(element).localname) is not None and len(element):
            return element
    return None


def _reader(theme: str) -> None:
    @THEMES.register(theme)
    def inundation(feature: Feature) -> Iterable[Row]:
        if feature.name != "WaterBody":
            raise FeatureSkippedError("theme_feature", feature.name)
        shape, elevation_m = feature.surface(*_SURFACES)
        risk = _risk(feature)
        hazard = _BY_THEME[theme]
        if risk is not None:
            known = risk_hazard(etree.QName(risk).localname)
            hazard = known if known is not None and known in _BY_THEME.values() else hazard
        _, text = feature.coded("description")
        name = text or feature.label()
        scale_code, scale_text = feature.coded("scale")
        scale = _scale(scale_code, scale_text, feature.path.name)
        rank_code, rank_text = feature.coded("rank")
        org_code, org_text = feature.coded("rankOrg")
        _, admin = feature.coded("adminType")
        place = river_folder(feature.path) or (text and slug(text)) or ""
        layer = "-".join(p for p in (theme, slug(place), scale or "") if p)
        yield HazardRow(
            layer=layer, hazard=hazard, name=name, scale=scale, admin=admin,
            rank=int(rank_code) if rank_code and rank_code.isdigit() else None,
            class_code=rank_code or org_code, kind=rank_text or org_text,
            elevation_m=elevation_m, geometry=shape,
        )  # fmt: skip


def _scale(code: str | None, text: str | None, file_name: str) -> str | None:
    """L1 (計画規模) or L2 (想定最大規模): by code, else by text, else by the file's name."""
    if code in ("1", "2"):
        return f"L{code}"
    if text and "計画" in text:
        return "L1"
    if text and "最大" in text:
        return "L2"
    lower = file_name.lower()
    return next((s.upper() for s in ("l1", "l2") if f"_{s}_" in lower or f"_{s}." in lower), None)


for _theme in _BY_THEME:
    _reader(_theme)
