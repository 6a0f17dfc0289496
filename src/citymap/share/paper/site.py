"""The printed maps as plain files of the static site: a list in `paper/`, the sheets in a folder by version.

Drawing costs seconds a sheet, so that a folder whose tables, words and files have not changed is
kept as it is; the list names it only once it is whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from functools import partial
from typing import TYPE_CHECKING

from citymap.assess import place as my_place
from citymap.i18n import LANGUAGES, catalogue, own_wording, t
from citymap.share import area_map, residents
from citymap.share.paper import sheet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from citymap.progress import Progress
    from citymap.workspace import Workspace

KEPT_VERSIONS = 2
WHOLE = "sheets.json"  # written last: the sheets by hazard, language and district
NO_HAZARD = "none"


def write(
    workspace: Workspace, target: Path, files: Path, put: Callable[[str, bytes], None], *,
    url: str, progress: Progress,
) -> bool:  # fmt: skip
    """Draw what is not there yet. `target` is the folder of the site, `files` holds style and script,
    `put` writes a file below `target`, `url` is what the QR codes say ("": the site itself).

    False where the city has no districts, or the style was not built: then there is nothing to print.
    """
    style = {p.name: p.read_bytes() for p in sorted(files.glob("sheet.*"))}
    known = sheet.districts(workspace)
    if not known or not style:
        return False
    hazards: list[str | None] = [*sheet.hazards(workspace)] or [None]
    version = _version(workspace, style, url)
    if not (target / "paper" / version / WHOLE).is_file():
        for name, body in style.items():
            put(f"paper/{version}/files/{name}", body)
        _sheets(workspace, known, hazards, version, put, url=url, progress=progress)
        put(f"paper/{version}/{WHOLE}", json.dumps(_listed(known, hazards), ensure_ascii=False).encode())  # fmt: skip
    for hazard in hazards:
        for lang in LANGUAGES:
            links = _links(known, hazards, hazard, lang, version)
            page = sheet.index(workspace, lang=lang, hazard=hazard, links=links)
            put(f"paper/{_list(hazards, hazard, lang)}", page.encode())
    _forget(target / "paper", version)
    return True


def _version(workspace: Workspace, style: dict[str, bytes], url: str) -> str:
    said = {k: v for k, v in catalogue().items() if k.startswith("paper.")}
    own = [residents.words(workspace, lang) for lang in LANGUAGES]
    audit = workspace.root / "exposure" / "shelter_audit.parquet"
    tables = [*workspace.base.glob("*.parquet"), *([audit] if audit.is_file() else [])]
    stamps = [
        my_place.stamp(workspace), area_map.stamps(workspace),
        [(p.name, p.stat().st_mtime_ns) for p in sorted(tables)],
    ]  # fmt: skip
    digest = hashlib.sha256(json.dumps([stamps, said, own_wording("paper"), own, url]).encode())
    for name in sorted(style):
        digest.update(name.encode() + style[name])
    return digest.hexdigest()[:12]


def _sheets(
    workspace: Workspace, known: list[sheet.District], hazards: list[str | None], version: str,
    put: Callable[[str, bytes], None], *, url: str, progress: Progress,
) -> None:  # fmt: skip
    """Every district, hazard and language; the ground is asked once for all languages."""
    total = len(known) * len(hazards)
    for number, district in enumerate(known):
        for step, hazard in enumerate(hazards):
            progress.update(number * len(hazards) + step, total, "paper")
            ground = sheet.surveyed(workspace, district, hazard)
            for lang in LANGUAGES:
                drawn = sheet.sheet(
                    workspace, district, hazard, lang=lang, drill=False, known=ground
                )
                pieces = sheet.page(
                    [drawn], title=f"{district.name} - {t('paper.index', lang)}", lang=lang, url=url,
                    root="../../../../", files="../../files/", status="../../../../status.json",
                    back=f"../../../{_list(hazards, hazard, lang)}",
                )  # fmt: skip
                put(f"paper/{version}/{_file(hazard, lang, number)}", "".join(pieces).encode())
    progress.update(total, total, "paper")


def _file(hazard: str | None, lang: str, number: int) -> str:
    return f"{hazard or NO_HAZARD}/{lang}/{number + 1:04d}.html"


def _list(hazards: list[str | None], hazard: str | None, lang: str) -> str:
    """The list of a hazard in a language; that of the first hazard in Japanese is the way in."""
    if hazard == hazards[0]:
        return "index.html" if lang == "ja" else f"{lang}.html"
    return f"{hazard}.{lang}.html"


def _links(
    known: list[sheet.District], hazards: list[str | None], hazard: str | None, lang: str,
    version: str,
) -> sheet.Links:  # fmt: skip
    where = {d.id: f"{version}/{_file(hazard, lang, n)}" for n, d in enumerate(known)}
    return sheet.Links(
        files=f"{version}/files/",
        district=where.__getitem__,
        hazard=partial(_list, hazards, lang=lang),
        language=partial(_list, hazards, hazard),
        home=f"../?lang={lang}",
    )


def _listed(known: list[sheet.District], hazards: list[str | None]) -> list[dict[str, str]]:
    return [
        {"district_id": d.id, "name": d.name, "hazard": h or NO_HAZARD, "language": lang,
         "file": _file(h, lang, n)}
        for n, d in enumerate(known) for h in hazards for lang in LANGUAGES
    ]  # fmt: skip


def _forget(folder: Path, current: str) -> None:
    """Remove old sheets but those of the last time, which lists opened before may still ask for."""
    old = sorted(
        (p for p in folder.iterdir() if p.is_dir() and p.name != current),
        key=lambda p: p.stat().st_mtime, reverse=True,
    )  # fmt: skip
    for path in old[KEPT_VERSIONS - 1 :]:
        shutil.rmtree(path, ignore_errors=True)
