"""Asks the live feeds in turn, from a thread of the worker; one that fails is left alone for longer."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from citymap.errors import BadInputError, CitymapError
from citymap.jobs.live_mqtt import Subscriptions
from citymap.layers.remote import Allowed, fetch
from citymap.live import feed_state, feeds, jma, levels, stations, warnings
from citymap.settings import Settings
from citymap.store import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.live.feeds import Feed
    from citymap.store import Store
    from citymap.workspace import Workspace

LOOK_S = 5.0
NEW_FILES = 20  # of a folder, the newest
NEW_DOCUMENTS = 40  # of one list
SETTLED_S = 2.0  # a file that changed later may still be being copied
FORGET_EVERY_S = 6 * 3600.0
_LOG = logging.getLogger(__name__)


def run(store: Store, workspace: Workspace, stop: threading.Event) -> None:
    """Ask every feed when it is due, until `stop`; nothing that a feed does ends this."""
    forgot = time.monotonic()
    said: set[str] = set()
    subscriptions = Subscriptions(store, workspace)
    while not stop.is_set():
        try:
            listed = feeds.feeds(workspace)
            subscriptions.tend(listed)
            for feed in listed:
                if stop.is_set():
                    break
                if feed.kind != "mqtt" and feed_state.claim(store, feed):
                    ask(store, workspace, feed)
            if time.monotonic() - forgot > FORGET_EVERY_S:
                levels.forget(store)
                forgot = time.monotonic()
        except StoreError:
            pass  # it comes back, and is said where it is asked
        except CitymapError as error:  # a feed's file that cannot be read
            if error.key not in said:
                _LOG.warning(error.message("en"))
            said.add(error.key)
        except Exception:
            _LOG.exception("live feeds")
        stop.wait(LOOK_S)
    subscriptions.close()


def ask(store: Store, workspace: Workspace, feed: Feed) -> CitymapError | None:
    """Ask one feed now and enter how it went; the error where it failed.

    Raises:
        StoreError: the store cannot be asked.
    """
    settings = Settings(city=workspace.root)
    allowed = Allowed(settings.remote_hosts, settings.remote_private)
    try:
        taken, refused, ok_at = _taken(store, workspace, feed, allowed)
    except StoreError:
        raise
    except CitymapError as error:
        feed_state.failed(store, feed, error)
        return error
    except Exception as error:  # a feed must not end the thread, whatever it sends
        _LOG.exception("feed %s", feed.id)
        wrong = BadInputError("live_no_table", place=f"{feed.id} ({type(error).__name__})")
        feed_state.failed(store, feed, wrong)
        return wrong
    feed_state.heard(store, feed, taken=taken, refused=refused, ok_at=ok_at)
    return None


def _taken(
    store: Store, workspace: Workspace, feed: Feed, allowed: Allowed
) -> tuple[int, dict[str, int], datetime]:
    at = datetime.now(UTC)
    if feed.folder is not None:
        paths = _dropped(feed, feed.folder)
        bodies = [(p.name, _read(p)) for p in paths]
        newest = max(p.stat().st_mtime for p in paths)
        at = min(at, datetime.fromtimestamp(newest, UTC))
    else:
        limit = jma.MAX_BYTES if feed.kind == "warnings" else feeds.MAX_BYTES
        bodies = [(feed.url, fetch(feed.url, allowed, limit=limit).body)]
    if feed.kind == "levels":
        known = stations.stations(workspace)
        if not known:
            raise BadInputError("live_no_stations", place=str(stations.path(workspace)))
        found = [r for _, body in bodies for r in feeds.readings(feed, body)]
        taken, refused = levels.record(store, found, known, feed=feed.id)
        if refused and sum(refused.values()) == len(found):
            raise BadInputError(
                "live_all_refused", place=feed.id,
                reasons=", ".join(f"{k} {n}" for k, n in sorted(refused.items())),
            )  # fmt: skip
        return taken, refused, at
    taken, refused = 0, {}
    for name, body in bodies:
        more, wrong = _bulletins(store, workspace, feed, allowed, name, body)
        taken += more
        for key, count in wrong.items():
            refused[key] = refused.get(key, 0) + count
    return taken, refused, at


def _bulletins(
    store: Store, workspace: Workspace, feed: Feed, allowed: Allowed, name: str, body: bytes
) -> tuple[int, dict[str, int]]:
    """What a document says, or the new documents of a list; one that is wrong does not stop the rest.

    Raises:
        BadInputError: `body` is no XML, or a document that the list names cannot be had: what it
            would have said is not known, so the feed has not been heard.
    """
    root = jma.parse(body, name)
    if not jma.is_list(root):
        source = f"{name} {hashlib.sha256(body).hexdigest()[:16]}"
        if warnings.seen(store, feed, [source]):
            return 0, {}
        return _bulletin(store, workspace, feed, source, body), {}
    addresses = jma.listed(root)
    known = warnings.seen(store, feed, addresses) | _passed(feed)
    done, problems = 0, []
    for address in [a for a in addresses if a not in known][-NEW_DOCUMENTS:]:
        try:
            content = fetch(address, allowed, limit=jma.MAX_BYTES).body
            done += _bulletin(store, workspace, feed, address, content)
        except StoreError:
            raise
        except BadInputError as error:
            problems.append(error)
    if problems:
        raise problems[0]
    return done, {}


def _bulletin(store: Store, workspace: Workspace, feed: Feed, source: str, content: bytes) -> int:
    """Keep what one document says of the city; 0 where it does not concern it.

    Raises:
        BadInputError: it cannot be read and may be about the city.
    """
    code = workspace.city().code
    try:
        found = jma.document(jma.parse(content, source), source, jma.tables(workspace))
    except BadInputError as error:
        ours = [*(feed.areas or [f"{code[:5]}00"]), *feed.rivers]
        if error.key == "jma_incomplete" and not any(w.encode() in content for w in ours):
            return 0
        raise
    kept = 0
    if found is not None:
        kept = warnings.record(store, feed, found, source=source, city_code=code)
    if not kept:
        _passed(feed).add(source)
    return kept


_passed_by: dict[str, set[str]] = {}


def _passed(feed: Feed) -> set[str]:
    """Documents that this process read and that do not concern the city."""
    mine = _passed_by.setdefault(feed.id, set())
    if len(mine) > 5_000:
        mine.clear()
    return mine


def _dropped(feed: Feed, folder: Path) -> list[Path]:
    """The newest files of the folder, the oldest of them first.

    Raises:
        BadInputError: no such folder, or nothing in it.
    """
    suffixes = {".xml"} if feed.kind == "warnings" else {".csv", ".json", ".txt"}
    found = []
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.suffix.lower() in suffixes and path.is_file() and not path.is_symlink():
                changed = path.stat().st_mtime
                if time.time() - changed > SETTLED_S:
                    found.append((changed, path))
    if not found:
        raise BadInputError("live_no_files", place=str(folder))
    return [path for _, path in sorted(found)[-NEW_FILES:]]


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > feeds.MAX_BYTES:
            raise BadInputError("live_too_large", place=path.name, mb=feeds.MAX_BYTES >> 20)
        return path.read_bytes()
    except OSError as e:
        raise BadInputError("live_no_files", place=str(path)) from e
