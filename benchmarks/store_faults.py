"""Drills: each fault of the store and the jobs many times, with what must come out of it.

python benchmarks/store_faults.py [--times 20] [--outage-s 60] [--only disk_full]

Each drill acknowledges commits, breaks something, and checks that the state was said, that nothing
acknowledged is lost, and that work goes on without hands. One outage of the database lasts
`--outage-s`, the others three seconds.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert, select

from citymap.errors import CancelledError
from citymap.jobs import KINDS, Kind, worker
from citymap.store import Store, StoreError, accounts, engine, jobs, open_store, sessions
from citymap.store.accounts import Role
from citymap.store.repair import Keeper, open_or_repair
from citymap.store.tables import FACTS
from citymap.workspace import Workspace

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
import postgres_server  # noqa: E402

LAYER = "CITYMAP_FAULT_UNDO"


def keep(store: Store, *names: str, size: int = 200) -> set[str]:
    """Acknowledge commits."""
    for name in names:
        with store.write() as connection:
            connection.execute(insert(FACTS).values(name=name, value="x" * size))
    return set(names)


def kept(store: Store) -> set[str]:
    """What is stored."""
    with store.read() as connection:
        return set(connection.execute(select(FACTS.c.name)).scalars())


def said(call: Callable[[], object]) -> str:
    """The key of the error that a call gives, or nothing."""
    try:
        call()
    except StoreError as error:
        return error.key
    return ""


def disk_full(folder: Path, chance: random.Random) -> bool:
    """Writes fail with ENOSPC for a while; then there is space again."""
    full = Path(os.environ[LAYER]) / "full"
    store = open_store(folder / "store.sqlite")
    names = keep(store, *(f"a{i}" for i in range(chance.randint(1, 20))))
    full.touch()
    keys = {
        said(lambda i=i: keep(store, f"never{i}", size=chance.choice([10, 9000]))) for i in range(5)
    }
    reads = kept(store) == names
    full.unlink()
    names |= keep(store, "after")
    store.close()
    again = open_store(folder / "store.sqlite", check=True)
    whole = kept(again) == names
    again.close()
    return keys == {"store_full"} and reads and whole


def read_only(folder: Path, chance: random.Random) -> bool:
    """The folder turns read-only under a running process (of an ordinary user), and back."""
    del chance
    store = open_store(folder / "store.sqlite")
    names = keep(store, "before")
    store.close()
    folder.chmod(0o555)
    for file in folder.iterdir():
        file.chmod(0o444)
        os.chown(file, 65534, 65534)
    os.chown(folder, 65534, 65534)
    pid = os.fork()
    if pid == 0:
        os.setgid(65534)
        os.setuid(65534)
        key = said(lambda: keep(open_store(folder / "store.sqlite", patience_s=0.5), "never"))
        os._exit(0 if key == "store_read_only" else 1)
    code = os.waitpid(pid, 0)[1]
    folder.chmod(0o755)
    for file in folder.iterdir():
        file.chmod(0o600)
        os.chown(file, 0, 0)
    store = open_store(folder / "store.sqlite", check=True)
    names |= keep(store, "after")
    whole = kept(store) == names
    store.close()
    return code == 0 and whole


def wrong_clock(folder: Path, chance: random.Random) -> bool:
    """Two days ahead or behind: no job is given up, nobody locked out, no session outlives itself."""
    store = open_store(folder / "store.sqlite")
    account = accounts.add(store, "hana", Role.STAFF, "a long phrase of mine", by="drill")
    jobs.submit(store, "x", by="hana", attempts=2)
    job = jobs.claim(store, "elsewhere 1 1")
    watch = jobs.Watch()
    watch.look(store)
    shift = timedelta(days=chance.choice([2, -2]))
    true = {module: module.now for module in (jobs, accounts, sessions)}
    for module, now in true.items():
        module.now = lambda now=now: now() + shift
    calm = watch.look(store) == [] and job is not None and jobs.beat(store, job) is True
    later = sessions.start(store, account)
    for _ in range(accounts.FREE_FAILURES):
        said_wrong(store)
    for module, now in true.items():
        module.now = now
    calm = calm and watch.look(store) == [] and sessions.find(store, later) is None
    calm = calm and accounts.log_in(store, "hana", "a long phrase of mine").name == "hana"
    store.close()
    return calm


def said_wrong(store: Store) -> None:
    """One wrong password."""
    try:
        accounts.log_in(store, "hana", "wrong")
    except accounts.AccountError:
        return


def spoiled_page(folder: Path, chance: random.Random) -> bool:
    """Noise over pages of the file while it is open: found, rebuilt, nothing lost."""
    path = folder / "store.sqlite"
    store, _ = open_or_repair(path)
    names = keep(store, *(f"a{i}" for i in range(chance.randint(50, 150))))
    if chance.random() < 0.5:
        store.refresh_mirror()
        names |= keep(store, *(f"b{i}" for i in range(20)))
    store.close()
    keeper = Keeper(path, open_store(path), every_s=0)
    keeper.store.close()
    pages = path.stat().st_size // 4096
    with path.open("r+b") as handle:
        for page in chance.sample(range(pages), min(pages, chance.randint(2, 6))):
            handle.seek(page * 4096)
            handle.write(chance.randbytes(4096))
    found = keeper.damaged()
    if not found:  # the noise fell on free pages: nothing that counts was hit
        whole = kept(keeper.store) == names
        keeper.store.close()
        return whole
    keeper.repair()
    whole = kept(keeper.store) == names
    keep(keeper.store, "after")
    keeper.store.close()
    return whole


def half_migration(folder: Path, chance: random.Random) -> bool:
    """`kill -9` in the middle of moving the tables forward: the next start finishes."""
    path = folder / "store.sqlite"
    store = open_store(path, to=engine.revisions()[0])
    names = keep(store, "before")
    store.close()
    pid = os.fork()
    if pid == 0:
        upgrade = engine.command.upgrade

        def slow(config: object, revision: str) -> None:
            upgrade(config, revision)  # type: ignore[arg-type]
            time.sleep(60)

        engine.command.upgrade = slow
        open_store(path)
        os._exit(0)
    time.sleep(0.1 + chance.random() * 0.2)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    store = open_store(path, check=True)
    done = store.revision() == engine.revisions()[-1] and kept(store) == names
    store.close()
    return done and len(list((folder / "backups").iterdir())) >= 1


def killed_worker(folder: Path, chance: random.Random) -> bool:
    """`kill -9` of a worker in the middle of a job: the next one does it, or it is interrupted."""
    store = open_store(folder / "store.sqlite")
    code = textwrap.dedent("""
        import sys, threading, time
        from pathlib import Path
        from citymap.jobs import kinds, worker
        from citymap.store import open_store
        from citymap.workspace import Workspace
        def run(context, params):
            for i in range(50):
                context.progress.update(i, 50)
                time.sleep(0.01 if context.job.attempt > 1 else 1)
            return context.job.attempt
        kinds.kind("again", attempts=2)(run)
        kinds.kind("once")(run)
        root = Path(sys.argv[1])
        worker.work(open_store(root / "store.sqlite"), Workspace(root), threading.Event())
    """)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code, str(folder)])

    def until(true: Callable[[], bool]) -> bool:
        end = time.monotonic() + 30
        while not true() and time.monotonic() < end:
            time.sleep(0.05)
        return true()

    def killed(job: jobs.Job) -> bool:
        process = start()
        fine = until(lambda: jobs.get(store, job.id).state == "running")
        time.sleep(chance.random())
        process.kill()
        process.wait()
        return fine

    again = jobs.submit(store, "again", by="drill", attempts=2)
    fine = killed(again)
    second = start()
    fine = until(lambda: jobs.get(store, again.id).state == "done") and fine
    second.kill()
    second.wait()
    once = jobs.submit(store, "once", by="drill")
    fine = killed(once) and fine
    watch = jobs.Watch(is_gone=worker.is_gone)
    watch.look(store)
    fine = fine and jobs.get(store, again.id).result == 2
    fine = fine and jobs.get(store, once.id).state == "interrupted"
    store.close()
    return fine


def database_gone(url: str, server: postgres_server.Server, outage_s: float, folder: Path) -> bool:
    """The database is away and comes back: said at once, the running job ends, nothing is lost."""
    store = open_store(url)

    def run_it(context: object, _params: object) -> str:
        for i in range(20):
            context.progress.update(i, 20)  # type: ignore[attr-defined]
            time.sleep(0.1)
        return "done"

    known = {"drill": Kind("drill", run_it, Role.STAFF, 1, None, 600.0)}
    KINDS.load = lambda: known  # type: ignore[method-assign]
    job = jobs.submit(store, "drill", by="drill")
    names = keep(store, f"before{job.id}")
    stop = threading.Event()
    thread = threading.Thread(target=worker.work, args=(store, Workspace(folder), stop))
    thread.start()
    while jobs.get(store, job.id).state != "running":
        time.sleep(0.05)
    server.stop()

    def brief() -> None:
        with store.write(patience_s=0.2) as connection:
            connection.execute(insert(FACTS).values(name=f"never{job.id}", value="x"))

    key = said(brief)
    time.sleep(outage_s)
    server.start()
    names |= keep(store, f"after{job.id}")
    end = time.monotonic() + 60
    while not jobs.get(store, job.id).ended and time.monotonic() < end:
        time.sleep(0.1)
    ended = jobs.get(store, job.id)
    stop.set()
    thread.join()
    whole = names <= kept(store) and f"never{job.id}" not in kept(store)
    store.close()
    return key == "store_gone" and ended.state == "done" and whole


ON_SQLITE = (disk_full, read_only, wrong_clock, spoiled_page, half_migration, killed_worker)


def below_the_layer(given: argparse.Namespace) -> int:
    """Run the drills in a process whose disk can be made full."""
    with tempfile.TemporaryDirectory(prefix="citymap-faults-") as place:
        Path(place).chmod(0o755)
        layer = Path(place) / "drop_unsynced.so"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O2", "-o", layer, HERE / "drop_unsynced.c",
             "-ldl", "-lpthread"], check=True,
        )  # fmt: skip
        for name in ("disk", "undo"):
            (Path(place) / name).mkdir()
        environment = {
            **os.environ, "LD_PRELOAD": str(layer), "CITYMAP_FAULT_DIR": str(Path(place) / "disk"),
            LAYER: str(Path(place) / "undo"),
        }  # fmt: skip
        only = ["--only", given.only] if given.only else []
        command = [sys.executable, __file__, "--below", "--times", str(given.times), *only]
        return subprocess.run(command, env=environment, check=False).returncode


def count(name: str, times: int, drill: Callable[[int], bool]) -> bool:
    """Run a drill many times and say how many went well."""
    start, well = time.monotonic(), 0
    for number in range(times):
        try:
            well += drill(number)
        except (StoreError, OSError, CancelledError, AssertionError) as error:
            print(f"  {name} {number}: {error!r}", flush=True)
    print(f"{name}: {well} of {times} ({time.monotonic() - start:.0f} s)", flush=True)
    return well == times


def main() -> None:
    """Run the drills; exit 1 when one did not go well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--outage-s", type=float, default=60)
    parser.add_argument("--only")
    parser.add_argument("--below", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.below:
        fine = True
        base = Path(os.environ["CITYMAP_FAULT_DIR"])
        for drill in ON_SQLITE:
            if given.only not in {None, drill.__name__}:
                continue
            if drill is read_only and os.geteuid() != 0:
                print("read_only: not measured, needs root to become another user")
                continue

            def one(number: int, drill: Callable[[Path, random.Random], bool] = drill) -> bool:
                folder = base / f"{drill.__name__}{number}"
                folder.mkdir()
                return drill(folder, random.Random(number))

            fine = count(drill.__name__, given.times, one) and fine
        sys.exit(not fine)
    codes = [below_the_layer(given)]
    if given.only in {None, "database_gone"}:
        try:
            with postgres_server.server() as server, tempfile.TemporaryDirectory() as folder:
                url = server.database("faults")
                codes.append(
                    not count(
                        "database_gone", given.times,
                        lambda n: database_gone(
                            url, server, given.outage_s if n == 0 else 3.0, Path(folder)
                        ),
                    )
                )  # fmt: skip
        except postgres_server.CannotStartError as why:
            print(f"database_gone: not measured, {why}")
    sys.exit(any(codes))


if __name__ == "__main__":
    main()
