"""Attribute columns by building row, with legends, for recolouring and filtering on the map."""

from __future__ import annotations

import gzip
import json
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from citymap.hazard import legend as hazard_legend

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from citymap.model.legend import Legend
    from citymap.workspace import Workspace

GZIP_LEVEL = 6
NODATA = 255
# Colours of what has no published colour of its own; pale to dark by rank, or round by code.
_RANKS = (
    (247, 234, 200),
    (250, 206, 148),
    (244, 165, 100),
    (226, 118, 76),
    (190, 74, 66),
    (140, 40, 66),
)
_CODES = (
    (166, 189, 219),
    (199, 177, 208),
    (204, 196, 150),
    (160, 200, 180),
    (222, 170, 150),
    (150, 160, 170),
)
_RANK_FIELDS = {
    "RiverFlooding": "river_flood", "Tsunami": "tsunami", "HighTide": "high_tide",
    "InlandFlooding": "inland_flood", "ReservoirFlooding": "reservoir_flood", "LandSlide": "landslide",
}  # fmt: skip
_QUANTITIES = {
    "depth": {"ja": "浸水深", "en": "depth"},
    "rank": {"ja": "ランク", "en": "rank"},
    "duration": {"ja": "浸水継続時間", "en": "duration"},
}
_SCALES = {
    "L1": {"ja": "計画規模", "en": "design scale"},
    "L2": {"ja": "想定最大規模", "en": "largest assumed"},
}
_NOT_RECORDED = {"ja": "記載なし", "en": "Not recorded"}


@cache
def categories() -> dict[str, Any]:
    """`categories.toml`."""
    return tomllib.loads(files(__package__).joinpath("categories.toml").read_text(encoding="utf-8"))


class Columns:
    """Writes columns into a folder and collects their manifest entries."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.entries: list[dict[str, Any]] = []
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, entry: dict[str, Any], values: NDArray[Any]) -> None:
        """Write one column (little-endian, gzipped) and note its entry."""
        name = f"{len(self.entries):03d}-{_file_name(entry['id'])}.bin"
        data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
        (self.folder / f"{name}.gz").write_bytes(gzip.compress(data, GZIP_LEVEL, mtime=0))
        self.entries.append(
            {
                **entry,
                "dtype": values.dtype.name,
                "url": f"{self.url}/{quote(name)}",
                "count": int(values.size),
                "known": int(np.count_nonzero(_known(values, entry.get("nodata")))),
            }
        )


def _known(values: NDArray[Any], nodata: object) -> NDArray[np.bool_]:
    """Which rows have a value."""
    if values.dtype.kind == "f":
        return np.asarray(~np.isnan(values), bool)
    if isinstance(nodata, int):
        return np.asarray(values != nodata, bool)
    return np.ones(values.shape, bool)


def _file_name(text: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "-" for c in text)[
        :40
    ].strip("-")


def _class(lo: float, hi: float | None, label: dict[str, str], colour: Any) -> dict[str, Any]:
    out: dict[str, Any] = {"min": lo, "label": label, "colour": list(colour)}
    if hi is not None:
        out["max"] = hi
    return out


def legend_classes(legend: Legend) -> list[dict[str, Any]]:
    return [_class(c.minimum, c.maximum, dict(c.label), c.colour) for c in legend.classes]


def _category(columns: Columns, table: pa.Table, id_: str, title: dict[str, str]) -> None:
    """A coded column; its legend lists every code present, commonest first."""
    text, code = table[id_].combine_chunks(), table[f"{id_}_code"].combine_chunks()
    key = pc.coalesce(code, text)
    encoded = pc.dictionary_encode(key)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    keys = encoded.dictionary.to_pylist()
    index = np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)
    counts = np.bincount(index[index >= 0], minlength=len(keys))
    order = np.argsort(-counts, kind="stable")
    wide = len(keys) >= NODATA
    dtype, nodata = (np.uint16, 65535) if wide else (np.uint8, NODATA)
    rank = np.empty(len(keys), np.int64)
    rank[order] = np.arange(len(keys))
    values = np.full(index.size, nodata, dtype)
    values[index >= 0] = rank[index[index >= 0]]
    known = categories().get(id_, {})
    first = {int(i): int(p) for i, p in zip(*np.unique(index, return_index=True), strict=True)}
    legend = []
    for v, k in enumerate(order.tolist()):
        about = known.get(keys[k], {})
        ja = text[first[k]].as_py() if text[first[k]].is_valid else None
        ja = ja if ja and ja != keys[k] else about.get("ja") or keys[k]
        legend.append({
            "value": v, "code": keys[k], "count": int(counts[k]),
            "label": {"ja": ja, "en": about.get("en") or ja},
            "colour": list(about.get("colour") or _CODES[v % len(_CODES)]),
        })  # fmt: skip
    columns.write(
        {"id": id_, "title": title, "type": "category", "nodata": nodata, "nodata_label": _NOT_RECORDED,
         "legend": legend},
        values,
    )  # fmt: skip


def _number(columns: Columns, table: pa.Table, id_: str, title: dict[str, str], unit: str) -> None:
    values = np.asarray(table[id_].cast(pa.float64()).fill_null(np.nan).to_numpy(), np.float32)
    legend = [
        _class(c["min"], c.get("max"), {"ja": c["ja"], "en": c["en"]}, c["colour"])
        for c in categories()["number"][id_]
    ]
    columns.write(
        {"id": id_, "title": title, "type": "number", "nodata": "NaN", "nodata_label": _NOT_RECORDED,
         "unit": unit, "legend": legend},
        values,
    )  # fmt: skip


def _rank_labels(workspace: Workspace) -> dict[tuple[str, int], str]:
    """What each hazard's own code list calls a rank, from the decoded attributes."""
    if not workspace.building_attributes.is_file():
        return {}
    name = pc.field("name")
    wanted = (
        (name == "uro:rank") | (name == "uro:rankOrg") | (name == "rank") | (name == "uro:areaType")
    )
    table = pq.read_table(
        workspace.building_attributes, columns=["group", "name", "value", "code"], filters=wanted
    )
    out: dict[tuple[str, int], str] = {}
    for record in table.group_by(["group", "name", "value", "code"]).aggregate([]).to_pylist():
        for word, hazard in _RANK_FIELDS.items():
            code, value = record["code"], record["value"]
            if (
                word in (record["group"] or "")
                and value
                and (code or "").isdigit()
                and value != code
            ):
                out.setdefault((hazard, int(code)), value)
    return out


def _risks(columns: Columns, table: pa.Table, labels: dict[tuple[str, int], str]) -> None:
    """One column per (hazard, name, scale) and quantity, and the worst of each hazard and scale."""
    n = table.num_rows
    risks = table["risks"].combine_chunks()
    flat = pc.list_flatten(risks)
    row = np.asarray(pc.list_parent_indices(risks).to_numpy(zero_copy_only=False), np.int64)
    if row.size == 0:
        return

    def text(name: str) -> list[str | None]:
        return [v or None for v in pc.struct_field(flat, name).to_pylist()]

    def number(name: str) -> NDArray[np.float64]:
        field = pc.struct_field(flat, name).cast(pa.float64()).fill_null(np.nan)
        return np.asarray(field.to_numpy(zero_copy_only=False), float)

    keys = list(zip(text("hazard"), text("name"), text("scale"), strict=True))
    distinct = sorted(set(keys), key=lambda k: tuple(v or "" for v in k))
    number_of = {key: i for i, key in enumerate(distinct)}
    group = np.array([number_of[key] for key in keys], np.int64)
    quantities = {
        "depth": number("depth_m"),
        "rank": number("rank"),
        "duration": number("duration_h"),
    }

    def worst(pick: NDArray[np.bool_], values: NDArray[np.float64]) -> NDArray[np.float32]:
        out = np.full(n, np.nan, np.float32)
        here = pick & ~np.isnan(values)
        np.fmax.at(out, row[here], values[here].astype(np.float32))
        return out

    def emit(
        id_: str, hazard: str, name: str | None, scale: str | None, pick: NDArray[np.bool_],
        named: dict[str, str],
    ) -> None:  # fmt: skip
        about = categories()["hazard"].get(hazard, categories()["hazard"]["other"])
        recorded = np.zeros(n, bool)
        recorded[row[pick]] = True
        for quantity, values in quantities.items():
            found = worst(pick, values)
            if np.isnan(found).all():
                continue
            title = {}
            for lang in ("ja", "en"):
                words = [about[lang], named[lang]]
                if scale:
                    words.append(_SCALES.get(scale, {}).get(lang, scale))
                title[lang] = " ".join(w for w in (*words, _QUANTITIES[quantity][lang]) if w)
                title[lang] = title[lang].replace(" （", "（")
            entry: dict[str, Any] = {
                "id": f"{id_}:{quantity}", "title": title, "group": "risk", "hazard": hazard,
                "river": name, "scale": scale, "quantity": quantity,
                "nodata_label": {"ja": about["nodata_ja"], "en": about["nodata_en"]},
            }  # fmt: skip
            if (np.isnan(found) & recorded).any():  # assumed to flood, but this number is not given
                entry["nodata_label"] = {
                    "ja": f"{_QUANTITIES[quantity]['ja']}の記載なし",
                    "en": f"No {quantity} recorded",
                }
            if quantity == "rank":
                ranks = sorted({int(v) for v in np.unique(found[~np.isnan(found)])})
                legend = _rank_legend(hazard, ranks, labels)
                column = np.full(n, NODATA, np.uint8)
                here = ~np.isnan(found) & (found >= 0) & (found < NODATA)
                column[here] = found[here].astype(np.uint8)
                columns.write(
                    {**entry, "type": "class", "nodata": NODATA, "legend": legend}, column
                )
                continue
            legend_id = hazard_legend.DEPTH if quantity == "depth" else hazard_legend.DURATION
            official = hazard_legend.legends()[legend_id]
            entry |= {
                "type": "number",
                "nodata": "NaN",
                "unit": official.unit,
                "legend_id": legend_id,
            }
            columns.write({**entry, "legend": legend_classes(official)}, found)

    for hazard, scale in sorted(
        {(h, s) for h, _, s in distinct}, key=lambda k: (k[0] or "", k[1] or "")
    ):
        same = [i for i, (h, _, s) in enumerate(distinct) if (h, s) == (hazard, scale)]
        pick = np.isin(group, same)
        about = {
            "ja": "（最悪）" if len(same) > 1 else "",
            "en": "(worst)" if len(same) > 1 else "",
        }
        emit(f"risk:{hazard}:*:{scale or '-'}", hazard or "other", None, scale, pick, about)
    for key, i in number_of.items():
        hazard, name, scale = key
        named = {"ja": name or "", "en": name or ""}
        emit(
            f"risk:{hazard}:{name or '-'}:{scale or '-'}",
            hazard or "other",
            name,
            scale,
            group == i,
            named,
        )


def _rank_legend(
    hazard: str, ranks: list[int], labels: dict[tuple[str, int], str]
) -> list[dict[str, Any]]:
    """River ranks are the standard depth classes; all others keep their own published text."""
    standard = hazard_legend.legends()[hazard_legend.DEPTH].classes
    out = []
    for i, rank in enumerate(ranks):
        if hazard == "river_flood" and 1 <= rank <= len(standard):
            label, colour = dict(standard[rank - 1].label), standard[rank - 1].colour
        else:
            published = labels.get((hazard, rank))
            label = {"ja": published or f"ランク {rank}", "en": published or f"Rank {rank}"}
            at = round(i * (len(_RANKS) - 1) / max(len(ranks) - 1, 1)) if len(ranks) > 1 else 3
            colour = _RANKS[at]
        out.append({"value": rank, "code": str(rank), "label": label, "colour": list(colour)})
    return out


def build(workspace: Workspace, folder: Path, *, url: str) -> list[dict[str, Any]]:
    """Write `gml_id.json.gz` and one `.bin.gz` per attribute; returns the manifest entries."""
    columns = Columns(folder, url)
    table = pq.read_table(
        workspace.buildings,
        columns=["gml_id", "usage", "usage_code", "class", "class_code", "structure", "structure_code",
                 "measured_height_m", "storeys_above", "year_built", "lod", "risks"],
    )  # fmt: skip
    ids = json.dumps(table["gml_id"].to_pylist(), ensure_ascii=False, separators=(",", ":"))
    (folder / "gml_id.json.gz").write_bytes(gzip.compress(ids.encode(), GZIP_LEVEL, mtime=0))
    _category(columns, table, "usage", {"ja": "用途", "en": "Usage"})
    _number(columns, table, "measured_height_m", {"ja": "高さ", "en": "Height"}, "m")
    _number(columns, table, "storeys_above", {"ja": "地上階数", "en": "Storeys above ground"}, "")
    _number(columns, table, "year_built", {"ja": "建築年", "en": "Year built"}, "")
    _category(columns, table, "structure", {"ja": "構造", "en": "Structure"})
    _category(columns, table, "class", {"ja": "分類", "en": "Class"})
    lod = np.asarray(table["lod"].cast(pa.float64()).fill_null(NODATA).to_numpy(), np.uint8)
    present = sorted({int(v) for v in np.unique(lod)} - {NODATA})
    columns.write(
        {"id": "lod", "title": {"ja": "詳細度（LOD）", "en": "Level of detail"}, "type": "category",
         "nodata": NODATA, "nodata_label": _NOT_RECORDED,
         "legend": [{"value": v, "code": str(v), "label": {"ja": f"LOD{v}", "en": f"LOD{v}"},
                     "colour": list(((230, 226, 216), (190, 196, 190), (120, 160, 170), (70, 110, 140),
                                     (40, 70, 110))[min(v, 4)])} for v in present]},
        lod,
    )  # fmt: skip
    _risks(columns, table, _rank_labels(workspace))
    return columns.entries
