"""CSV: shelters, Wi-Fi and AEDs in the 自治体標準オープンデータセット layout, other layers by their own columns."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from citymap import crs
from citymap.assess.selection_files import guarded
from citymap.places.kinds import flag
from citymap.places.repairs import narrow
from citymap.share.exchange.format import FORMATS, Format, Written, flat, moved, shapes

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.share.exchange.layer import Outgoing

Row = Mapping[str, Any]


def _text(name: str) -> Callable[[Row], str]:
    return lambda row: "" if row.get(name) is None else str(row[name])


def _mark(name: str) -> Callable[[Row], str]:
    """1 where designated; blank where not or not known: the standard has no third sign."""
    return lambda row: "1" if row.get(name) is True else ""


def _degrees(name: str) -> Callable[[Row], str]:
    def value(row: Row) -> str:
        at = row.get(name)
        return f"{at:.7f}".rstrip("0").rstrip(".") if at is not None and np.isfinite(at) else ""

    return value


_PLACE = {
    "名称": _text("name"), "名称_カナ": _text("name_kana"),
    "緯度": _degrees("lat"), "経度": _degrees("lon"),
}  # fmt: skip
_DESIGNATED = {
    "災害種別_洪水": "flood", "災害種別_崖崩れ、土石流及び地滑り": "landslide", "災害種別_高潮": "storm_surge",
    "災害種別_地震": "earthquake", "災害種別_津波": "tsunami", "災害種別_大規模な火事": "fire",
    "災害種別_内水氾濫": "inland_flood", "災害種別_火山現象": "volcano",
}  # fmt: skip
_OLD_ADDRESS = ("都道府県コード又は市区町村コード", "NO", "都道府県名", "市区町村名", "名称", "名称_カナ", "名称_英語", "住所", "方書", "緯度", "経度")  # fmt: skip
_OLD = {**_PLACE, "NO": _text("place_id"), "名称_英語": _text("name_en"), "住所": _text("address")}
# Header of each list in the order of the standard; what we do not hold stays blank.
LAYOUTS: dict[str, tuple[tuple[str, ...], Mapping[str, Callable[[Row], str]]]] = {
    "shelters": (
        (
            "全国地方公共団体コード", "ID", "名称", "名称_カナ", "名称_英字", "所在地_全国地方公共団体コード", "町字ID",
            "所在地_連結表記", "所在地_都道府県", "所在地_市区町村", "所在地_町字", "所在地_番地以下", "建物名等(方書)",
            "緯度", "経度", "標高", "電話番号", "内線番号", "連絡先メールアドレス", "連絡先FormURL",
            "連絡先備考（その他、SNSなど）", "郵便番号", "市区町村コード", "地方公共団体名", *_DESIGNATED,
            "指定避難所との重複", "想定収容人数", "対象となる町会・自治会", "URL", "画像", "画像_ライセンス", "備考",
        ),
        {
            **_PLACE, "ID": _text("place_id"), "名称_英字": _text("name_en"), "所在地_連結表記": _text("address"),
            **{column: _mark(field) for column, field in _DESIGNATED.items()},
            "指定避難所との重複": _mark("also_designated"), "想定収容人数": _text("capacity_text"),
            "対象となる町会・自治会": _text("target_areas"),
        },
    ),
    "wifi": (
        (*_OLD_ADDRESS, "設置者", "電話番号", "内線番号", "SSID", "提供エリア", "URL", "備考"),
        {**_OLD, "設置者": _text("operator"), "SSID": _text("ssid"), "提供エリア": _text("area"),
         "URL": _text("url"), "備考": _text("note")},
    ),
    "aed": (
        (*_OLD_ADDRESS, "設置位置", "電話番号", "内線番号", "利用可能曜日", "開始時間", "終了時間",
         "利用可能日時特記事項", "小児対応設備の有無", "URL", "備考"),
        {**_OLD, "設置位置": _text("position"), "利用可能曜日": _text("days"), "開始時間": _text("from_time"),
         "終了時間": _text("to_time"), "小児対応設備の有無": _text("for_children")},
    ),
}  # fmt: skip


# Where a list in another layout keeps what the standard column holds.
_ALIASES = {
    "全国地方公共団体コード": ("都道府県コード又は市区町村コード", "市町村コード"),
    "所在地_都道府県": ("都道府県名",), "所在地_市区町村": ("市区町村名",), "建物名等(方書)": ("方書",),
    "都道府県コード又は市区町村コード": ("全国地方公共団体コード",), "方書": ("建物名等(方書)",),
    "都道府県名": ("所在地_都道府県",), "市区町村名": ("所在地_市区町村",),
}  # fmt: skip


def _key(column: str) -> str:
    """A column's name in the spelling of `raw`."""
    return "".join(unicodedata.normalize("NFKC", column).split())


_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_MARKS = frozenset({*_DESIGNATED, "指定避難所との重複"})


def _same(column: str, said: str, now: str) -> bool:
    """Whether a published cell means what the record holds now, however it was written."""
    if column in _MARKS:
        return (flag(said) is True) == (now == "1")
    if column in {"緯度", "経度"}:
        try:
            return f"{float(narrow(said)):.7f}" == f"{float(now):.7f}"
        except ValueError:
            return False
    if column in {"ID", "NO"}:  # a list without ids got its line numbers, a double one a tail
        return not said or now.partition("~")[0] == said
    return said == now


def _standard(layer: Outgoing) -> list[list[str]]:
    """Cells as they were published where the record still says so, else as it says now."""
    header, fill = LAYOUTS[layer.id]
    rows: list[list[str]] = [list(header)]
    records = layer.table.drop_columns(["geometry"]).to_pylist()
    for record, published in zip(records, layer.published, strict=True):
        row = []
        for column in header:
            names = (column, *_ALIASES.get(column, ()))
            said = next((v for n in names if (v := published.get(_key(n), ""))), "")
            if column not in fill:
                row.append(said)
                continue
            now = fill[column](record)
            row.append(said if _key(column) in published and _same(column, said, now) else now)
        rows.append([cell if _NUMBER.fullmatch(cell) else guarded(cell) for cell in row])
    return rows


def _plain(layer: Outgoing, epsg: int) -> list[list[str]]:
    """Every column as text, then a point inside the shape as lon, lat (x, y in metres in a zone)."""
    table = flat(layer.table)
    placed = shapely.point_on_surface(moved(shapes(layer.table), epsg))
    axes = ("lon", "lat") if epsg in {crs.GEOGRAPHIC, 4326} else ("x", "y")
    columns = {n: table[n].to_pylist() for n in table.column_names if n not in axes}
    digits = 7 if axes[0] == "lon" else 3
    for axis, values in zip(axes, (shapely.get_x(placed), shapely.get_y(placed)), strict=True):
        columns[axis] = [f"{v:.{digits}f}" if np.isfinite(v) else "" for v in values]
    texts = [[_cell(v) for v in column] for column in columns.values()]
    return [list(columns), *(list(row) for row in zip(*texts, strict=True))]


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return guarded(value) if isinstance(value, str) else str(value)


def _write(layer: Outgoing, path: Path, epsg: int) -> Written:
    rows = _standard(layer) if layer.id in LAYOUTS else _plain(layer, epsg)
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    path.write_bytes(out.getvalue().encode("utf-8-sig"))
    return Written((path,))


FORMATS.register("csv")(Format(".csv", crs.GEOGRAPHIC, False, _write))
