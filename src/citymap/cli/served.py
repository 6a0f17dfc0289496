"""One served process: uvicorn that also ends when the process that started it is gone.

The parent holds the other end of our standard input. Its end closes with the parent, however that
died, so no process is ever orphaned; this holds on every system without process groups.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

import uvicorn

APPLICATIONS = {
    "public": ("citymap.web.public:create_app", True),
    "staff": ("citymap.ui.staff:app", False),
}
GRACE_S = 3


def _end_with_parent() -> None:
    def watch() -> None:
        while sys.stdin.buffer.read(1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def main() -> None:
    """Run `public` or `staff`; the settings come from `CITYMAP_*`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("application", choices=sorted(APPLICATIONS))
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    parser.add_argument("--trusted-proxy")
    options = parser.parse_args()
    target, factory = APPLICATIONS[options.application]
    _end_with_parent()
    uvicorn.run(
        target,
        factory=factory,
        host=options.host,
        port=options.port,
        workers=options.workers,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=options.trusted_proxy is not None,
        forwarded_allow_ips=options.trusted_proxy or "",
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
        timeout_graceful_shutdown=GRACE_S,
    )


if __name__ == "__main__":
    main()
