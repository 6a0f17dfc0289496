"""The Meteorological Agency's disaster XML: river flood forecasts, landslide alerts, warnings of towns."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal

from lxml import etree

from citymap.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from citymap.workspace import Workspace

Kind = Literal["river", "landslide", "area"]
MAX_BYTES = 2 << 20
ATOM = "{http://www.w3.org/2005/Atom}"
# The kinds of documents that are read, by the title in their head.
KINDS: Mapping[str, Kind] = {
    "指定河川洪水予報": "river", "土砂災害警戒情報": "landslide", "気象警報・注意報": "area",
}  # fmt: skip
# In each kind the list that is read: municipalities and rivers, not the prefecture again.
LISTS = {
    "river": "指定河川洪水予報（予報区域）", "landslide": "土砂災害警戒情報",
    "area": "気象警報・注意報（市町村等）",
}  # fmt: skip
UNREAD = -1  # a code that the table does not know
RIVERS = "指定河川洪水予報（河川）"


@dataclass(frozen=True, slots=True)
class Item:
    """What holds for one area: `level` is the 警戒レベル, None lifted, `UNREAD` not known; `name` by today's level names."""

    hazard: str
    area_code: str
    area_name: str
    level: int | None
    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Document:
    """One bulletin. `towns`: codes of municipalities it names; `rivers`: names and codes of rivers."""

    kind: Kind
    status: str
    info_type: str
    reported_at: datetime
    headline: str
    office: str
    items: tuple[Item, ...]
    towns: frozenset[str]
    rivers: frozenset[str]


def tables(workspace: Workspace | None = None) -> dict[str, Any]:
    """Codes and names: the city's own copy where it has one.

    Raises:
        BadInputError: the copy is no TOML.
    """
    own = None if workspace is None else workspace.root / "live" / "jma_levels.toml"
    if own is not None and own.is_file():
        try:
            return tomllib.loads(own.read_text(encoding="utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
            raise BadInputError("bad_feed", place=str(own), reason=e) from e
    return tomllib.loads(files("citymap.live").joinpath("jma_levels.toml").read_text("utf-8"))


def parse(body: bytes, place: str) -> etree._Element:
    """XML without entities, document types or anything from elsewhere.

    Raises:
        BadInputError: too large, no XML, or XML with a document type.
    """
    if len(body) > MAX_BYTES:
        raise BadInputError("live_too_large", place=place, mb=MAX_BYTES >> 20)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as e:
        raise BadInputError("jma_no_xml", place=place) from e
    if root is None or root.getroottree().docinfo.doctype:
        raise BadInputError("jma_no_xml", place=place)
    return root


def is_list(root: etree._Element) -> bool:
    """Whether this is the Atom feed that lists documents."""
    return bool(root.tag == f"{ATOM}feed")


def listed(root: etree._Element) -> list[str]:
    """Addresses of the documents of our kinds in an Atom feed, the oldest first."""
    found = []
    for entry in root.iterfind(f"{ATOM}entry"):
        title = entry.findtext(f"{ATOM}title") or ""
        link = entry.find(f"{ATOM}link")
        href = None if link is None else link.get("href")
        if href and kind_of(title) is not None:
            found.append((entry.findtext(f"{ATOM}updated") or "", href))
    return [href for _, href in sorted(found)]


def kind_of(title: str) -> Kind | None:
    """The kind of a document by its title, whatever year stands behind it in brackets."""
    return next((kind for word, kind in KINDS.items() if title.startswith(word)), None)


def document(root: etree._Element, place: str, table: Mapping[str, Any]) -> Document | None:
    """A bulletin; None where it is of another kind.

    Raises:
        BadInputError: a bulletin of ours without its parts.
    """
    kind = kind_of(_text(root, "./{*}Control/{*}Title"))
    if kind is None:
        return None
    head = root.find("./{*}Head")
    try:
        reported = datetime.fromisoformat(_text(root, "./{*}Head/{*}ReportDateTime"))
    except ValueError as e:
        raise BadInputError("jma_incomplete", place=place) from e
    if head is None or reported.tzinfo is None:
        raise BadInputError("jma_incomplete", place=place)
    items = tuple(_items(head, kind, table, place))
    towns = {
        *(e.text.strip() for e in root.iterfind(".//{*}CityCode") if e.text),
        *(() if kind == "river" else (i.area_code for i in items)),
    }  # fmt: skip
    rivers = set()
    for information in head.iterfind("./{*}Headline/{*}Information"):
        if information.get("type") in (RIVERS, LISTS["river"]):
            for area in information.iterfind(".//{*}Area"):
                rivers |= {_text(area, "./{*}Name"), _text(area, "./{*}Code")}
    return Document(
        kind, _text(root, "./{*}Control/{*}Status"), _text(head, "./{*}InfoType"), reported,
        _text(head, "./{*}Headline/{*}Text"), _text(root, "./{*}Control/{*}PublishingOffice"),
        items, frozenset(towns), frozenset(rivers - {""}),
    )  # fmt: skip


def _items(
    head: etree._Element, kind: Kind, table: Mapping[str, Any], place: str
) -> Iterator[Item]:
    names = table["names"]
    found = False
    for information in head.iterfind("./{*}Headline/{*}Information"):
        if information.get("type") != LISTS[kind]:
            continue
        found = True
        for item in information.iterfind("./{*}Item"):
            said = [
                (_text(k, "./{*}Code"), _text(k, "./{*}Name"), _text(k, "./{*}Condition"))
                for k in item.iterfind("./{*}Kind")
            ]
            for area in item.iterfind("./{*}Areas/{*}Area"):
                code, name = _text(area, "./{*}Code"), _text(area, "./{*}Name")
                for hazard, level, own in _levels(said, kind, table):
                    by_level = names[hazard].get(str(level), "") if level and level > 0 else ""
                    yield Item(hazard, code[:32], name[:128], level, own[:8], by_level)
    if not found:
        raise BadInputError("jma_incomplete", place=place)


def _levels(
    said: list[tuple[str, str, str]], kind: Kind, table: Mapping[str, Any]
) -> Iterator[tuple[str, int | None, str]]:
    """Hazard, level and code. A town's list is whole: a hazard that it does not name is lifted."""
    if kind != "area":
        for code, _, _ in said[:1]:
            level = table[kind].get(code, UNREAD)
            yield ("river_flood" if kind == "river" else "landslide"), level or None, code
        return
    worst: dict[str, tuple[int, str]] = {}
    for code, _, condition in said:
        for hazard, codes in table["area"].items():
            level = codes.get(code)
            if level is None:
                continue
            hazards = [hazard]
            if condition and hazard == "inland_flood":  # 大雨警報 of before 2026 says of what
                hazards = ["landslide"] if "浸水害" not in condition else [hazard]
                hazards += ["landslide"] if "土砂災害" in condition else []
            for each in hazards:
                worst[each] = max(worst.get(each, (0, "")), (level, code))
    for hazard in table["area"]:
        level, code = worst.get(hazard, (0, ""))
        yield hazard, level or None, code


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path) or "").strip()
