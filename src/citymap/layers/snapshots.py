"""Snapshots of another GIS's layers: taken on schedule, compared, and in effect once staff accept.

A watch is `snapshots/<id>.toml`; what was taken and waits lies in `snapshots/<id>/`, what is in effect
in `layers/<id>.parquet`. A server that is down or sends rubbish changes nothing.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import geopandas
import numpy as np
import shapely
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from citymap.errors import BadInputError
from citymap.layers.remote import Allowed, features
from citymap.places.layer_import import SIGNATURES, describe, open_vector
from citymap.workspace import Workspace, held, replacing, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable

SETTLED_S = 10.0  # a file that changed later than this may still be being copied
EXAMPLES = 500  # of differences that are listed one by one
RETRY_S = 300.0  # after the first failure; twice as long after each further one, up to `every_h`
NOTHING = ("nan", "None", "NaT", "<NA>")
Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")]


class Watch(BaseModel):
    """Where a layer comes from: a WFS or OGC API (`url`, `layer`), or files dropped in a `folder`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    id: Id
    kind: Literal["wfs", "oapif", "folder"]
    url: str = ""
    layer: str = ""
    folder: Path | None = None
    key: str = Field(default="", description="Column that names a feature; none: by its content")
    every_h: float = Field(default=24.0, gt=0, description="Hours between snapshots")

    @model_validator(mode="after")
    def _has_a_place(self) -> Watch:
        if self.kind == "folder":
            if self.folder is None:
                raise ValueError("folder is missing")
        elif not self.url.startswith(("https://", "http://")) or not self.layer:
            raise ValueError("url or layer is missing")
        return self


@dataclass(frozen=True, slots=True)
class Difference:
    """One feature that is new, gone or changed; `columns` are those that changed."""

    what: Literal["added", "removed", "changed"]
    key: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Differences:
    """What a snapshot would change."""

    added: int
    removed: int
    changed: int
    same: int
    columns_added: tuple[str, ...] = ()
    columns_removed: tuple[str, ...] = ()
    examples: tuple[Difference, ...] = ()

    @property
    def any(self) -> bool:
        """Whether anything changes at all."""
        return bool(
            self.added or self.removed or self.changed or self.columns_added or self.columns_removed
        )


@dataclass(frozen=True, slots=True)
class State:
    """How a watch stands: when it was last looked at, what went wrong, what waits for staff."""

    checked_at: str = ""
    error: str = ""
    pending: Differences | None = None
    taken_at: str = ""
    refused: str = ""  # digest of a snapshot that staff refused: it is not shown again
    seen: str = field(default="", compare=False)
    failures: int = 0  # in a row, up to now
    dropped: str = field(default="", compare=False)  # the file of the folder that was looked at


def watches(workspace: Workspace) -> list[Watch]:
    """All watches of a city.

    Raises:
        BadInputError: a file that is none.
    """
    return [_read(path) for path in sorted(folder(workspace).glob("*.toml"))]


def usable(workspace: Workspace) -> list[Watch]:
    """The watches that can be read: one broken file does not stop the others."""
    found = []
    for path in sorted(folder(workspace).glob("*.toml")):
        try:
            found.append(_read(path))
        except BadInputError:
            continue  # the page and `snapshot list` say so
    return found


def _read(path: Path) -> Watch:
    try:
        one = Watch.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as e:
        raise BadInputError("bad_watch", place=str(path), reason=e) from e
    if one.id != path.stem:
        raise BadInputError("bad_watch", place=str(path), reason=f"id = {one.id}")
    return one


def watch(workspace: Workspace, name: str) -> Watch:
    """One watch.

    Raises:
        BadInputError: there is none of that id.
    """
    for one in watches(workspace):
        if one.id == name:
            return one
    raise BadInputError("no_watch", place=name)


def folder(workspace: Workspace) -> Path:
    """Where watches and what they took lie."""
    return workspace.root / "snapshots"


def _own(workspace: Workspace, name: str) -> Path:
    return folder(workspace) / name


def state(workspace: Workspace, name: str) -> State:
    """How a watch stands; a watch that was never looked at stands empty."""
    try:
        said = json.loads((_own(workspace, name) / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return State()
    pending = said.pop("pending", None)
    if pending is not None:
        examples = tuple(
            Difference(d["what"], d["key"], tuple(d["columns"])) for d in pending.pop("examples")
        )
        more, less = (tuple(pending.pop(k)) for k in ("columns_added", "columns_removed"))
        pending = Differences(
            **pending, columns_added=more, columns_removed=less, examples=examples
        )
    return State(**said, pending=pending)


def _remember(workspace: Workspace, name: str, now: State) -> State:
    write_text(_own(workspace, name) / "state.json", json.dumps(asdict(now), ensure_ascii=False))
    return now


def due(workspace: Workspace, one: Watch, at: datetime) -> bool:
    """Whether it is time for the next look: after `every_h`, after a server's failure sooner and
    then ever later, and in a folder as soon as another whole file lies there."""
    now = state(workspace, one.id)
    if not now.checked_at:
        return True
    waited_s = (at - datetime.fromisoformat(now.checked_at)).total_seconds()
    if waited_s < -SETTLED_S:  # looked at under a clock that was ahead
        return True
    pause_s = one.every_h * 3600
    if now.failures and one.kind != "folder":  # there, a new file says that it may go on
        pause_s = min(pause_s, RETRY_S * 2.0 ** min(now.failures - 1, 20))
    if waited_s >= pause_s:
        return True
    return one.kind == "folder" and _lying(one) not in {"", now.dropped}


def all_due(workspace: Workspace, at: datetime) -> dict[str, str]:
    """The watches whose time has come, with what they were last looked at: ids to marks."""
    found = {}
    for one in usable(workspace):
        if due(workspace, one, at):
            last = state(workspace, one.id).checked_at
            found[one.id] = f"{last} {_lying(one) if one.kind == 'folder' else ''}".strip()
    return found


def _lying(one: Watch) -> str:
    """What names the file of a folder that `take` would read; empty where there is none."""
    assert one.folder is not None  # noqa: S101  (Watch has one)
    try:
        path = newest(one.folder)
        parts = (
            sorted(path.parent.glob(f"{path.stem}.*")) if path.suffix.lower() == ".shp" else [path]
        )
        return " ".join(f"{p.name}:{p.stat().st_mtime_ns}:{p.stat().st_size}" for p in parts)
    except (BadInputError, OSError):
        return ""


def take(
    workspace: Workspace, one: Watch, allowed: Allowed, *, at: datetime | None = None
) -> State:
    """Fetch, compare with what is in effect, and keep what differs until staff decide.

    What goes wrong is in the state; what is in effect and what waits stay as they are.
    """
    at = at or datetime.now(UTC)
    stamp = at.isoformat(timespec="seconds")
    with held(_own(workspace, one.id) / ".lock", one.id):
        before = state(workspace, one.id)
        dropped = _lying(one) if one.kind == "folder" else ""
        try:
            found = _fetched(one, allowed)
        except BadInputError as error:
            failed = replace(
                before, checked_at=stamp, error=error.message("ja"),
                failures=before.failures + 1, dropped=dropped,
            )  # fmt: skip
            return _remember(workspace, one.id, failed)
        seen = content(found)
        current = in_effect(workspace, one.id)
        differences = compared(current, found, one.key)
        waiting = _own(workspace, one.id) / "pending.parquet"
        if not differences.any or seen == before.refused:
            waiting.unlink(missing_ok=True)
            same = State(stamp, refused=before.refused, seen=seen, dropped=dropped)
            return _remember(workspace, one.id, same)
        with replacing(waiting) as temporary:
            found.to_parquet(temporary, schema_version="1.1.0", compression="zstd")
        taken = before.taken_at if seen == before.seen and before.pending else stamp
        waits = State(stamp, "", differences, taken, before.refused, seen, dropped=dropped)
        return _remember(workspace, one.id, waits)


def _fetched(one: Watch, allowed: Allowed) -> geopandas.GeoDataFrame:
    if one.kind == "folder":
        assert one.folder is not None  # noqa: S101  (Watch has one)
        return open_vector(newest(one.folder))
    return features(one.kind, one.url, one.layer, allowed, place=one.id)


def newest(dropped: Path) -> Path:
    """The file that was last dropped and is whole.

    Raises:
        BadInputError: there is none.
    """
    now = time.time()
    found = []
    for path in dropped.glob("*") if dropped.is_dir() else ():
        parts = [path]
        if path.suffix.lower() not in SIGNATURES or not path.is_file():
            continue
        if path.suffix.lower() == ".shp":
            beside = {p.suffix.lower(): p for p in dropped.glob(f"{path.stem}.*")}
            if not {".dbf", ".shx", ".prj"} <= set(beside):
                continue
            parts = list(beside.values())
        last = max(p.stat().st_mtime for p in parts)
        if now - last >= SETTLED_S:
            found.append((last, path))
    if not found:
        raise BadInputError("nothing_dropped", place=str(dropped))
    return max(found)[1]


def in_effect(workspace: Workspace, name: str) -> geopandas.GeoDataFrame | None:
    """The table that the map shows now; None before the first was accepted."""
    path = workspace.layers / f"{name}.parquet"
    return geopandas.read_parquet(path) if path.is_file() else None


def _texts(table: geopandas.GeoDataFrame, columns: Iterable[str]) -> dict[str, list[str]]:
    """Columns as texts that say the same for the same value; what is missing is empty."""
    out = {}
    for name in columns:
        values = [str(v) for v in table[name]]
        out[name] = ["" if v in NOTHING else v.removesuffix(".0") for v in values]
    return out


def _shapes(table: geopandas.GeoDataFrame) -> list[str]:
    normal = shapely.normalize(shapely.set_precision(np.asarray(table.geometry), 1e-9))
    return [str(w) for w in shapely.to_wkb(normal, hex=True)]


def _columns(table: geopandas.GeoDataFrame) -> list[str]:
    return [c for c in table.columns if c != table.geometry.name]


def content(table: geopandas.GeoDataFrame) -> str:
    """A digest of all features, whatever their order."""
    texts = _texts(table, sorted(_columns(table)))
    rows = sorted(zip(*texts.values(), _shapes(table), strict=True))
    return blake2b(repr((sorted(texts), rows)).encode(), digest_size=12).hexdigest()


def compared(
    old: geopandas.GeoDataFrame | None, new: geopandas.GeoDataFrame, key: str
) -> Differences:
    """What is different: by `key` where it is there and names each feature once, else by content.

    Without a key a changed feature is one that went and one that came.
    """
    if old is None:
        return Differences(len(new), 0, 0, 0, columns_added=tuple(_columns(new)))
    common = [c for c in _columns(new) if c in _columns(old)]
    more = tuple(c for c in _columns(new) if c not in common)
    less = tuple(c for c in _columns(old) if c not in common)
    was, now = _texts(old, common), _texts(new, common)
    was["geometry"], now["geometry"] = _shapes(old), _shapes(new)
    keyed = key in common and all(len(set(t[key])) == len(t[key]) for t in (was, now))
    if not keyed:
        before = Counter(zip(*was.values(), strict=True))
        after = Counter(zip(*now.values(), strict=True))
        listed = [
            *(Difference("added", " / ".join(r[:3])[:200]) for r in (after - before).elements()),
            *(Difference("removed", " / ".join(r[:3])[:200]) for r in (before - after).elements()),
        ]
        added = (after - before).total()
        removed = (before - after).total()
        return Differences(
            added, removed, 0, len(new) - added, more, less, tuple(listed[:EXAMPLES])
        )
    at_before = {k: i for i, k in enumerate(was[key])}
    at_after = {k: i for i, k in enumerate(now[key])}
    found = [Difference("added", k) for k in at_after if k not in at_before]
    found += [Difference("removed", k) for k in at_before if k not in at_after]
    added, removed = len(set(at_after) - set(at_before)), len(set(at_before) - set(at_after))
    for name, i in at_before.items():
        j = at_after.get(name)
        if j is not None:
            columns = tuple(c for c in was if was[c][i] != now[c][j])
            if columns:
                found.append(Difference("changed", name, columns))
    changed = len(found) - added - removed
    same = len(new) - added - changed
    return Differences(added, removed, changed, same, more, less, tuple(found[:EXAMPLES]))


def accept(workspace: Workspace, one: Watch) -> Differences:
    """Put what waits into effect; what was in effect can be had back by `rollback`.

    Raises:
        BadInputError: nothing waits.
    """
    with held(_own(workspace, one.id) / ".lock", one.id):
        now, waiting = _waiting(workspace, one)
        target = workspace.layers / f"{one.id}.parquet"
        previous = _previous(workspace, one.id)
        if target.is_file():
            with replacing(previous) as temporary:
                temporary.write_bytes(target.read_bytes())
        with replacing(target) as temporary:
            temporary.write_bytes(waiting.read_bytes())
        if not (workspace.layers / f"{one.id}.toml").is_file():
            describe(workspace, one.id, target, "vector", 6668, now.taken_at[:10])
        waiting.unlink()
        _remember(workspace, one.id, State(now.checked_at, seen=now.seen, dropped=now.dropped))
        assert now.pending is not None  # noqa: S101  (_waiting has looked)
        return now.pending


def _waiting(workspace: Workspace, one: Watch) -> tuple[State, Path]:
    now = state(workspace, one.id)
    path = _own(workspace, one.id) / "pending.parquet"
    if now.pending is None or not path.is_file():
        raise BadInputError("nothing_waits", place=one.id)
    return now, path


def refuse(workspace: Workspace, one: Watch) -> None:
    """Put what waits away; the same content is not offered again.

    Raises:
        BadInputError: nothing waits.
    """
    with held(_own(workspace, one.id) / ".lock", one.id):
        now, path = _waiting(workspace, one)
        path.unlink()
        refused = State(now.checked_at, refused=now.seen, seen=now.seen, dropped=now.dropped)
        _remember(workspace, one.id, refused)


def _previous(workspace: Workspace, name: str) -> Path:
    return _own(workspace, name) / "previous.parquet"


def has_previous(workspace: Workspace, name: str) -> bool:
    """Whether `rollback` has something to go back to."""
    return _previous(workspace, name).is_file()


def rollback(workspace: Workspace, one: Watch) -> None:
    """Put back what was in effect before the last acceptance; what is taken away is not offered again.

    Raises:
        BadInputError: there is nothing to go back to.
    """
    with held(_own(workspace, one.id) / ".lock", one.id):
        previous = _previous(workspace, one.id)
        if not previous.is_file():
            raise BadInputError("nothing_before", place=one.id)
        current = in_effect(workspace, one.id)
        target = workspace.layers / f"{one.id}.parquet"
        with replacing(target) as temporary:
            temporary.write_bytes(previous.read_bytes())
        previous.unlink()
        before = state(workspace, one.id)
        undone = content(current) if current is not None else ""
        (_own(workspace, one.id) / "pending.parquet").unlink(missing_ok=True)
        undo = State(before.checked_at, refused=undone, seen=before.seen, dropped=before.dropped)
        _remember(workspace, one.id, undo)
