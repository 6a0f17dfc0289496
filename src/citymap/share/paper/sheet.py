"""The printed page of a district: head, map, legend, shelters, what to do, credit; HTML for A3 across."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import shapely

from citymap import crs
from citymap.errors import BadInputError
from citymap.hazard.sets import hazard_sets
from citymap.i18n import t
from citymap.share import residents
from citymap.share.doors import Door, declare
from citymap.share.gate import release_table
from citymap.share.paper.drawing import Drawing, fill_of, scale_bar
from citymap.share.paper.frame import Frame
from citymap.share.paper.ground import (
    NOT_SURVEYED,
    SPECIAL_ZONE,
    UNKNOWN_DEPTH,
    ZONE,
    depth_classes,
    ground,
)
from citymap.share.paper.shelters import KINDS, Listed, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from citymap.hazard.sets import HazardSet
    from citymap.layers.catalogue import Audience
    from citymap.share.paper.ground import Ground
    from citymap.workspace import Workspace

LEVELS = (5, 4, 3, 2)
Link = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Links:
    """Where the list of districts leads: `files` is the folder of style and script, the others give
    the address of a district's sheet by its id, of the list by hazard and by language; `all` one
    document of all districts, `home` the residents' page, where there are such."""

    files: str
    district: Link
    hazard: Link
    language: Link
    all: str | None = None
    home: str | None = None


@dataclass(frozen=True, slots=True)
class District:
    """One sheet: its id, name and area in degrees."""

    id: str
    name: str
    area: Any


@dataclass(frozen=True, slots=True)
class Surveyed:
    """The cut of a sheet, the hazard sets that it shows, and what they say of the ground."""

    frame: Frame
    sets: tuple[HazardSet, ...]
    ground: Ground


def districts(workspace: Workspace, audience: Audience = "public") -> list[District]:
    """Those that have a name and an area, by their id."""
    if not workspace.districts.is_file():
        return []
    table = release_table("districts", pq.read_table(workspace.districts), audience)
    shapes = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    rows = zip(table["district_id"].to_pylist(), table["name"].to_pylist(), shapes, strict=True)
    found = [District(str(i), n, s) for i, n, s in rows if n and s is not None and not s.is_empty]
    return sorted(found, key=lambda d: d.id)


def hazards(workspace: Workspace) -> list[str]:
    """The hazards that the city has maps of."""
    return list(dict.fromkeys(s.hazard for s in hazard_sets(workspace)))


def chosen_hazard(workspace: Workspace, asked: str | None) -> str | None:
    """The hazard of a sheet; None where the city has no hazard map at all.

    Raises:
        BadInputError: the city has no map of the hazard that is asked for.
    """
    known = hazards(workspace)
    if asked and asked not in known:
        raise BadInputError("place_hazard", place=asked[:40], known=", ".join(known) or "–")
    return asked or (known[0] if known else None)


def surveyed(workspace: Workspace, district: District, hazard: str | None) -> Surveyed:
    """What the sheets of a district show in any language; the slow part of drawing one."""
    city = workspace.city()
    corners = shapely.get_coordinates(district.area)
    x, y = crs.project(corners[:, 0], corners[:, 1], city.epsg)
    frame = Frame.around(
        (float(x.min()), float(y.min()), float(x.max()), float(y.max())), city.epsg
    )
    sets = [s for s in hazard_sets(workspace) if s.hazard == hazard]
    return Surveyed(frame, tuple(sets), ground(frame, sets))


def sheet(
    workspace: Workspace, district: District, hazard: str | None, *, lang: str, drill: bool,
    audience: Audience = "public", known: Surveyed | None = None,
) -> str:  # fmt: skip
    """The `<section>` of one district. Texts are in `lang` (ja, en); a drill is marked all over it.

    `known` is what `surveyed` found for the same district and hazard.
    """
    city = workspace.city()
    known = known or surveyed(workspace, district, hazard)
    frame, sets, shown = known.frame, known.sets, known.ground
    stand, more = listed(workspace, frame, hazard or "", audience)
    words = residents.words(workspace, lang) or {}
    title = words.get(f"hazard_{hazard}", hazard or t("paper.no_hazard", lang))
    label = t(
        "paper.alt",
        lang,
        name=district.name,
        hazard=title,
        scale=f"{frame.scale:,}",
        count=len(stand),
    )
    drawing = Drawing(workspace, frame, audience)
    drawn = drawing.svg(shown, stand, district.area, label=label)
    name = city.name_en or city.name if lang == "en" else city.name
    mark = escape(t("paper.drill", lang))
    said = f'<p class="drill" role="note">{mark}</p><p class="drill-across" aria-hidden="true">{mark}</p>' if drill else ""  # fmt: skip
    head = (
        f"<header><div><p>{escape(name)}</p><h1>{escape(district.name)}</h1></div>"
        f'<p class="what">{escape(t("paper.title", lang, hazard=title))}</p>{said}</header>'
    )
    return (
        f'<section class="sheet" lang="{lang}" data-district="{escape(district.id, quote=True)}">{head}{drawn}'
        f"<aside>{_legend(shown.classes, shown.collapse_flow, shown.collapse_erosion, frame.scale, lang)}"
        f"{_shelters(stand, more, lang)}{_levels(words, lang)}{_memo(lang)}{_code(lang)}</aside>"
        f"<footer>{escape(_credit(workspace, sets, lang))}</footer></section>"
    )


def page(
    sections: Iterable[str], *, title: str, lang: str, url: str, root: str, files: str, back: str,
    status: str = "",
) -> Iterator[str]:  # fmt: skip
    """The document in pieces. `url` is what the QR codes say ("": `root`, the site that serves it),
    `files` the folder of style and script, `back` the list. `status` is the address of `status.json`
    where the sheets were drawn before anybody could know of a drill: the page then marks them itself.
    """
    asks = (
        f' data-status="{status}" data-drill="{escape(t("paper.drill", lang), quote=True)}"'
        if status
        else ""
    )
    yield (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><link rel="icon" href="data:,"><title>{escape(title)}</title>'
        f'<link rel="stylesheet" href="{files}sheet.css"></head>'
        f'<body data-url="{escape(url, quote=True)}" data-root="{root}"{asks}><nav class="screen"><a href="{back}">{escape(t("paper.back", lang))}</a> '
        f'<button type="button" id="print">{escape(t("paper.print", lang))}</button> <span>{escape(t("paper.how", lang))}</span> '
        f'<span id="local" hidden>{escape(t("paper.local", lang))}</span></nav><main>'
    )
    yield from sections
    yield f'</main><script type="module" src="{files}sheet.js"></script></body></html>'


def index(workspace: Workspace, *, lang: str, hazard: str | None, links: Links) -> str:
    """The list of districts, with the hazard that is drawn."""
    words = residents.words(workspace, lang) or {}
    rows = "".join(
        f'<li><a href="{links.district(d.id)}">{escape(d.name)}</a></li>'
        for d in districts(workspace)
    )
    picks = "".join(
        f'<a href="{links.hazard(h)}"{" aria-current=true" if h == hazard else ""}>{escape(words.get(f"hazard_{h}", h))}</a> '
        for h in hazards(workspace)
    )
    other = "en" if lang == "ja" else "ja"
    body = (
        rows and f'<ul class="list">{rows}</ul>'
    ) or f"<p>{escape(t('paper.no_districts', lang))}</p>"
    home = (
        f'<p><a class="home" href="{links.home}">{escape(words.get("title", ""))}</a></p>'
        if links.home
        else ""
    )
    everything = (
        f'<p><a class="all" href="{links.all}">{escape(t("paper.all", lang))}</a></p>'
        if links.all
        else ""
    )
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><link rel="icon" href="data:,"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(t("paper.index", lang))}</title><link rel="stylesheet" href="{links.files}sheet.css"></head>'
        f'<body class="index"><main>{home}<h1>{escape(t("paper.index", lang))}</h1><p>{escape(t("paper.about", lang))}</p>'
        f'<p class="picks">{picks} <a lang="{other}" href="{links.language(other)}">{"English" if other == "en" else "日本語"}</a></p>'
        f"{everything}{body}</main></body></html>"
    )


def _legend(classes: Any, flow: Any, erosion: Any, scale: int, lang: str) -> str:
    def row(fill: str, text: str, number: str = "") -> str:
        return (
            f'<li><svg viewBox="0 0 12 7" aria-hidden="true"><rect width="12" height="7" fill="{fill}" stroke="#000" stroke-width="0.4"/>'
            f'<text x="6" y="5.2" class="class">{number}</text></svg>{escape(text)}</li>'
        )

    rows = []
    zoned = ZONE in classes or SPECIAL_ZONE in classes
    if not zoned:
        rows += [row(fill_of(k), label[lang], str(k)) for k, label, _ in depth_classes()]
        rows.append(row(fill_of(UNKNOWN_DEPTH), t("paper.unknown_depth", lang)))
    else:
        rows.append(row(fill_of(SPECIAL_ZONE), t("paper.special_zone", lang)))
        rows.append(row(fill_of(ZONE), t("paper.zone", lang)))
    rows.append(row(fill_of(NOT_SURVEYED), t("paper.not_surveyed", lang)))
    rows.append(row("#fbfaf7", t("paper.outside", lang)))
    for areas, name in ((flow, "flow"), (erosion, "erosion")):
        if areas is not None:
            rows.append(row(f"url(#p{name})", t(f"paper.collapse_{name}", lang)))
    if flow is None and not zoned:
        rows.append(f'<li class="wide">{escape(t("paper.collapse_none", lang))}</li>')
    return (
        f"<h2>{escape(t('paper.legend', lang))} <small>1:{scale:,} · {escape(t('paper.at_a3', lang))}</small></h2>"
        f'{scale_bar(scale, t("paper.north", lang))}<ul class="legend">{"".join(rows)}</ul>'
    )


def _shelters(stand: list[Listed], more: int, lang: str) -> str:
    head = "".join(f"<th>{escape(t(f'paper.kind.{k}', lang))}</th>" for k in KINDS)
    rows = []
    for s in stand:
        kinds = "".join(f"<td>{'○' if k in s.designated else ''}</td>" for k in KINDS)
        where = s.place or t(f"paper.wind.{s.wind}", lang, m=f"{s.away_m:,}")
        use = t(f"paper.use.{s.use}", lang, floor=s.dry_floor or "?")
        name = f"{s.name_en} {s.name}" if lang == "en" and s.name_en else s.name
        rows.append(
            f'<tr class="{s.use}"><td>{s.number}</td><th scope="row">{escape(name)}{" <small>Wi-Fi</small>" if s.wifi else ""}'
            f'<em>{escape(use)}</em></th><td class="where">{escape(where)}</td>{kinds}</tr>'
        )
    body = "".join(rows)
    table = (
        f"<table><thead><tr><td></td><th>{escape(t('paper.name', lang))}</th><th>{escape(t('paper.where', lang))}</th>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
    note = t("paper.more", lang, count=more) if more else ""
    return (
        f"<h2>{escape(t('paper.shelters', lang))}</h2>{table if stand else ''}"
        f'<p class="note">{escape(t("paper.shelters_note", lang) if stand else t("paper.shelters_none", lang))} {escape(note)}</p>'
    )


def _levels(words: dict[str, str], lang: str) -> str:
    rows = "".join(
        f'<li class="level{n}">{escape(words.get(f"level_{n}", ""))}</li>' for n in LEVELS
    )
    return f'<h2>{escape(t("paper.levels", lang))}</h2><ul class="levels">{rows}</ul>'


def _memo(lang: str) -> str:
    rows = "".join(
        f"<li>{escape(t(f'paper.memo.{k}', lang))}</li>" for k in ("place", "way", "phone")
    )
    return f'<h2>{escape(t("paper.memo.title", lang))}</h2><ul class="memo">{rows}</ul>'


def _code(lang: str) -> str:
    return (
        f'<div class="code"><div class="qr" data-alt="{escape(t("paper.qr_alt", lang), quote=True)}"></div>'
        f'<p>{escape(t("paper.qr", lang))}<br><span class="url"></span></p></div>'
    )


def _credit(workspace: Workspace, sets: Any, lang: str) -> str:
    city = workspace.city()
    layers = {layer.id: layer.facts for s in sets for layer in s.layers}
    vintages = sorted({str(f["vintage"]) for f in layers.values() if f.get("vintage")})
    said = {str(f["attribution"]) for f in layers.values() if f.get("attribution")}
    rivers = ", ".join(dict.fromkeys(s.name for s in sets if s.name))
    if not city.fictional and any(f.get("source") == "PLATEAU CityGML" for f in layers.values()):
        said.add("国土交通省 Project PLATEAU")
    if city.attribution:
        said.add(city.attribution)
    parts = [
        t("paper.fictional", lang) if city.fictional else "",
        t("paper.rivers", lang, names=rivers) if rivers else "",
        t("paper.vintage", lang, years=", ".join(vintages)) if vintages else t("paper.vintage_unknown", lang),
        t("paper.data", lang, date=residents.newest(workspace).strftime("%Y-%m-%d")),
        t("paper.made", lang, date=datetime.now(UTC).astimezone().strftime("%Y-%m-%d")),
        t("paper.credit", lang, names=" · ".join(sorted(said))) if said else "",
    ]  # fmt: skip
    return " ｜ ".join(p for p in parts if p)


def emitted(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    """Every sheet as it goes out."""
    hazard = chosen_hazard(workspace, None)
    for district in districts(workspace, audience):
        yield sheet(workspace, district, hazard, lang="ja", drill=False, audience=audience).encode()


declare(
    Door(
        "paper maps",
        kinds=("districts", "shelters", "roads", "base_map", "buildings", "hazard"),
        emit=emitted,
    )
)
