"""One served process: uvicorn, or a worker of jobs, that also ends when the process that started it is gone.

The parent holds the other end of our standard input. Its end closes with the parent, however that
died, so no process is ever orphaned; this holds on every system without process groups.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

import uvicorn

from citymap.cli.priority import give_way
from citymap.errors import CitymapError
from citymap.logs import configuration
from citymap.settings import Settings
from citymap.web.connections import OPEN_CONNECTIONS, GuardedHttp

APPLICATIONS = {
    "public": ("citymap.web.public:create_app", True),
    "staff": ("citymap.ui.staff:app", False),
}
GRACE_S = 3
AGAIN_S = 10  # until a worker asks again for what is away
STAFF_NICENESS = 8  # residents first: twenty looping pages must not slow the public process


def _end_with_parent() -> None:
    def watch() -> None:
        while sys.stdin.buffer.read(1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _work() -> None:
    """Run jobs until SIGTERM."""
    from citymap.jobs import live_feeds
    from citymap.jobs.ahead import Ahead
    from citymap.jobs.cluster import dispatch
    from citymap.jobs.worker import NICENESS, work
    from citymap.store import open_store
    from citymap.workspace import Workspace

    settings = Settings()
    workspace = Workspace(Path(settings.city or "."))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    give_way(NICENESS)
    ahead = Ahead()
    while not stop.is_set():
        try:
            store = open_store(settings.store or workspace)
            threading.Thread(
                target=live_feeds.run, args=(store, workspace, stop), name="live feeds", daemon=True
            ).start()
            if settings.scheduler:
                dispatch(settings.scheduler, store, workspace, stop)
            else:
                work(store, workspace, stop, when_idle=ahead.look)
        except CitymapError as error:  # a database or a cluster that is away comes back
            sys.stderr.write(error.message(settings.lang) + "\n")
            stop.wait(AGAIN_S)
    ahead.stop()


def main() -> None:
    """Run `public`, `staff` or `worker`; the settings come from `CITYMAP_*`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("application", choices=[*sorted(APPLICATIONS), "worker"])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    parser.add_argument("--trusted-proxy")
    options = parser.parse_args()
    _end_with_parent()
    if options.application == "worker":
        _work()
        return
    if options.application == "staff":
        give_way(STAFF_NICENESS)
    target, factory = APPLICATIONS[options.application]
    uvicorn.run(
        target,
        factory=factory,
        host=options.host,
        port=options.port,
        workers=options.workers,
        access_log=False,
        log_config=configuration(Settings().log_format),
        server_header=False,
        http=GuardedHttp,
        limit_concurrency=OPEN_CONNECTIONS,
        proxy_headers=options.trusted_proxy is not None,
        forwarded_allow_ips=options.trusted_proxy or "",
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        timeout_graceful_shutdown=GRACE_S,
    )


if __name__ == "__main__":
    main()
