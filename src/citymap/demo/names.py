"""Names of towns, schools and temples. All are made up; none points at a real place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from citymap.demo.plan import Array, Band, Cell, Plan
from citymap.demo.streets import to_xy

_HEADS = (
    ("若葉", "わかば"),
    ("桜木", "さくらぎ"),
    ("緑野", "みどりの"),
    ("旭川原", "あさひがわら"),
    ("栄", "さかえ"),
    ("松風", "まつかぜ"),
    ("柳瀬", "やなせ"),
    ("瀬音", "せおと"),
    ("東雲", "しののめ"),
    ("花影", "はなかげ"),
    ("月見", "つきみ"),
    ("梅香", "うめか"),
    ("千草", "ちぐさ"),
    ("夕映", "ゆうばえ"),
    ("朝霧", "あさぎり"),
    ("常盤", "ときわ"),
    ("青嵐", "せいらん"),
    ("渡瀬", "わたせ"),
    ("古城", "こじょう"),
    ("鶴巻", "つるまき"),
    ("白鷺", "しらさぎ"),
    ("葦原", "あしはら"),
    ("清水", "しみず"),
    ("沢渡", "さわたり"),
    ("蛍沢", "ほたるざわ"),
    ("水車", "すいしゃ"),
    ("船場", "ふなば"),
    ("鍛冶", "かじ"),
    ("紺屋", "こんや"),
    ("本", "ほん"),
    ("中", "なか"),
    ("北", "きた"),
    ("新", "しん"),
    ("大", "おお"),
    ("稲荷", "いなり"),
    ("岩根", "いわね"),
    ("楓", "かえで"),
    ("欅", "けやき"),
    ("椿", "つばき"),
    ("杉並木", "すぎなみき"),
)
_TAILS: dict[str, tuple[tuple[str, str], ...]] = {
    "town": (
        ("町", "ちょう"),
        ("", ""),
        ("通り", "どおり"),
        ("本町", "ほんちょう"),
        ("元町", "もとまち"),
        ("宮町", "みやちょう"),
    ),
    "homes": (
        ("", ""),
        ("町", "ちょう"),
        ("台", "だい"),
        ("南", "みなみ"),
        ("西", "にし"),
        ("東", "ひがし"),
    ),
    "newtown": (
        ("が丘", "がおか"),
        ("ニュータウン", "にゅーたうん"),
        ("台", "だい"),
        ("の杜", "のもり"),
    ),
    "industry": (
        ("工業団地", "こうぎょうだんち"),
        ("流通町", "りゅうつうちょう"),
        ("新田町", "しんでんちょう"),
    ),
    "farm": (
        ("新田", "しんでん"),
        ("原", "はら"),
        ("沼", "ぬま"),
        ("郷", "ごう"),
        ("下", "しも"),
        ("上", "かみ"),
    ),
}
_STYLE = {
    "core": "town",
    "centre": "town",
    "grid": "homes",
    "curved": "homes",
    "newtown": "newtown",
    "forest": "newtown",
    "industry": "industry",
    "farm": "farm",
}
_CHOME = "一二三四五六七八九"
_CHOME_KANA = ("いっ", "に", "さん", "よん", "ご", "ろく", "なな", "はっ", "きゅう")


@dataclass(frozen=True, slots=True)
class District:
    """A 町字: the quarter between four main roads."""

    district_id: str  # 町字ID, 7 digits
    town: str
    name: str
    name_kana: str
    ring: Array  # (n, 2) in the zone


def districts(plan: Plan) -> list[District]:
    """One district for every cell, in the order of the cells."""
    rng = np.random.default_rng([plan.seed, 71])
    order: dict[str, list[tuple[str, str]]] = {}
    for style, tails in _TAILS.items():
        heads = [_HEADS[k] for k in rng.permutation(len(_HEADS))]
        order[style] = [
            (h[0] + t[0], h[1] + t[1]) for t in tails for h in heads
            if len(h[0]) > 1 or (t[0] and t[0] not in ("本町", "元町"))
        ]  # fmt: skip
    used: set[str] = set()
    towns: dict[tuple[int, int, int, str], tuple[int, str, str]] = {}
    chome: dict[int, int] = {}
    out = []
    for cell in plan.cells:
        style = _STYLE[cell.use]
        key = (cell.side, cell.col // 2, cell.row // 2, style)
        if key not in towns:
            while order[style] and order[style][0][0] in used:
                order[style].pop(0)
            left = order[style] or [(f"第{len(towns)}区", f"だい{len(towns)}く")]
            name, kana = left.pop(0)
            used.add(name)
            towns[key] = (len(towns) + 1, name, kana)
        number, name, kana = towns[key]
        chome[number] = chome.get(number, 0) + 1
        k = chome[number]
        if style == "farm":
            full, full_kana = (f"大字{name}", f"おおあざ{kana}")
            if k > 1:
                full, full_kana = full + f"字{k}ノ割", full_kana + f"あざ{k}のわり"
        else:
            full, full_kana = f"{name}{_CHOME[k - 1]}丁目", f"{kana}{_CHOME_KANA[k - 1]}ちょうめ"
        out.append(District(f"{number:04d}{k:03d}", name, full, full_kana, extent(plan, cell)))
    return out


def extent(plan: Plan, cell: Cell) -> Array:
    """The cell, the railway behind it, and its half of the river or tributary beside it."""
    lattice = plan.lattices[0 if cell.side > 0 else 1]

    def grow(bands: tuple[Band, ...], k: int) -> float:
        if 0 <= k < len(bands) and bands[k].kind != "cell":
            return float(bands[k].hi - bands[k].lo) / 2
        return 0.0

    s0 = cell.s0 - grow(lattice.cols, cell.col - 1)
    s1 = cell.s1 + grow(lattice.cols, cell.col + 1)
    near, far = sorted((abs(cell.t0), abs(cell.t1)))
    if cell.row + 1 < len(lattice.rows) and lattice.rows[cell.row + 1].kind == "rail":
        far = lattice.rows[cell.row + 1].hi  # the railway and its station belong to the river side
    if cell.row == 0:
        near = 0.0
    t0, t1 = sorted((near * cell.side, far * cell.side))
    return sheet_ring(plan, s0, t0, s1, t1)


def sheet_ring(plan: Plan, s0: float, t0: float, s1: float, t1: float, step: float = 25.0) -> Array:
    """Closed ring (n, 2) in the zone of a rectangle of the sheet, counter-clockwise."""
    ns, nt = max(2, int((s1 - s0) / step) + 2), max(2, int((t1 - t0) / step) + 2)
    s, t = np.linspace(s0, s1, ns), np.linspace(t0, t1, nt)
    ring_s = np.concatenate([s, np.full(nt - 1, s1), s[-2::-1], np.full(nt - 1, s0)])
    ring_t = np.concatenate([np.full(ns, t0), t[1:], np.full(ns - 1, t1), t[-2::-1]])
    return to_xy(plan, None, ring_s, ring_t)


def address(district: District, block: int, number: int) -> str:
    """住居表示 in towns, 番地 in the country."""
    if district.name.startswith("大字"):
        return f"{district.name}{block * 40 + number}番地"
    return f"{district.name}{block}番{number}号"
