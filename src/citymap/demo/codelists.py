"""Code lists of the demo city in the GML Dictionary form of PLATEAU, with its code values."""

from __future__ import annotations

from pathlib import Path

from citymap.demo.flood import MAIN, NORTH, SOUTH
from citymap.demo.plan import CITY_CODE, CITY_NAME

LISTS: dict[str, dict[str, str]] = {
    "Building_class": {
        "3001": "普通建物",
        "3002": "堅ろう建物",
        "3003": "普通無壁舎",
        "3004": "堅ろう無壁舎",
        "3000": "分類しない建物",
        "9999": "不明",
    },
    "Building_usage": {
        "401": "業務施設",
        "402": "商業施設",
        "403": "宿泊施設",
        "404": "商業系複合施設",
        "411": "住宅",
        "412": "共同住宅",
        "413": "店舗等併用住宅",
        "414": "店舗等併用共同住宅",
        "415": "作業所併用住宅",
        "421": "官公庁施設",
        "422": "文教厚生施設",
        "431": "運輸倉庫施設",
        "441": "工場",
        "451": "農林漁業用施設",
        "452": "供給処理施設",
        "453": "防衛施設",
        "454": "その他",
        "461": "不明",
    },
    "Building_lodType": {"2.0": "LOD2.0", "2.1": "LOD2.1", "2.2": "LOD2.2", "8": "不明"},
    "BuildingDetailAttribute_buildingStructureType": {
        "601": "木造・土蔵造",
        "602": "鉄骨鉄筋コンクリート造",
        "603": "鉄筋コンクリート造",
        "604": "鉄骨造",
        "605": "軽量鉄骨造",
        "606": "レンガ造・コンクリートブロック造・石造",
        "610": "非木造",
        "611": "不明",
    },
    "BuildingDetailAttribute_fireproofStructureType": {
        "1001": "耐火",
        "1002": "準耐火造",
        "1003": "その他",
        "1011": "不明",
    },
    "Common_urbanPlanType": {"21": "都市計画区域", "26": "準都市計画区域", "27": "都市計画区域外"},
    "Common_areaClassificationType": {"22": "市街化区域", "23": "市街化調整区域"},
    "Common_validType": {"1": "決定", "2": "廃止", "3": "変更", "9": "不明"},
    "Common_districtsAndZonesType": {
        "1": "第1種低層住居専用地域",
        "2": "第2種低層住居専用地域",
        "3": "第1種中高層住居専用地域",
        "4": "第2種中高層住居専用地域",
        "5": "第1種住居地域",
        "6": "第2種住居地域",
        "7": "準住居地域",
        "8": "田園住居地域",
        "9": "近隣商業地域",
        "10": "商業地域",
        "11": "準工業地域",
        "12": "工業地域",
        "13": "工業専用地域",
    },
    "Common_landUseType": {
        "201": "田（水田）",
        "202": "畑（畑、樹園地、採草地、養鶏（牛・豚）場）",
        "203": "山林（樹林地）",
        "204": "水面（河川水面、湖沼、ため池、用水路、濠、運河水面）",
        "205": "その他自然地（原野・牧野、荒れ地、低湿地、河川敷等）",
        "211": "住宅用地（住宅、共同住宅、店舗等併用住宅等）",
        "212": "商業用地（業務施設、商業施設、宿泊施設、商業系複合施設）",
        "213": "工業用地（工場）",
        "214": "公益施設用地（官公庁施設、文教厚生施設、供給処理施設）",
        "215": "道路用地（道路、駅前広場）",
        "216": "交通施設用地（運輸倉庫施設）",
        "217": "公共空地（公園・緑地、広場、運動場、墓園）",
        "219": "農林漁業施設用地（農林漁業用施設）",
        "222": "その他③（平面駐車場）",
        "224": "低未利用土地（用途に供されていない空地等）",
        "231": "不明",
    },
    "Common_localPublicAuthorities": {"09": "架空県", CITY_CODE: f"{CITY_NAME}（架空）"},
    "DataQualityAttribute_geometrySrcDesc": {
        "000": "公共測量成果又は基本測量成果",
        "400": "その他のGISデータ",
        "999": "未作成",
    },
    "DataQualityAttribute_thematicSrcDesc": {
        "201": "都市計画基礎調査",
        "400": "その他のGISデータ",
        "999": "未作成",
    },
    "DataQualityAttribute_lod1HeightType": {
        "1": "点群から取得_最高高さ",
        "2": "点群から取得_中央値",
        "3": "点群から取得_平均値",
        "0": "取得不可のため一律値（3m）",
    },
    "RiverFloodingRiskAttribute_description": {"1": MAIN, "2": NORTH, "3": SOUTH},
    "RiverFloodingRiskAttribute_rank": {
        "1": "0.5m未満",
        "2": "0.5m以上3m未満",
        "3": "3m以上5m未満",
        "4": "5m以上10m未満",
        "5": "10m以上20m未満",
        "6": "20m以上",
    },
    "RiverFloodingRiskAttribute_adminType": {"1": "国", "2": "都道府県"},
    "RiverFloodingRiskAttribute_scale": {"1": "L1（計画規模）", "2": "L2（想定最大規模）"},
    "WaterBody_class": {"1030": "river / stream（河川/小川）", "1140": "flooded land（浸水域）"},
    "WaterBody_function": {
        "1": "洪水浸水想定区域",
        "2": "津波浸水想定",
        "3": "高潮浸水想定区域",
        "4": "内水浸水想定区域",
    },
    "Road_class": {"1040": "road traffic （道路交通）"},
    "Road_function": {
        "1": "高速自動車国道",
        "2": "一般国道",
        "3": "都道府県道",
        "4": "市町村道",
        "9020": "不明",
    },
    "Road_usage": {
        "1": "緊急輸送道路（第一次緊急輸送道路）",
        "2": "緊急輸送道路（第二次緊急輸送道路）",
        "3": "緊急輸送道路（第三次緊急輸送道路）",
        "4": "緊急輸送道路（未指定）",
        "5": "避難路／避難道路",
        "9": "不明",
    },
    "RoadStructureAttribute_sectionType": {
        "1": "土工区間・通常区間",
        "2": "高架橋",
        "3": "橋梁",
        "4": "交差部",
        "5": "アンダーパス",
        "6": "トンネル",
        "7": "橋・高架",
        "9": "不明",
    },
}


def write(folder: Path) -> None:
    """Write codelists/*.xml below the data set folder."""
    target = folder / "codelists"
    target.mkdir(parents=True, exist_ok=True)
    for name, entries in LISTS.items():
        lines = [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<gml:Dictionary xmlns:gml="http://www.opengis.net/gml" gml:id="cl_{name}">',
            f"\t<gml:name>{name}</gml:name>",
        ]
        for i, (code, text) in enumerate(entries.items(), 1):
            lines += [
                "\t<gml:dictionaryEntry>",
                f'\t\t<gml:Definition gml:id="id{i}">',
                f"\t\t\t<gml:description>{text}</gml:description>",
                f"\t\t\t<gml:name>{code}</gml:name>",
                "\t\t</gml:Definition>",
                "\t</gml:dictionaryEntry>",
            ]
        lines.append("</gml:Dictionary>")
        (target / f"{name}.xml").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
