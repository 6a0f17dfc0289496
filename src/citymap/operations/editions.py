"""Editions of the city model: a new one is imported beside the one in force, compared, and put in its place.

`editions/<name>/city/` is a workspace of its own whose unchanged files are links to the city's. It is
made ready there (exposure, tiles), so that the change itself is nothing but renames through the
journal of `citymap.workspace.replacing_together`: before the journal is written everything is as it
was, after it everything is new, whatever crashes. The edition that goes is kept for `rollback`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from citymap.assess import exposure, verdict_history
from citymap.errors import BadInputError
from citymap.operations import report_buildings
from citymap.plateau.compare import compare
from citymap.plateau.importer import ImportOptions, import_sources
from citymap.store import audit
from citymap.tiles import build as build_tiles
from citymap.workspace import Workspace, finish_commit, held, replacing_together, write_text

if TYPE_CHECKING:
    from citymap.progress import Progress
    from citymap.store import Store
    from citymap.workspace import City

IN_FORCE = "model.json"
TABLES = ("buildings.parquet", "building_surfaces.parquet", "building_attributes.parquet")
# What a data set of the city model may bring, beside the buildings; lists of places are not part of it.
SINGLE = ("terrain.tif", "roads.parquet", "districts.parquet", "addresses.parquet")
FOLDERS = ("base", "hazards")
_NAME = re.compile(r"^[0-9A-Za-z][0-9A-Za-z._-]{0,39}$")


@dataclass(frozen=True, slots=True)
class Edition:
    """One edition as `editions/<name>/edition.json` says it; `owned` are files that its import brought."""

    name: str
    created_at: str
    counts: Mapping[str, int] = field(default_factory=dict)
    owned: tuple[str, ...] = ()
    ready: Mapping[str, Sequence[int]] = field(default_factory=dict)
    changes: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class InForce:
    """`model.json`: which edition is in force, since when, and which one can be had back."""

    name: str
    since: str = ""
    by: str = ""
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class Switched:
    """What a change of edition did: `reports` counts by rule, `lost` lists those without a building."""

    name: str
    before: str
    reports: Mapping[str, int]
    lost: tuple[str, ...]


def _home(workspace: Workspace, name: str) -> Path:
    if not _NAME.match(name):
        raise BadInputError("bad_edition_name", name=name)
    return workspace.editions / name


def staged(workspace: Workspace, name: str) -> Workspace:
    """The edition's own workspace."""
    return Workspace(_home(workspace, name) / "city")


def comparison(workspace: Workspace, name: str) -> Path:
    """Where the comparison of an edition with the one in force lies."""
    return _home(workspace, name) / "compare"


def in_force(workspace: Workspace) -> InForce:
    """The edition in force; before the first change it is named by the buildings' own edition."""
    try:
        return InForce(**json.loads((workspace.root / IN_FORCE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        pass
    name = ""
    if workspace.buildings.is_file():
        found = pq.read_table(workspace.buildings, columns=["edition"])["edition"].drop_null()
        name = str(found[0].as_py()) if len(found) else ""
    return InForce(name if _NAME.match(name) else "first")


def edition(workspace: Workspace, name: str) -> Edition:
    """One edition beside the one in force.

    Raises:
        BadInputError: there is none of that name.
    """
    try:
        said = json.loads((_home(workspace, name) / "edition.json").read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise BadInputError("no_edition", name=name) from e
    return Edition(**{**said, "owned": tuple(said["owned"])})


def listed(workspace: Workspace) -> list[Edition]:
    """The editions beside the one in force, by name; those whose import did not end are left out."""
    now = in_force(workspace).name
    names = sorted(p.parent.name for p in workspace.editions.glob("*/edition.json"))
    return [edition(workspace, n) for n in names if n != now]


def _write(workspace: Workspace, one: Edition) -> Edition:
    text = json.dumps(asdict(one), ensure_ascii=False, indent=1)
    write_text(_home(workspace, one.name) / "edition.json", text)
    return one


def _link(source: Path, target: Path) -> None:
    """The file at a second place without its bytes twice where the disk can do that."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _mark(path: Path) -> tuple[int, int]:
    """What tells whether a file is the same: time in ns and size."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _model_files(root: Path) -> dict[str, Path]:
    """The files of the model beside the buildings, by their relative path."""
    paths = [root / n for n in SINGLE]
    for name in FOLDERS:
        paths += sorted((root / name).glob("*"))
    return {
        p.relative_to(root).as_posix(): p
        for p in paths
        if p.is_file() and not p.name.startswith(".")
    }


def _marks(root: Path) -> dict[str, tuple[int, int]]:
    return {name: _mark(path) for name, path in _model_files(root).items()}


def _share(workspace: Workspace, stage: Workspace, owned: Iterable[str]) -> None:
    """Let the stage have the city's present files where it has none of its own."""
    mine = set(owned)
    there = _model_files(workspace.root)
    for name, path in _model_files(stage.root).items():
        if name not in mine and (name not in there or _mark(path) != _mark(there[name])):
            path.unlink()
    for name, path in there.items():
        if name not in mine and not (stage.root / name).exists():
            _link(path, stage.root / name)


def add(
    workspace: Workspace, sources: Sequence[Path], name: str, *, workers: int = 2, progress: Progress
) -> Edition:  # fmt: skip
    """Import a data set as an edition beside the one in force, make it ready and compare it.

    Raises:
        BadInputError: the name cannot be used or is in use, or nothing could be imported.
        CancelledError: the person stopped it; nothing is left.
    """
    city = workspace.city()
    home = _home(workspace, name)
    if not workspace.buildings.is_file():
        raise BadInputError("no_buildings", path=workspace.root)
    if name == in_force(workspace).name or (home / "edition.json").exists():
        raise BadInputError("edition_exists", name=name)
    workspace.editions.mkdir(exist_ok=True)
    with held(workspace.editions / ".lock", "edition"):
        stage = staged(workspace, name)
        shutil.rmtree(home, ignore_errors=True)  # of an import that was interrupted
        stage.root.mkdir(parents=True)
        try:
            stage.write_city(replace(city, bbox=None))
            _share(workspace, stage, ())
            before = _marks(stage.root)
            options = ImportOptions(edition=name, zone=city.epsg, workers=workers)
            record = import_sources(sources, stage, options=options, progress=progress)
            if not stage.buildings.is_file():
                raise BadInputError("edition_no_buildings", name=name)
            after = _marks(stage.root)
            owned = sorted(n for n in after if after[n] != before.get(n))
            made = Edition(
                name, datetime.now(UTC).isoformat(timespec="seconds"), dict(record.counts), tuple(owned)
            )  # fmt: skip
            return _make_ready(workspace, made, progress)
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise


def _inputs(workspace: Workspace, one: Edition) -> dict[str, list[int]]:
    """What the edition was made ready with: the city's files that it shares or is compared with."""
    shared = {n: list(m) for n, m in _marks(workspace.root).items() if n not in one.owned}
    return {**shared, TABLES[0]: list(_mark(workspace.buildings))}


def is_ready(workspace: Workspace, one: Edition) -> bool:
    """Whether the city still is what the edition was made ready and compared with."""
    return _inputs(workspace, one) == {n: list(m) for n, m in one.ready.items()}


def _city_of(workspace: Workspace, stage: Workspace) -> City:
    """The city's facts with a box that holds both editions (the coverage of the map)."""
    city, box = workspace.city(), stage.city().bbox
    if box is None or city.bbox is None:
        return replace(city, bbox=box or city.bbox)
    a = city.bbox
    joined = (min(a[0], box[0]), min(a[1], box[1]), max(a[2], box[2]), max(a[3], box[3]))
    return replace(city, bbox=joined)


def _make_ready(workspace: Workspace, one: Edition, progress: Progress) -> Edition:
    stage = staged(workspace, one.name)
    ready = _inputs(workspace, one)
    _share(workspace, stage, one.owned)
    stage.write_city(_city_of(workspace, stage))
    try:
        exposure.compute(stage, progress=progress)
    except BadInputError as error:
        if error.key != "exposure_no_hazard":
            raise
        shutil.rmtree(stage.root / "exposure", ignore_errors=True)
    shutil.rmtree(stage.verdicts, ignore_errors=True)  # the history is the city's
    build_tiles(stage, progress=progress)
    changes = compare(
        workspace.buildings, stage.buildings, comparison(workspace, one.name),
        epsg=workspace.city().epsg, progress=progress,
    )  # fmt: skip
    return _write(workspace, replace(one, ready=ready, changes=changes))


def make_ready(workspace: Workspace, name: str, *, progress: Progress) -> Edition:
    """Bring exposure, tiles and comparison of an edition up to the city as it is now.

    Raises:
        BadInputError: there is no such edition.
    """
    one = edition(workspace, name)
    if name == in_force(workspace).name:
        raise BadInputError("edition_in_force", name=name)
    if is_ready(workspace, one):
        return one
    with held(workspace.editions / ".lock", "edition"):
        return _make_ready(workspace, one, progress)


def _derived(root: Path) -> list[str]:
    """Files made from the buildings that change with them."""
    found = [p for p in sorted((root / "exposure").glob("*")) if p.is_file() and p.name[0] != "."]
    names = [p.relative_to(root).as_posix() for p in found]
    return [*names, *(["tiles/manifest.json"] if (root / "tiles/manifest.json").is_file() else [])]


def _link_tree(source: Path, target: Path) -> None:
    """A folder at a second place, complete or not at all."""
    if target.is_dir():
        return
    work = target.with_name(f".{target.name}.linking")
    shutil.rmtree(work, ignore_errors=True)
    for path in sorted(source.rglob("*")):
        if path.is_file():
            _link(path, work / path.relative_to(source))
    work.rename(target)


def _tile_folders(stage: Path) -> list[Path]:
    tiles = stage / "tiles"
    return [p for p in sorted(tiles.glob("*")) if p.is_dir() and not p.name.startswith(".")]


def _keep(workspace: Workspace, now: InForce, coming: Edition, progress: Progress) -> None:
    """Lay the edition in force aside as it is, whole and ready for the way back."""
    home = _home(workspace, now.name)
    work, final = home / ".city", home / "city"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    root = workspace.root
    names = {"city.toml", *TABLES, *_model_files(root), *_derived(root)}
    for name in sorted(names):
        if (root / name).is_file():
            _link(root / name, work / name)
    for folder in _tile_folders(root):
        _link_tree(folder, work / "tiles" / folder.name)
    shutil.rmtree(final, ignore_errors=True)
    work.rename(final)
    follower = staged(workspace, coming.name).buildings
    changes = compare(
        follower, workspace.buildings, comparison(workspace, now.name),
        epsg=workspace.city().epsg, progress=progress,
    )  # fmt: skip
    counts = {"buildings": int(changes["new_total"])}
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    ready = {**_inputs(workspace, coming), TABLES[0]: list(_mark(follower))}
    _write(workspace, Edition(now.name, stamp, counts, coming.owned, ready, changes))


def activate(
    workspace: Workspace, name: str, *, store: Store | None, by: str, progress: Progress,
    cause: str = "model",
) -> Switched:  # fmt: skip
    """Put an edition in force; buildings, exposure, map, report references and verdict history together.

    What the edition was made ready with may have changed (a new hazard map): then it is made ready
    again first. Reports are carried over by the comparison (`report_buildings.parquet` says how).

    Raises:
        BadInputError: no such edition, it is in force already, or an import is at work.
    """
    finish_commit(workspace.root)
    progress.update(0, 1, "activate")
    make_ready(workspace, name, progress=progress)
    with (
        held(workspace.editions / ".lock", "edition"),
        held(workspace.imports / ".lock", "import"),
        held(workspace.tiles / ".lock", "tiles"),
    ):
        one = edition(workspace, name)
        if not is_ready(workspace, one):
            raise BadInputError("edition_not_ready", name=name)
        _keep(workspace, in_force(workspace), one, progress)
        return _switch(workspace, one, store, by, cause)


def _switch(
    workspace: Workspace, one: Edition, store: Store | None, by: str, cause: str
) -> Switched:
    stage, root, now = staged(workspace, one.name), workspace.root, in_force(workspace)
    at = datetime.now(UTC)
    for folder in _tile_folders(stage.root):
        _link_tree(folder, workspace.tiles / folder.name)
    names = {"city.toml", *TABLES, *one.owned, *_derived(root), *_derived(stage.root)}
    incoming = [n for n in sorted(names) if (stage.root / n).is_file()]
    outgoing = [root / n for n in sorted(names - set(incoming)) if (root / n).is_file()]
    mapping = pq.read_table(comparison(workspace, one.name) / "mapping.parquet").to_pandas()
    references = report_buildings.carried(workspace, stage, mapping, store, edition=one.name)
    was, is_now = verdict_history.state_of(workspace), verdict_history.state_of(stage)
    paths = {n: root / n for n in incoming}
    paths |= {"model": root / IN_FORCE, "references": workspace.report_buildings}
    if is_now is not None:
        paths["current"] = workspace.verdicts / "current.parquet"
        if was is not None:
            paths["log"] = verdict_history.log_path(workspace, cause, at)
    said = InForce(one.name, at.isoformat(timespec="seconds"), by, now.name)
    with replacing_together(root, paths, removed=outgoing) as temporary:
        for name in incoming:
            temporary[name].unlink(missing_ok=True)
            _link(stage.root / name, temporary[name])
        temporary["model"].write_text(json.dumps(asdict(said), ensure_ascii=False), "utf-8")
        report_buildings.write(references, temporary["references"])
        if is_now is not None:
            verdict_history.write_state(is_now, temporary["current"])
            if was is not None:
                log = verdict_history.of_new_edition(is_now, was, mapping, one.name)
                pq.write_table(log, temporary["log"], compression="zstd")
    with suppress(OSError):  # its files are the city's now; what stays behind does no harm
        shutil.rmtree(stage.root)
    counts, lost = report_buildings.summary(references)
    if store is not None:
        with store.write() as connection:
            audit.record(
                connection, actor=by, action=f"{cause}.activate", subject=one.name,
                before=now.name, reports=counts, lost=len(lost),
            )  # fmt: skip
    return Switched(one.name, now.name, counts, tuple(lost))


def rollback(
    workspace: Workspace, *, store: Store | None, by: str, progress: Progress
) -> Switched:  # fmt: skip
    """Put the edition before the last change in force again; the way forward stays open.

    Raises:
        BadInputError: nothing was changed yet, or the edition before was dropped.
    """
    finish_commit(workspace.root)
    before = in_force(workspace).previous
    if before is None or not (_home(workspace, before) / "edition.json").is_file():
        raise BadInputError("no_edition_before")
    return activate(workspace, before, store=store, by=by, progress=progress, cause="rollback")


def drop(workspace: Workspace, name: str) -> None:
    """Delete an edition that is not in force. The history of verdicts and references stays.

    Raises:
        BadInputError: there is none, or it is in force.
    """
    if name == in_force(workspace).name:
        raise BadInputError("edition_in_force", name=name)
    edition(workspace, name)
    with held(workspace.editions / ".lock", "edition"):
        (_home(workspace, name) / "edition.json").unlink()  # from here on it is none
        shutil.rmtree(_home(workspace, name))
