"""The city's open data: shelters, Wi-Fi, AED, districts and addresses, as cities publish."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from citymap import crs
from citymap.demo import parcels
from citymap.demo.buildings import Buildings
from citymap.demo.flood import Flooding
from citymap.demo.names import District
from citymap.demo.plan import CITY_CODE, CITY_NAME, EPSG

CODE6 = crs.check_digit(CITY_CODE)
PREFECTURE_NAME = "架空県"
SHELTER_COLUMNS = (
    "全国地方公共団体コード",
    "ID",
    "名称",
    "名称_カナ",
    "名称_英字",
    "所在地_全国地方公共団体コード",
    "町字ID",
    "所在地_連結表記",
    "所在地_都道府県",
    "所在地_市区町村",
    "所在地_町字",
    "所在地_番地以下",
    "建物名等(方書)",
    "緯度",
    "経度",
    "標高",
    "電話番号",
    "内線番号",
    "連絡先メールアドレス",
    "連絡先FormURL",
    "連絡先備考（その他、SNSなど）",
    "郵便番号",
    "市区町村コード",
    "地方公共団体名",
    "災害種別_洪水",
    "災害種別_崖崩れ、土石流及び地滑り",
    "災害種別_高潮",
    "災害種別_地震",
    "災害種別_津波",
    "災害種別_大規模な火事",
    "災害種別_内水氾濫",
    "災害種別_火山現象",
    "指定避難所との重複",
    "想定収容人数",
    "対象となる町会・自治会",
    "URL",
    "画像",
    "画像_ライセンス",
    "備考",
)
WIFI_COLUMNS = (
    "都道府県コード又は市区町村コード",
    "NO",
    "都道府県名",
    "市区町村名",
    "名称",
    "名称_カナ",
    "名称_英語",
    "住所",
    "方書",
    "緯度",
    "経度",
    "設置者",
    "電話番号",
    "内線番号",
    "SSID",
    "提供エリア",
    "URL",
    "備考",
)
AED_COLUMNS = (
    "都道府県コード又は市区町村コード",
    "NO",
    "都道府県名",
    "市区町村名",
    "名称",
    "名称_カナ",
    "住所",
    "方書",
    "緯度",
    "経度",
    "設置位置",
    "電話番号",
    "内線番号",
    "利用可能曜日",
    "開始時間",
    "終了時間",
    "利用可能日時特記事項",
    "小児対応設備の有無",
    "URL",
    "備考",
)
_LANDMARKS = ("school", "gym", "hospital", "cityhall", "temple", "station", "hall")


@dataclass(frozen=True, slots=True)
class Site:
    """A public place: a named building or a park."""

    name: str
    kana: str
    kind: str
    district: District
    address: str
    x: float
    y: float
    ground_m: float
    storeys: int
    area_m2: float


def building_names(b: Buildings, quarters: Sequence[District]) -> list[tuple[str, str]]:
    """gml:name and its reading for landmarks; empty for the rest."""
    out = [("", "")] * len(b)
    schools = temples = 0
    halls: dict[str, int] = {}
    stem: dict[int, tuple[str, str]] = {}
    landmark = np.isin(b.kind, [parcels.CODE[k] for k in _LANDMARKS])
    for i in np.flatnonzero(landmark).tolist():
        kind = parcels.KINDS[b.kind[i]]
        town = quarters[b.cell[i]]
        kana = town_kana(town)
        if kind == "school":
            schools += 1
            tail = (
                ("中学校", "ちゅうがっこう") if schools % 3 == 0 else ("小学校", "しょうがっこう")
            )
            stem[int(b.cell[i])] = (f"市立{town.town}{tail[0]}", f"しりつ{kana}{tail[1]}")
            out[i] = stem[int(b.cell[i])]
        elif kind == "gym":
            n, reading = stem.get(int(b.cell[i]), (f"市立{town.town}学園", f"しりつ{kana}がくえん"))
            out[i] = (f"{n}体育館", f"{reading}たいいくかん")
        elif kind == "hall":
            halls[town.town] = k = halls.get(town.town, 0) + 1
            number = ("", "") if k == 1 else (f"第{k}", f"だい{k}")
            out[i] = (f"{town.town}{number[0]}公民館", f"{kana}{number[1]}こうみんかん")
        elif kind == "hospital":
            out[i] = (f"{CITY_NAME}立病院", "みどりかわしりつびょういん")
        elif kind == "cityhall":
            out[i] = (f"{CITY_NAME}役所", "みどりかわしやくしょ")
        elif kind == "station":
            out[i] = ("みどり川駅", "みどりかわえき")
        elif kind == "temple":
            temples += 1
            tail = ("寺", "じ") if temples % 2 else ("神社", "じんじゃ")
            out[i] = (f"{town.town}{tail[0]}", f"{kana}{tail[1]}")
    return out


def town_kana(d: District) -> str:
    """Reading of the town without 大字 and 丁目."""
    kana = d.name_kana.removeprefix("おおあざ").removesuffix("ちょうめ")
    for tail in ("いっ", "きゅう", "なな", "ろく", "よん", "はっ", "さん", "ご", "に"):
        if d.name.endswith("丁目") and kana.endswith(tail):
            return kana.removesuffix(tail)
    return kana


def _katakana(text: str) -> str:
    return "".join(chr(ord(c) + 96) if "ぁ" <= c <= "ん" else c for c in text)


def _csv(
    path: Path, columns: Sequence[str], rows: Sequence[dict[str, object]], encoding: str
) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(out.getvalue().encode(encoding))


def _where(site: Site) -> tuple[float, float]:
    lon, lat = crs.unproject(site.x, site.y, EPSG)
    return round(float(lat), 6), round(float(lon), 6)


def _worst_depth(flooding: Flooding, site: Site) -> float:
    depths = [
        float(flooding.at(g, np.array([site.x]), np.array([site.y]))[0])
        for g in flooding.depth_m.values()
    ]
    return max((d for d in depths if not math.isnan(d)), default=0.0)


def write_shelters(path: Path, sites: Sequence[Site], flooding: Flooding) -> int:
    """Write the 指定緊急避難場所 list; a site floods-safe only where people stay dry."""
    rows: list[dict[str, object]] = []
    for s in sites:
        if s.kind not in ("school", "gym", "park", "cityhall", "hall"):
            continue
        depth = _worst_depth(flooding, s)
        dry = depth == 0 or (s.kind != "park" and depth < 3 and s.storeys >= 3)
        lat, lon = _where(s)
        house = s.kind != "park"
        capacity = round(s.area_m2 * max(s.storeys, 1) * (0.45 if house else 0.5) / 3.5 / 10) * 10
        rows.append(
            {
                "全国地方公共団体コード": CODE6,
                "ID": f"{len(rows) + 1:04d}",
                "名称": s.name,
                "名称_カナ": _katakana(s.kana),
                "所在地_全国地方公共団体コード": CODE6,
                "町字ID": s.district.district_id,
                "所在地_連結表記": f"{PREFECTURE_NAME}{CITY_NAME}{s.address}",
                "所在地_都道府県": PREFECTURE_NAME,
                "所在地_市区町村": CITY_NAME,
                "所在地_町字": s.district.name,
                "所在地_番地以下": s.address.removeprefix(s.district.name),
                "緯度": lat,
                "経度": lon,
                "標高": f"{s.ground_m:.1f}",
                "市区町村コード": CODE6,
                "地方公共団体名": CITY_NAME,
                "災害種別_洪水": "1" if dry else "",
                "災害種別_崖崩れ、土石流及び地滑り": "1" if house else "",
                "災害種別_地震": "1",
                "災害種別_大規模な火事": "" if house and s.kind != "gym" else "1",
                "災害種別_内水氾濫": "1" if dry else "",
                "指定避難所との重複": "1" if house else "",
                "想定収容人数": f"{capacity}人",
                "対象となる町会・自治会": f"{s.district.town}自治会",
                "備考": "架空のデータです",
            }
        )
    _csv(path, SHELTER_COLUMNS, rows, "utf-8-sig")
    return len(rows)


def _listed(site: Site, number: int) -> dict[str, object]:
    """The columns that the lists of 公衆無線LAN and AED share."""
    lat, lon = _where(site)
    return {
        "都道府県コード又は市区町村コード": CODE6,
        "NO": f"{number:05d}",
        "都道府県名": PREFECTURE_NAME,
        "市区町村名": CITY_NAME,
        "名称": site.name,
        "名称_カナ": _katakana(site.kana),
        "住所": f"{PREFECTURE_NAME}{CITY_NAME}{site.address}",
        "緯度": lat,
        "経度": lon,
    }


def write_wifi(path: Path, sites: Sequence[Site]) -> int:
    """Write the 公衆無線LAN list in CP932, as many cities still publish it."""
    rows: list[dict[str, object]] = []
    for s in sites:
        if s.kind in ("school", "temple") or (s.kind == "park" and len(rows) % 2):
            continue
        rows.append(
            {
                **_listed(s, len(rows) + 1),
                "設置者": CITY_NAME,
                "SSID": "Midorikawa_Free_Wi-Fi",
                "提供エリア": "園内" if s.kind == "park" else "館内",
                "備考": "架空のデータです",
            }
        )
    _csv(path, WIFI_COLUMNS, rows, "cp932")
    return len(rows)


def write_aed(path: Path, sites: Sequence[Site]) -> int:
    """Write the AED list."""
    rows: list[dict[str, object]] = []
    for s in sites:
        if s.kind not in ("school", "gym", "station", "cityhall", "hospital"):
            continue
        rows.append(
            {
                **_listed(s, len(rows) + 1),
                "設置位置": "1階入口",
                "利用可能曜日": "月火水木金",
                "開始時間": "08:30",
                "終了時間": "17:15",
                "小児対応設備の有無": "有",
                "備考": "架空のデータです",
            }
        )
    _csv(path, AED_COLUMNS, rows, "utf-8-sig")
    return len(rows)


def write_districts(path: Path, quarters: Sequence[District]) -> None:
    """Write the districts as GeoJSON (lon, lat in degrees)."""
    features = []
    for q in quarters:
        lon, lat = crs.unproject(q.ring[:, 0], q.ring[:, 1], EPSG)
        ring = [[round(a, 7), round(b, 7)] for a, b in zip(lon.tolist(), lat.tolist(), strict=True)]
        features.append(
            {
                "type": "Feature",
                "properties": {
                    "district_id": q.district_id,
                    "name": q.name,
                    "name_kana": q.name_kana,
                },
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
    lines = ",\n".join(json.dumps(f, ensure_ascii=False, separators=(",", ":")) for f in features)
    path.write_text(
        '{"type":"FeatureCollection","features":[\n' + lines + "\n]}\n",
        encoding="utf-8",
        newline="\n",
    )


def write_addresses(path: Path, b: Buildings, addresses: Sequence[str],
                    quarters: Sequence[District]) -> None:  # fmt: skip
    """Write one row for every address: address, lon, lat, district_id."""
    lon, lat = crs.unproject(b.centre[:, 0], b.centre[:, 1], EPSG)
    seen: set[str] = set()
    with path.open("w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\r\n")
        writer.writerow(("address", "lon", "lat", "district_id"))
        for i, address in enumerate(addresses):
            if address and address not in seen:
                seen.add(address)
                quarter = quarters[b.cell[i]].district_id
                writer.writerow((CITY_NAME + address, f"{lon[i]:.7f}", f"{lat[i]:.7f}", quarter))
