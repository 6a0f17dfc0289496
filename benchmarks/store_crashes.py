"""Acknowledged commits under `kill -9`, and under a disk that drops what was not synced.

python benchmarks/store_crashes.py [--kills 1000] [--postgresql 300] [--drops 200] [--only sqlite]

`kill -9` alone cannot tell `synchronous=FULL` from `NORMAL`, since the page cache survives; the
second part can. As a control the same part runs with `NORMAL`, where commits must go missing.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import event, insert, select

from citymap.store import Store, open_store, redo
from citymap.store.tables import FACTS

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
import postgres_server  # noqa: E402

SECTOR = 512
HEAD = struct.Struct("<qqq")


@dataclass
class Count:
    """What came of it."""

    lives: int = 0
    acknowledged: set[str] = field(default_factory=set)
    stored: int = 0
    lost: int = 0
    damaged: int = 0


def live(where: str | Path, number: int, report: int, *, weak: bool) -> None:
    """Commit until killed; every acknowledged name goes down the pipe."""
    store = open_store(where, patience_s=30)
    if weak:
        store.engine.dispose()

        @event.listens_for(store.engine, "connect")
        def normal(connection: object, _record: object) -> None:
            connection.execute("PRAGMA synchronous=NORMAL")  # type: ignore[attr-defined]

    for i in range(1_000_000):
        name = f"{number}.{i}"
        with store.write() as connection:
            connection.execute(insert(FACTS).values(name=name, value="x" * random.randint(1, 3000)))
        os.write(report, f"{name}\n".encode())


def one_life(where: str | Path, number: int, count: Count, *, weak: bool = False) -> int:
    """Fork a client, kill it at a random moment; how many commits it acknowledged."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            live(where, number, write, weak=weak)
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
        os._exit(1)
    os.close(write)
    first = os.read(read, 65536)  # it lives: at least one commit
    time.sleep(random.random() * 0.04)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    said = first
    while more := os.read(read, 65536):
        said += more
    os.close(read)
    names = said.decode().splitlines()
    count.acknowledged |= set(names)
    count.lives += 1
    return len(names)


def verify(where: str | Path, count: Count) -> None:
    """Compare what is stored with what was acknowledged."""
    store: Store = open_store(where, check=True, patience_s=60)
    with store.read() as connection:
        stored = set(connection.execute(select(FACTS.c.name)).scalars())
    store.close()
    missing = count.acknowledged - stored
    count.lost += len(missing)
    count.acknowledged -= missing
    count.stored = len(stored)


def kills(where: str | Path, lives: int, title: str, server: postgres_server.Server | None) -> bool:
    """Kill a client `lives` times, and every tenth time the server too."""
    count, crashed, start = Count(), 0, time.monotonic()
    for number in range(lives):
        one_life(where, number, count)
        if server is not None and number % 10 == 9:
            server.stop(signal.SIGQUIT)  # no shutdown: recovery from the log at the next start
            server.start()
            crashed += 1
        if number % 50 == 49 or number == lives - 1:
            verify(where, count)
    print(
        f"{title}: {lives} kills{f', {crashed} server crashes' if crashed else ''}: "
        f"{len(count.acknowledged) + count.lost} commits acknowledged, {count.lost} lost, "
        f"{count.stored - len(count.acknowledged)} stored without acknowledgement "
        f"({time.monotonic() - start:.0f} s)",
        flush=True,
    )
    return count.lost == 0


def crash(folder: Path, undo: Path, keep: random.Random | None) -> None:
    """Give the files the content they would have after a power cut.

    Without `keep` every unsynced write is gone; with it, each sector is the old or the new one.
    """
    for journal in undo.glob("*.undo"):
        target = folder / journal.name.removesuffix(".undo")
        raw = journal.read_bytes()
        journal.unlink()
        if not raw or not target.exists():
            continue
        now = target.read_bytes()
        then = bytearray(now)
        records, at = [], 0
        while at + HEAD.size <= len(raw):
            offset, length, size = HEAD.unpack_from(raw, at)
            at += HEAD.size
            if at + length > len(raw):
                break  # killed while remembering: that write did not happen
            records.append((offset, raw[at : at + length], size))
            at += length
        for offset, old, size in reversed(records):
            if len(then) < size:
                then.extend(bytes(size - len(then)))
            then[offset : offset + len(old)] = old
            del then[size:]
        if keep is not None:
            longer = max(len(now), len(then))
            size = keep.choice([len(now), len(then)])
            mixed = bytearray(longer)
            for start in range(0, longer, SECTOR):
                source = now if keep.random() < 0.5 else bytes(then)
                piece = source[start : start + SECTOR]
                mixed[start : start + len(piece)] = piece
            then = mixed[:size]
        target.write_bytes(then)
    for index in folder.glob("*-shm"):
        index.unlink()
    # The store's own second record would make the loss good: here the file alone has to hold.
    where = folder / "store.sqlite"
    redo.mirror_of(where).unlink(missing_ok=True)
    redo.redo_of(where).unlink(missing_ok=True)


def drops(lives: int, *, weak: bool) -> bool:
    """Power cuts: half lose every unsynced write, half a random part of them."""
    folder = Path(os.environ["CITYMAP_FAULT_DIR"])
    undo = Path(os.environ["CITYMAP_FAULT_UNDO"])
    where, count, start = folder / "store.sqlite", Count(), time.monotonic()
    open_store(where).close()
    chance = random.Random(7)
    for number in range(lives):
        for journal in undo.glob("*.undo"):
            journal.unlink()
        one_life(where, number, count, weak=weak)
        crash(folder, undo, None if number % 2 == 0 else chance)
        try:
            verify(where, count)
        except Exception as error:
            count.damaged += 1
            print(f"  crash {number}: {error}", flush=True)
            if not weak:
                return False
            shutil.rmtree(folder)
            folder.mkdir()
            open_store(where).close()
            count.acknowledged.clear()
    total = len(count.acknowledged) + count.lost
    print(
        f"{'NORMAL (control)' if weak else 'FULL'}: {lives} power cuts: {total} commits "
        f"acknowledged, {count.lost} lost, {count.damaged} damaged ({time.monotonic() - start:.0f} s)",
        flush=True,
    )
    return (count.lost > 0) if weak else (count.lost == 0)


def drops_below_a_fault_layer(lives: int, *, weak: bool) -> bool:
    """Build the layer and run `drops` in a process that has it."""
    with tempfile.TemporaryDirectory(prefix="citymap-drop-") as place:
        layer = Path(place) / "drop_unsynced.so"
        source = HERE / "drop_unsynced.c"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O2", "-o", layer, source, "-ldl", "-lpthread"], check=True
        )
        for name in ("disk", "undo"):
            (Path(place) / name).mkdir()
        environment = {
            **os.environ,
            "LD_PRELOAD": str(layer),
            "CITYMAP_FAULT_DIR": str(Path(place) / "disk"),
            "CITYMAP_FAULT_UNDO": str(Path(place) / "undo"),
        }
        command = [sys.executable, __file__, "--below", str(lives), *(["--weak"] if weak else [])]
        return subprocess.run(command, env=environment, check=False).returncode == 0


def main() -> None:
    """Run the parts; exit 1 when a commit was lost, or the control lost none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--postgresql", type=int, default=300)
    parser.add_argument("--drops", type=int, default=200)
    parser.add_argument("--only", choices=["sqlite", "postgresql", "drops"])
    parser.add_argument("--below", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--weak", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.below is not None:
        sys.exit(not drops(given.below, weak=given.weak))
    fine = []
    if given.only in {None, "sqlite"}:
        with tempfile.TemporaryDirectory(prefix="citymap-kill-") as place:
            fine.append(kills(Path(place) / "store.sqlite", given.kills, "SQLite", None))
    if given.only in {None, "postgresql"}:
        try:
            with postgres_server.server() as server:
                url = server.database("kills")
                fine.append(kills(url, given.postgresql, "PostgreSQL", server))
        except postgres_server.CannotStartError as why:
            print(f"PostgreSQL: not measured, {why}")
    if given.only in {None, "drops"}:
        fine.append(drops_below_a_fault_layer(given.drops, weak=False))
        fine.append(drops_below_a_fault_layer(min(given.drops, 30), weak=True))
    with suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
