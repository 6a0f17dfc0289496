"""What one Streamlit session of the staff process costs: memory, and processor time idle and at work.

`python benchmarks/streamlit_sessions.py [--city DIR] [--page shelters] [--sessions 20] [--reruns 5]
[--idle-s 20] [--memory-mb 4096] [--clicks-per-min 6]`. Sessions are real ones over the WebSocket that a
browser uses; each loads the page, then rests, then reruns it. Figures of the server process alone
(`/proc`), as slopes over the number of sessions. The number that one server holds is the smaller of
what its memory takes and what one core (Streamlit's scripts share one interpreter) can rerun.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

TICK = os.sysconf("SC_CLK_TCK")
LEAST_MB = 1.0  # a session is never counted for less: below that the slope is noise
BUSY_SHARE = 0.7  # of the core: above that, clicks wait for each other


def memory_mb(pid: int) -> float:
    """Private and shared memory that is resident."""
    status = Path(f"/proc/{pid}/status").read_text()
    return (
        next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        / 1024
    )


def processor_s(pid: int) -> float:
    """User and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def rerun(line: Any, page: str) -> int:
    """Run the page once; the bytes that came."""
    back = BackMsg()
    back.rerun_script.query_string = ""
    back.rerun_script.page_name = page
    await line.send(back.SerializeToString())
    came = 0
    while True:
        message = await asyncio.wait_for(line.recv(), 120)
        came += len(message)
        got = ForwardMsg()
        got.ParseFromString(message)
        if got.delta.new_element.WhichOneof("type") == "exception":
            raise RuntimeError(got.delta.new_element.exception.message)
        if got.WhichOneof("type") == "page_not_found":
            raise RuntimeError(f"no page {page}")
        if got.WhichOneof("type") == "script_finished":
            return came


async def measure(port: int, pid: int, given: argparse.Namespace) -> dict[str, float]:
    """Open sessions one after another, rest, then let all rerun in turn."""
    url = f"ws://127.0.0.1:{port}/_stcore/stream"

    async def opened() -> Any:
        return await connect(
            url, origin=f"http://127.0.0.1:{port}", subprotocols=["streamlit"], max_size=None
        )

    first = await opened()
    await rerun(first, given.page)  # imports and tables, paid once
    lines = [first]
    base = memory_mb(pid)
    start = processor_s(pid)
    took, came = [], []
    for _ in range(given.sessions):
        line = await opened()
        at = time.perf_counter()
        came.append(await rerun(line, given.page))
        took.append(time.perf_counter() - at)
        lines.append(line)
    opened_cpu = (processor_s(pid) - start) / given.sessions
    await asyncio.sleep(3)
    after = memory_mb(pid)
    start = processor_s(pid)
    await asyncio.sleep(given.idle_s)
    idle_cpu = (processor_s(pid) - start) / given.idle_s
    start, count = processor_s(pid), 0
    for _ in range(given.reruns):
        for line in lines:
            await rerun(line, given.page)
            count += 1
    rerun_cpu = (processor_s(pid) - start) / count
    worked = memory_mb(pid)
    for line in lines:
        await line.close()
    return {
        "base_mb": base, "idle_session_mb": (after - base) / given.sessions,
        "used_session_mb": (worked - base) / given.sessions,
        "idle_cpu_percent_of_all": 100 * idle_cpu, "open_cpu_s": opened_cpu,
        "open_wall_s": statistics.median(took), "open_kB": statistics.median(came) / 1000,
        "rerun_cpu_s": rerun_cpu,
    }  # fmt: skip


def main() -> None:
    """Serve the staff pages, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--city", type=Path, default=Path("data/plateau/demo"))
    parser.add_argument("--page", default="shelters")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--reruns", type=int, default=5)
    parser.add_argument("--idle-s", type=float, default=20)
    parser.add_argument("--memory-mb", type=float, default=4096)
    parser.add_argument("--clicks-per-min", type=float, default=6)
    given = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CITYMAP_CITY": str(given.city.resolve()),
                       "CITYMAP_SINGLE_USER": "true", "CITYMAP_RUN_FOLDER": folder,
                       "CITYMAP_SOCKETS_PER_ADDRESS": "1000", "CITYMAP_SOCKETS_TOTAL": "1000"}  # fmt: skip
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "citymap.ui.staff:app",
            "--port",
            str(port),
            "--log-level",
            "error",
        ]
        server = subprocess.Popen(command, env=environment)
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz").close()
                    break
                except OSError:
                    time.sleep(0.1)
            found = asyncio.run(measure(port, server.pid, given))
        finally:
            server.terminate()
            server.wait(20)
    for name, value in found.items():
        print(f"{name:26} {value:9.3f}")
    each_mb = max(found["idle_session_mb"], found["used_session_mb"], LEAST_MB)
    by_memory = (given.memory_mb - found["base_mb"]) / each_mb
    each = found["rerun_cpu_s"] * given.clicks_per_min / 60 + found["idle_cpu_percent_of_all"] / 100 / (given.sessions + 1)  # fmt: skip
    by_core = BUSY_SHARE / each
    print(f"one server of {given.memory_mb:,.0f} MB: {by_memory:,.0f} sessions by memory, {by_core:,.0f} at "
          f"{given.clicks_per_min:g} clicks a minute each by one core at {BUSY_SHARE:.0%} (load {os.getloadavg()[0]:.1f})")  # fmt: skip


if __name__ == "__main__":
    main()
