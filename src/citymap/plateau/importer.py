"""`citymap import`: what SRC holds, file by file, into the workspace; resumable and recorded."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from citymap import __version__, crs
from citymap.errors import BadInputError, CitymapError
from citymap.plateau.archive import SourceFile, discover
from citymap.plateau.codelist import Codelists
from citymap.plateau.merge import merge_parts
from citymap.plateau.parts import (
    READER_VERSION,
    FileReport,
    do_without_pandas,
    most_common_city,
    read_report,
    sha256_of,
    use_lean_memory,
    write_report,
)
from citymap.plateau.raw import Skipped
from citymap.progress import Progress, Quiet
from citymap.workspace import City, Workspace, finish_commit, held, write_text

T = TypeVar("T")
_BUILDINGS = ("bldg", "ubld", "unknown")
SMALL_BYTES = 24 << 20  # below this in all, worker processes cost more than they save


@dataclass(slots=True)
class ImportRecord:
    """What `imports/<id>.json` says."""

    id: str
    started: str
    citymap: str = __version__
    edition: str | None = None
    files: list[dict[str, Any]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    failed: list[dict[str, str | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> str:
        """The record as indented JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, default=str)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the command line says beyond the sources."""

    edition: str | None = None
    zone: int | None = None
    kind: str | None = None
    layer_id: str | None = None
    name: str | None = None
    workers: int = 2
    legend: str | None = None


def _lean_worker() -> None:
    """Set up a worker process."""
    use_lean_memory()


def _building_worker() -> None:
    """Set up a worker process that reads building files and nothing else."""
    use_lean_memory()
    do_without_pandas()


def _in_worker(function: Callable[..., T], *arguments: object) -> T:
    """Run a function in a process of its own, so that its memory ends with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_lean_worker) as pool:
        return pool.submit(function, *arguments).result()


def _work(
    file: SourceFile, path: Path, out: Path, edition: str | None, codelists: Codelists
) -> FileReport:
    """One building file into its part; a finished part of the same bytes is taken as it is."""
    from citymap.plateau.building_file import read_building_file  # noqa: PLC0415  (numba: 80 MB)

    use_lean_memory()
    done = read_report(out)
    if done is not None and done.sha256 == sha256_of(path):
        return done
    shutil.rmtree(out, ignore_errors=True)
    report = read_building_file(
        path, out, source_file=file.name, edition=edition, codelists=codelists
    )
    write_report(report, out)
    return report


def import_sources(
    sources: Sequence[Path], workspace: Workspace, *, options: ImportOptions, progress: Progress
) -> ImportRecord:
    """Import files, folders and zips into a workspace (created on first use).

    The tables of the workspace are replaced only when the new ones are complete: a crash, a
    cancellation or a bad file leaves the old ones. Finished files of an interrupted import are
    not read again.

    Raises:
        BadInputError: nothing of the sources could be imported, or another import is at work.
    """
    use_lean_memory()
    for source in sources:
        if not source.exists():
            raise BadInputError("not_found", path=source)
    with held(workspace.imports / ".lock", "import"):
        finish_commit(workspace.root)
        return _import(sources, workspace, options, progress)


def _import(
    sources: Sequence[Path], workspace: Workspace, options: ImportOptions, progress: Progress
) -> ImportRecord:
    begun = time.monotonic()
    stamp = datetime.now(UTC)
    record = ImportRecord(stamp.strftime("%Y%m%dT%H%M%SZ"), stamp.isoformat(timespec="seconds"))
    work = workspace.root / "imports" / ".work"
    work.mkdir(parents=True, exist_ok=True)
    files = discover(sources, work / "unpacked", progress=progress)
    if not files:
        raise BadInputError("nothing_to_import", place=", ".join(str(s) for s in sources))
    if not workspace.exists() and options.kind is None and all(f.theme == "geotiff" for f in files):
        raise BadInputError("raster_needs_as", place=files[0].name)  # before a city is made of it
    record.edition = options.edition or next((f.edition for f in files if f.edition), None)
    codelists = Codelists(_roots(files, sources))
    editions = {f.edition for f in files if f.edition}
    if len(editions) > 1:
        record.notes.append(f"mixed_editions: {', '.join(sorted(editions))}")

    # what cannot be told apart is tried as buildings: the reader then says what is wrong with it
    buildings = [f for f in files if f.theme in _BUILDINGS]
    parts = _read_buildings(buildings, work / "parts", record, codelists, options, progress)
    others = [f for f in files if f.theme not in _BUILDINGS]
    if record.failed and not parts and not others:
        _write_record(workspace, record, begun)
        raise _first_failure(record)
    _ensure_city(workspace, files, parts, codelists, options, record)
    if parts:
        _merge(workspace, parts, record, progress)
    from citymap.plateau.other_themes import import_others  # noqa: PLC0415

    import_others(
        workspace, others, codelists=codelists, options=options, record=record, progress=progress
    )
    if not record.counts:
        _write_record(workspace, record, begun)
        if record.failed:
            raise _first_failure(record)
        raise BadInputError("nothing_to_import", place=", ".join(str(s) for s in sources))
    _write_record(workspace, record, begun)
    shutil.rmtree(work, ignore_errors=True)
    progress.update(1, 1, "done")
    return record


def _first_failure(record: ImportRecord) -> BadInputError:
    first = record.failed[0]
    return BadInputError(
        "import_failed", place=first["place"], reason=first["message"], advice=first["remedy"] or ""
    )


def _roots(files: Iterable[SourceFile], sources: Sequence[Path]) -> list[Path]:
    """Folders that code lists may be taken from: the data sets' roots, and every codelists/ in SRC."""
    roots = {f.root for f in files if f.root is not None}
    for source in sources:
        if source.is_dir():
            roots |= {
                p.parent for p in source.rglob("codelists") if p.is_dir() and not p.is_symlink()
            }
    return sorted(roots)


def _write_record(workspace: Workspace, record: ImportRecord, begun: float) -> None:
    record.seconds = round(time.monotonic() - begun, 3)
    write_text(workspace.imports / f"{record.id}.json", record.as_json())


def _read_buildings(
    files: list[SourceFile], parts: Path, record: ImportRecord, codelists: Codelists,
    options: ImportOptions, progress: Progress,
) -> list[tuple[SourceFile, Path]]:  # fmt: skip
    """Every building file into a part; failures are recorded, the others go on."""
    total = sum(f.size for f in files) or 1
    finished: dict[int, Path] = {}
    done = 0

    def settle(i: int, get: Callable[[], FileReport]) -> None:
        nonlocal done
        file = files[i]
        try:
            report = get()
        except CitymapError as e:
            record.failed.append({**e.as_dict(), "place": e.place or file.name})
        except (OSError, ValueError) as e:
            record.failed.append(
                {"error": "unreadable", "place": file.name, "message": str(e), "remedy": None}
            )
        else:
            finished[i] = out[i]
            entry = asdict(report)
            skipped = [Skipped(**s) for s in entry.pop("skipped")]
            record.skipped += skipped
            record.files.append(entry)
        done += file.size
        progress.update(done, total, f"bldg {file.name}")

    out = [parts / f"{READER_VERSION}-{i:04d}-{_safe(f.name)}" for i, f in enumerate(files)]
    editions = [options.edition or f.edition for f in files]
    progress.update(0, total, "bldg")
    if total > SMALL_BYTES:
        context = get_context("spawn")
        with ProcessPoolExecutor(
            min(options.workers, len(files)), mp_context=context, initializer=_building_worker
        ) as pool:
            order = sorted(range(len(files)), key=lambda i: -files[i].size)
            waiting = {
                pool.submit(_work, files[i], files[i].path, out[i], editions[i], codelists): i
                for i in order
            }
            try:
                while waiting:
                    ready, _ = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in ready:
                        settle(waiting.pop(future), future.result)
                    progress.update(done, total, "bldg")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    else:
        for i, file in enumerate(files):
            settle(i, lambda i=i, file=file: _work(file, file.path, out[i], editions[i], codelists))  # type: ignore[misc]
    return [(files[i], finished[i]) for i in sorted(finished)]


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in name)[-80:]


def _merge(
    workspace: Workspace,
    parts: list[tuple[SourceFile, Path]],
    record: ImportRecord,
    progress: Progress,
) -> None:
    replaced = {f.name for f, _ in parts}
    arguments = (workspace, [p for _, p in parts], replaced, Quiet())
    progress.update(0, 1, "merge")
    large = sum(f.size for f, _ in parts) > SMALL_BYTES
    count, collisions, bbox = (
        _in_worker(merge_parts, *arguments) if large else merge_parts(*arguments)
    )
    for old, new in collisions:
        record.skipped.append(Skipped("", 0, old, "gml_id_collision", f"kept as {new}"))
    record.counts["buildings"] = sum(
        int(e["counts"]["buildings"]) for e in record.files if "counts" in e
    )
    record.counts["buildings_in_city"] = count
    if bbox is not None:
        workspace.extend_bbox(bbox)


def _ensure_city(
    workspace: Workspace, files: Iterable[SourceFile], parts: list[tuple[SourceFile, Path]],
    codelists: Codelists, options: ImportOptions, record: ImportRecord,
) -> None:  # fmt: skip
    """Write city.toml on first use; on later ones only note when the code differs."""
    codes = Counter(f.city_code for f in files if f.city_code)
    code = codes.most_common(1)[0][0] if codes else None
    if code is None:
        code = next((c for _, p in parts if (c := most_common_city(p))), None)
    if workspace.exists():
        city = workspace.city()
        if code and city.code[:5] != code[:5]:
            record.notes.append(f"other_city: {code} imported into {city.code}")
        return
    guess = False
    if options.zone is not None:
        epsg = options.zone
    elif code is not None:
        epsg = crs.zone_epsg(code)
    else:
        from citymap.plateau.position import guess_zone  # noqa: PLC0415  (geopandas: only where needed)

        epsg, guess = guess_zone(files, (p for _, p in parts)), True
    name = options.name
    folder = next((f.city_name for f in files if f.city_name), None)
    if name is None and code is not None:
        name = next(
            (n for f, _ in parts if (n := codelists.decode(_AUTHORITIES, code[:5], f.path))), None
        )
    workspace.root.mkdir(parents=True, exist_ok=True)
    fictional = bool(name and "架空" in name)
    name_en = english_name(folder, fictional=fictional)
    workspace.write_city(
        City(
            name=name or folder or code or workspace.root.name, code=code or "", epsg=epsg,
            zone_is_guess=guess, name_en=name_en, fictional=fictional,
        )
    )  # fmt: skip


_ENDINGS = {"shi": "City", "ku": "Ward", "cho": "Town", "machi": "Town", "mura": "Village", "son": "Village", "to": "Metropolis"}  # fmt: skip


def english_name(folder: str | None, *, fictional: bool) -> str:
    """The name in a PLATEAU folder (`osaka-shi`) as one writes it: Osaka City; empty without one."""
    if not folder:
        return ""
    stem, _, ending = folder.rpartition("-")
    name = f"{stem.title()} {_ENDINGS[ending]}" if stem and ending in _ENDINGS else folder.title()
    return f"{name} (fictional)" if fictional else name


_AUTHORITIES = "../../codelists/Common_localPublicAuthorities.xml"
