"""Restore drills: backups taken under fire, archives damaged, processes killed; prints what held.

python benchmarks/restore_drills.py [--city DIR] [--drills 20] [--seed 1]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from citymap.errors import BadInputError
from citymap.operations import backup as backups
from citymap.progress import Quiet
from citymap.store import audit, open_store
from citymap.workspace import Workspace, write_text

COMMAND = [sys.executable, "-m", "citymap.cli"]


def writer(city: Workspace, stop: threading.Event, acknowledged: list[int]) -> None:
    """A file, then a row that speaks of it; acknowledged only when both are on the disk."""
    store = open_store(city)
    number = 0
    while not stop.is_set():
        number += 1
        body = hashlib.sha256(str(number).encode()).hexdigest() * 200
        write_text(city.root / "photos" / f"drill-{number}.txt", body)
        with store.write() as connection:
            audit.record(connection, actor="drill", action="drill.kept", subject=str(number))
        acknowledged.append(number)
        write_text(city.root / "status.json", f'{{"n": {number}}}')
        stop.wait(0.01)
    store.close()


def check(city: Workspace, at_least: int) -> str:
    """Empty when everything acknowledged before the backup is back, row and file."""
    store = open_store(city, check=True)
    try:
        kept = {int(e.subject) for e in audit.entries(store) if e.action == "drill.kept"}
        if not set(range(1, at_least + 1)) <= kept:
            return f"{at_least - len(kept)} rows lost"
        missing = [n for n in kept if not (city.root / "photos" / f"drill-{n}.txt").is_file()]
        broken = audit.broken_at(store)
    finally:
        store.close()
    if missing:
        return f"{len(missing)} files lost"
    return f"audit broken at {broken}" if broken else ""


def main() -> None:
    """Run the drills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--city", type=Path, default=Path("data/plateau/demo"))
    parser.add_argument("--drills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)
    held: dict[str, list[str]] = {}
    seconds: dict[str, list[float]] = {"backup": [], "restore": []}
    with tempfile.TemporaryDirectory(prefix="citymap-drills-") as folder:
        base = Path(folder)
        city = Workspace(base / "city")
        shutil.copytree(given.city, city.root, ignore=shutil.ignore_patterns("store.sqlite*", ".*"))
        open_store(city).close()
        stop, acknowledged = threading.Event(), []
        thread = threading.Thread(target=writer, args=(city, stop, acknowledged), daemon=True)
        thread.start()
        time.sleep(0.5)
        archives = []
        for drill in range(given.drills):
            known = len(acknowledged)
            start = time.perf_counter()
            target = base / f"{drill}.zip"
            backups.back_up(city, target, progress=Quiet())
            seconds["backup"].append(time.perf_counter() - start)
            start = time.perf_counter()
            back = Workspace(base / f"restored-{drill}")
            backups.restore(target, back, progress=Quiet())
            seconds["restore"].append(time.perf_counter() - start)
            held.setdefault("under fire", []).append(check(back, known))
            shutil.rmtree(back.root)
            archives.append(target)
            if len(archives) > 1:
                archives.pop(0).unlink()
        stop.set()
        thread.join()
        whole = archives[-1].read_bytes()
        for _ in range(given.drills):
            bad = bytearray(whole)
            bad[chance.randrange(len(bad) * 9 // 10)] ^= 1 << chance.randrange(8)
            damaged = base / "damaged.zip"
            damaged.write_bytes(bad)
            back = Workspace(base / "from-damaged")
            try:
                backups.restore(damaged, back, progress=Quiet())
                said = check(back, 0)  # the bit was one that nothing depends on
                shutil.rmtree(back.root)
            except BadInputError:
                said = "something was left" if back.root.exists() else ""
            held.setdefault("one bit flipped", []).append(said)
        for kind in ("backup", "restore"):
            for _ in range(given.drills):
                target, back = base / "killed.zip", base / "killed"
                target.unlink(missing_ok=True)
                arguments = (
                    ["backup", str(target), "--city", str(city.root)]
                    if kind == "backup"
                    else ["restore", str(archives[-1]), "--city", str(back)]
                )
                process = subprocess.Popen(
                    [*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
                time.sleep(0.6 + chance.random() * 1.2)
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                said = ""
                try:
                    if kind == "backup" and target.exists():
                        backups.verify(target, progress=Quiet())
                    if kind == "restore" and back.exists():
                        said = check(Workspace(back), 0)
                except BadInputError as error:
                    said = str(error)
                shutil.rmtree(back, ignore_errors=True)
                held.setdefault(f"killed in {kind}", []).append(said)
    failed = 0
    for name, results in held.items():
        bad_ones = [r for r in results if r]
        failed += len(bad_ones)
        print(f"{name:20} {len(results) - len(bad_ones)}/{len(results)} {'; '.join(bad_ones[:3])}")
    for name, times in seconds.items():
        print(f"{name:20} median {sorted(times)[len(times) // 2]:.2f} s")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
