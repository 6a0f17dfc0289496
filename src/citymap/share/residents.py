"""What the residents' page is told of a city beside the places: its name, its languages and their words."""

from __future__ import annotations

import logging
import tomllib
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from citymap.share.doors import Door, declare
from citymap.share.gate import release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace

FIRST = ("ja", "easy", "en")  # the others follow by their codes
OWN = "residents"  # folder of a city's own wording: residents/<language>.toml
SHELTER_FIELDS = ("place_id", "name", "name_en", "lon", "lat")
_LOG = logging.getLogger(__name__)


@cache
def catalogues() -> dict[str, dict[str, str]]:
    """The words by language, Japanese, plain Japanese and English first."""
    found: dict[str, dict[str, str]] = {}
    for entry in files("citymap.i18n").joinpath("residents").iterdir():
        name, dot, end = entry.name.partition(".")
        if dot and end == "toml":
            found[name] = tomllib.loads(entry.read_text(encoding="utf-8"))
    order = sorted(found, key=lambda c: (FIRST.index(c) if c in FIRST else len(FIRST), c))
    return {code: found[code] for code in order}


def words(workspace: Workspace | None, code: str) -> dict[str, str] | None:
    """The words of a language with the city's corrections; None where there is no such language.

    What is missing in a language is said in Japanese. A correction that cannot be read, or names no
    key, is left out and logged: the page must stand.
    """
    known = catalogues()
    if code not in known:
        return None
    return {**known["ja"], **known[code], **_own(workspace, code)}


def _own(workspace: Workspace | None, code: str) -> dict[str, str]:
    path = workspace.root / OWN / f"{code}.toml" if workspace is not None else None
    if path is None or not path.is_file():
        return {}
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError):
        _LOG.warning("the wording of the residents' page cannot be read", extra={"file": path.name})
        return {}
    known = catalogues()["ja"]
    wrong = sorted(k for k, v in said.items() if k not in known or not isinstance(v, str))
    if wrong:
        _LOG.warning("unknown words of the residents' page", extra={"keys": ", ".join(wrong)})
    return {k: v for k, v in said.items() if k in known and isinstance(v, str)}


def newest(workspace: Workspace) -> datetime:
    """When the tables that the page shows were last replaced."""
    shown: list[Path] = [
        workspace.city_toml, workspace.buildings, workspace.districts,
        *workspace.places.glob("*.parquet"), *workspace.hazards.glob("*.toml"),
    ]  # fmt: skip
    latest = max((p.stat().st_mtime for p in shown if p.is_file()), default=0.0)
    return datetime.fromtimestamp(latest, UTC)


def site(
    workspace: Workspace, *, data: str | None = None, grid: dict[str, int] | None = None
) -> dict[str, Any]:
    """`site.json`. `data` is the folder of the answers of a static site, None where `/api/place` answers."""
    city = workspace.city()
    return {
        "name": city.name, "name_en": city.name_en, "fictional": city.fictional,
        "bbox": list(city.bbox) if city.bbox else None,
        "languages": [{"code": c, "name": w["language"]} for c, w in catalogues().items()],
        "data": data, "grid": grid, "paper": None, "made": newest(workspace).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }  # fmt: skip


def shelters(workspace: Workspace, audience: Audience = "public") -> list[dict[str, Any]]:
    """`shelters.json`: the names behind the ids of `status.json`, and where they are."""
    path = workspace.places / "shelters.parquet"
    if not path.is_file():
        return []
    rows = release("shelters", pq.read_table(path).to_pylist(), audience)
    return [{name: row.get(name) for name in SHELTER_FIELDS} for row in rows]


def _emitted(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    yield repr(shelters(workspace, audience)).encode()


declare(Door("shelters.json", kinds=("shelters",), emit=_emitted))
