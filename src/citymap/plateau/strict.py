"""The strict reader: lxml, one cityObjectMember at a time; judge of everything unusual.

It keeps the good members of a broken file and lists the others with line and reason. The tables it
makes are the same as the scanner's: tests compare the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from lxml import etree

from citymap.plateau import _kernels as k
from citymap.plateau import vocabulary as v
from citymap.plateau.header import Header, hardened_parser
from citymap.plateau.raw import RawTables, Skipped

BATCH_MEMBERS = 500
MEMBER_LIMIT = 256 << 20
_GML_ID = ("{http://www.opengis.net/gml}id", "{http://www.opengis.net/gml/3.2}id")
_HREF = "{http://www.w3.org/1999/xlink}href"
_ID = re.compile(rb"""gml:id=["']([^"']+)["']""")


@dataclass(slots=True)
class _Tables:
    """Lists that grow while members are read."""

    text: bytearray = field(default_factory=bytearray)
    names: dict[str, int] = field(default_factory=dict)
    buildings: list[list[int]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    leaves: list[list[int]] = field(default_factory=list)
    polygons: list[list[int]] = field(default_factory=list)
    polygon_hash: list[int] = field(default_factory=list)
    rings: list[int] = field(default_factory=list)
    coords: list[tuple[float, float, float]] = field(default_factory=list)
    hrefs: list[list[int]] = field(default_factory=list)
    href_hash: list[int] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    serial: int = 0

    def put(self, text: str) -> tuple[int, int]:
        start = len(self.text)
        # entities are resolved by lxml; escape once more because the assembler unescapes
        self.text += text.replace("&", "&amp;").encode()
        return start, len(self.text)

    def name(self, text: str) -> int:
        return self.names.setdefault(text, len(self.names))


def _hash(text: str) -> int:
    raw = np.frombuffer(text.encode() or b"", np.uint8)
    return int(k.hash_bytes(raw, 0, raw.size))


@dataclass(slots=True)
class _Context:
    """What encloses the element under the walk."""

    part: int = 0
    lod: int = -1
    form: int = 0
    kind: int = 0
    installation: bool = False
    polygon: bool = False


class _Walker:
    """Reads one Building element into the tables."""

    def __init__(self, tables: _Tables, dimension: int) -> None:
        self.t = tables
        self.dimension = dimension
        self.parts = 0
        self.bad = False

    def canonical(self, element: etree._Element) -> tuple[str, int]:
        q = etree.QName(element)
        family = v.family(q.namespace or "") or (element.prefix or "")
        meaning, families = v.VOCABULARY.get(q.localname, (0, ""))
        return f"{family}:{q.localname}", meaning if family in families.split("|") else 0

    def building(self, element: etree._Element, line: int) -> None:
        t = self.t
        gml_id = next((element.get(a) for a in _GML_ID if element.get(a)), None)
        start, end = t.put(gml_id) if gml_id else (0, 0)
        t.buildings.append([start, -1, start, end])
        t.lines.append(line)
        self.parts = 0
        t.serial += 1
        me = (t.name(self.canonical(element)[0]), t.serial, 0, 0)
        self.children(element, _Context(), me, (-1, -1, 0, 0))

    def children(
        self, element: etree._Element, c: _Context,
        me: tuple[int, int, int, int], parent: tuple[int, int, int, int],
    ) -> None:  # fmt: skip
        for child in element:
            if isinstance(child.tag, str):
                self.visit(child, c, me, parent)

    def visit(
        self, e: etree._Element, c: _Context,
        parent: tuple[int, int, int, int], grand: tuple[int, int, int, int],
    ) -> None:  # fmt: skip
        t = self.t
        name, meaning = self.canonical(e)
        t.serial += 1
        label = e.get("name")
        a0, a1 = t.put(label) if label else (0, 0)
        me = (t.name(name), t.serial, a0, a1)
        href = e.get(_HREF)
        if href and href.startswith("#") and c.lod >= 0:
            named = c.kind > 0
            t.hrefs.append([len(t.buildings) - 1, c.lod, c.kind if named else 0, 0 if named else 1])
            t.href_hash.append(_hash(href[1:]))
        if meaning == v.POLYGON and c.lod >= 0 and not c.polygon:
            self.polygon(e, c, me, parent)
            return
        if c.polygon:
            self.ring(e, meaning, c, me, parent)
            return
        inner = c
        if meaning >= v.LOD_BASE and c.lod < 0:
            inner = _Context(
                c.part,
                (meaning - v.LOD_BASE) // 10,
                (meaning - v.LOD_BASE) % 10,
                c.kind,
                c.installation,
            )
        elif v.SURFACE_BASE < meaning < v.POLYGON:
            inner = _Context(c.part, c.lod, c.form, meaning - v.SURFACE_BASE, c.installation)
        elif meaning == v.PART:
            self.parts += 1
            inner = _Context(self.parts, c.lod, c.form, c.kind, c.installation)
        elif meaning == v.INSTALLATION:
            inner = _Context(c.part, c.lod, c.form, c.kind, True)
        elif meaning == v.NONE and c.lod < 0 and not any(isinstance(x.tag, str) for x in e):
            self.leaf(e, c, me, parent, grand)
            return
        self.children(e, inner, me, parent)

    def leaf(
        self, e: etree._Element, c: _Context, me: tuple[int, int, int, int],
        parent: tuple[int, int, int, int], grand: tuple[int, int, int, int],
    ) -> None:  # fmt: skip
        text = "".join(e.itertext()).strip(" \t\r\n")
        if not text:
            return
        t = self.t
        t0, t1 = t.put(text)
        space = e.get("codeSpace")
        c0, c1 = t.put(space) if space else (0, 0)
        a0, a1 = (me[2], me[3]) if me[3] else (parent[2], parent[3])
        row = [
            len(t.buildings) - 1,
            me[0],
            parent[0],
            parent[1],
            t0,
            t1,
            c0,
            c1,
            a0,
            a1,
            c.part,
            *grand,
        ]
        t.leaves.append(row)

    def polygon(
        self, e: etree._Element, c: _Context,
        me: tuple[int, int, int, int], parent: tuple[int, int, int, int],
    ) -> None:  # fmt: skip
        t = self.t
        solid = 0
        if c.form == v.FORM_FOOTPRINT:
            kind = v.KIND_FOOTPRINT
        elif c.form == v.FORM_ROOF_EDGE:
            kind = v.KIND_ROOF_EDGE
        elif c.installation:
            kind = v.KIND_INSTALLATION
        elif c.kind:
            kind = c.kind
        else:
            kind, solid = v.KIND_SOLID, 1
        gml_id = next((e.get(a) for a in _GML_ID if e.get(a)), "")
        t.polygons.append([len(t.buildings) - 1, c.lod, kind, c.part, len(t.rings), 0, solid, 0])
        t.polygon_hash.append(_hash(gml_id))
        self.bad = False
        inner = _Context(c.part, c.lod, c.form, c.kind, c.installation, True)
        self.children(e, inner, me, parent)
        if self.bad:
            t.polygons[-1][k.P_BAD] = 1

    def ring(
        self, e: etree._Element, meaning: int, c: _Context,
        me: tuple[int, int, int, int], parent: tuple[int, int, int, int],
    ) -> None:  # fmt: skip
        t = self.t
        if meaning == v.RING:
            t.rings.append(len(t.coords))
        elif meaning in (v.POSLIST, v.POS):
            dim = int(e.get("srsDimension") or self.dimension)
            try:
                values = [float(x) for x in (e.text or "").split()]
            except ValueError:
                self.bad = True
                return
            if len(values) % dim:
                self.bad = True
                return
            for i in range(0, len(values), dim):
                t.coords.append(
                    (values[i + 1], values[i], values[i + 2] if dim == 3 else float("nan"))
                )
            return
        self.children(e, c, me, parent)


def _members(header: Header, data_from: int = 0) -> Iterator[tuple[int, bytes, bool]]:
    """(line, bytes, complete) of each cityObjectMember, found textually."""
    del data_from
    prefix = header.member.rpartition(b":")[0]
    colon = prefix + b":" if prefix else b""
    opening, closing = b"<" + colon + b"cityObjectMember", b"</" + colon + b"cityObjectMember>"
    with header.path.open("rb") as handle:
        line = handle.read(header.end).count(b"\n") + 1
        pending = b""
        while True:
            block = handle.read(4 << 20)
            pending += block
            at = 0
            while True:
                start = pending.find(opening, at)
                if start < 0:
                    break
                end = pending.find(closing, start)
                # a member that never closes: the next opening is the edge of the damage
                following = pending.find(opening, start + len(opening))
                if end < 0 or 0 <= following < end:
                    if following < 0 and block:
                        break
                    stop = following if following >= 0 else len(pending)
                    line += pending.count(b"\n", at, start)
                    yield line, pending[start:stop], False
                    line += pending.count(b"\n", start, stop)
                    at = stop
                    continue
                end += len(closing)
                line += pending.count(b"\n", at, start)
                yield line, pending[start:end], True
                line += pending.count(b"\n", start, end)
                at = end
            if start < 0:
                keep = max(at, len(pending) - len(opening))
                line += pending.count(b"\n", at, keep)
                pending = pending[keep:]
            else:
                pending = pending[at:]
            if not block:
                return
            if len(pending) > MEMBER_LIMIT:
                yield line, pending[:4096], False
                return


def read_chunks(header: Header) -> Iterator[RawTables]:
    """Yield the tables of up to `BATCH_MEMBERS` members after another; never raises for a member."""
    t = _Tables()
    root = header.root or b"<CityModel>"
    closing = re.match(rb"<([\w.:-]+)", root)
    tail = b"</" + (closing[1] if closing else b"CityModel") + b">"
    root = re.sub(rb"\s+", b" ", root)
    count = 0
    file = header.path.name
    if header.utf8:
        source: Iterator[tuple[int, bytes, bool]] = _members(header)
    else:
        source = _transcoded(header)
    for line, block, complete in source:
        found = _ID.search(block)
        gml_id = found[1].decode("utf-8", "replace") if found else ""
        if not complete:
            t.skipped.append(Skipped(file, line, gml_id, "truncated"))
            continue
        try:
            model = etree.fromstring(root + block + tail, hardened_parser())
        except etree.XMLSyntaxError as e:
            inner = (e.lineno or 1) - 1
            t.skipped.append(Skipped(file, line + inner, gml_id, "xml_broken", str(e.msg)))
            continue
        for member in model:
            _read_member(member, t, header, line)
        count += 1
        if count % BATCH_MEMBERS == 0:
            yield _finish(t)
            t = _Tables()
    yield _finish(t)


def _read_member(member: etree._Element, t: _Tables, header: Header, line: int) -> None:
    for element in member:
        if not isinstance(element.tag, str):
            continue
        walker = _Walker(t, header.dimension)
        _, meaning = walker.canonical(element)
        if meaning == v.BUILDING:
            walker.building(element, line + (element.sourceline or 1) - 1)
            continue
        local = etree.QName(element).localname
        t.skipped.append(
            Skipped(header.path.name, line, element.get(_GML_ID[0], ""), "not_a_building", local)
        )


def _transcoded(header: Header) -> Iterator[tuple[int, bytes, bool]]:
    """Members of a file that is not UTF-8: decoded by lxml as a whole, then cut into members."""
    try:
        tree = etree.parse(str(header.path), hardened_parser())
    except etree.XMLSyntaxError as e:
        yield e.lineno or 1, b"", False
        return
    for child in tree.getroot():
        if isinstance(child.tag, str) and etree.QName(child).localname == "cityObjectMember":
            yield child.sourceline or 1, etree.tostring(child, encoding="utf-8"), True


def _finish(t: _Tables) -> RawTables:
    def ints(rows: list[list[int]], width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        return np.array(rows, np.int64).reshape(len(rows), width)

    # buildings stand at their text offsets; RawTables.line_of is replaced by explicit lines
    return RawTables(
        buffer=np.frombuffer(bytes(t.text) or b"\0", np.uint8), first_line=1,
        names=tuple(t.names), buildings=ints(t.buildings, 4), leaves=ints(t.leaves, k.LEAF_COLUMNS),
        polygons=ints(t.polygons, 8), polygon_hash=np.array(t.polygon_hash, np.uint64),
        rings=np.array([*t.rings, len(t.coords)], np.int64),
        coords=np.array(t.coords, float).reshape(len(t.coords), 3), hrefs=ints(t.hrefs, 4),
        href_hash=np.array(t.href_hash, np.uint64), skipped=t.skipped,
        lines=np.array(t.lines, np.int64),
    )  # fmt: skip
