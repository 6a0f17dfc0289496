"""What stands before the first cityObjectMember: namespaces, CRS, and whether the file is sane."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from citymap.errors import BadInputError
from citymap.plateau.vocabulary import family

HEADER_LIMIT = 1 << 20
_MEMBER = re.compile(
    rb"<(?:([A-Za-z_][\w.-]*):)?(cityObjectMember|featureMember|appearanceMember)[\s>]"
)
_CRS = re.compile(r"EPSG(?:/0/|::?|/)(\d+)|#(\d+)$")


@dataclass(frozen=True, slots=True)
class Header:
    """The root of a CityGML file.

    `prefixes` maps the file's prefixes to canonical ones; `dimension` is 2 or 3; `end` is the
    offset of the first member (or of the file's end); `member` is its qualified name.
    """

    path: Path
    prefixes: dict[str, str]
    root: bytes
    member: bytes
    end: int
    epsg: int | None
    dimension: int
    citygml: str
    iur: str
    warnings: tuple[str, ...] = ()
    utf8: bool = True


def hardened_parser(**options: object) -> etree.XMLParser:
    """An lxml parser that loads no DTD, no entity and nothing from the network."""
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, **options
    )  # fmt: skip


def _line(data: bytes, offset: int) -> int:
    return data.count(b"\n", 0, offset) + 1


def read_header(path: Path) -> Header:
    """Read the root element and the envelope.

    Raises:
        BadInputError: the file is not XML, not CityGML, or declares a DTD or entities.
    """
    with path.open("rb") as handle:
        data = handle.read(HEADER_LIMIT)
    place = str(path.name)
    if not data.strip():
        raise BadInputError("file_empty", place=place)
    head = data.lstrip(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"version https://git-lfs"):
        raise BadInputError("file_lfs", place=place)
    if head.startswith(b"PK\x03\x04"):
        raise BadInputError("not_xml_zip", place=place)
    if head[:200].lower().startswith((b"<!doctype html", b"<html")):
        raise BadInputError("not_xml_html", place=place)
    if not head.startswith((b"<", b"\xff\xfe", b"\xfe\xff")):
        raise BadInputError(
            "not_xml", place=f"{place}:1", found=repr(head[:20].decode("utf-8", "replace"))
        )
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        at = max(data.find(b"<!DOCTYPE"), data.find(b"<!ENTITY"))
        raise BadInputError("xml_dtd", place=f"{place}:{_line(data, at)}")
    match = _MEMBER.search(data)
    end = match.start() if match else len(data)
    parser = etree.XMLPullParser(
        events=("start",), resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    root: etree._Element | None = None
    srs = dimension = None
    utf8 = not re.search(rb"""encoding=["'](?!utf-?8)[^"']+["']""", data[:200], re.I)
    try:
        parser.feed(data[:end])
        for _, element in parser.read_events():
            if root is None:
                root = element
            if etree.QName(element).localname == "Envelope" and srs is None:
                srs = element.get("srsName")
                dimension = element.get("srsDimension")
    except etree.XMLSyntaxError as e:
        line = e.lineno or 1
        if root is None:
            raise BadInputError("xml_broken", place=f"{place}:{line}", reason=e.msg) from e
    if root is None:
        raise BadInputError("xml_broken", place=f"{place}:1", reason="no root element")
    name = etree.QName(root)
    if name.localname != "CityModel" or family(name.namespace or "") != "core":
        raise BadInputError("not_citygml", place=place, root=name.localname)
    prefixes = {
        (prefix or ""): canonical
        for prefix, uri in root.nsmap.items()
        if (canonical := family(uri)) is not None
    }
    iur = next((u.rsplit("/", 1)[-1] for u in root.nsmap.values() if family(u) == "uro"), "")
    warnings: list[str] = []
    epsg: int | None = None
    found = _CRS.search(srs or "")
    if found:
        epsg = int(found[1] or found[2])
    if epsg == 669:  # a published file is cut short
        warnings.append("crs_cut")
        epsg = 6697
    elif epsg in (4326, 4979):
        warnings.append("crs_wgs84")
    elif epsg in (4301, 4612):
        warnings.append("crs_old_datum")
    elif epsg is None:
        warnings.append("crs_missing")
    elif epsg not in (6697, 6668):
        raise BadInputError("crs_unsupported", place=place, crs=srs)
    return Header(
        path=path, prefixes=prefixes, root=_root_tag(data, end), member=match[0][1:-1] if match else b"",
        end=end, epsg=epsg, dimension=2 if dimension == "2" else 3,
        citygml=(name.namespace or "").rsplit("/", 1)[-1], iur=iur, warnings=tuple(warnings), utf8=utf8,
    )  # fmt: skip


def _root_tag(data: bytes, end: int) -> bytes:
    """The start tag of the root element as it stands."""
    match = re.search(rb"<(?:[\w.-]+:)?CityModel\b(?:[^>\"']|\"[^\"]*\"|'[^']*')*>", data[:end])
    return match[0] if match else b""
