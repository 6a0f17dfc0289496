"""The published site behind a stock nginx on loopback: requests a second and p99, beside a bare file.

`python benchmarks/static_site.py [--city DIR | --site DIR] [--seconds 8] [--lines 64]`; needs nginx and wrk (Debian:
`apt-get install nginx-light wrk`). The configuration is the one we ship, `deploy/nginx/citymap-site.conf`,
with its port and folder replaced and without an access log; the bare file is the same bytes, unpacked of
any header, rule or cache of ours, from the same nginx. nginx has two workers; wrk runs on the same cores.

Targets: landing page ≥ 5,000/s, tiles ≥ 2,000/s with p99 < 50 ms. No process of citymap runs.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "deploy/nginx/citymap-site.conf"
LUA = """local paths = {%s}
local k = 0
request = function()
  k = k %% #paths + 1
  return wrk.format("GET", paths[k])
end
"""
ROW = "{:28} {:>10,.0f}/s   p50 {:>7}   p99 {:>7}   {}"


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def published(city: Path, target: Path) -> Path:
    """`citymap publish`."""
    command = [sys.executable, "-m", "citymap.cli", "publish", str(target), "--city", str(city)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return target


@contextmanager
def nginx(site: Path, folder: Path, *, bare: Path | None = None) -> Iterator[str]:
    """nginx with the shipped configuration; with `bare` a second server one port above has none."""
    port = free_port()
    shipped = SHIPPED.read_text(encoding="utf-8")
    ours = shipped.replace("listen 80;", f"listen 127.0.0.1:{port};").replace(
        "/srv/www/map", str(site)
    )
    plain = (
        f"server {{ listen 127.0.0.1:{port + 1}; root {bare}; sendfile on; tcp_nopush on; }}"
        if bare
        else ""
    )
    (folder / "nginx.conf").write_text(
        f"""{"user root;" if os.getuid() == 0 else ""}
worker_processes 2; pid {folder}/nginx.pid; error_log {folder}/error.log warn; daemon off;
events {{ worker_connections 4096; }}
http {{
access_log off; keepalive_requests 100000;
client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
{ours}
{plain}
}}""",
        encoding="utf-8",
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)])
    base = f"http://127.0.0.1:{port}/"
    try:
        for _ in range(100):
            try:
                urllib.request.urlopen(base).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            sys.exit("nginx does not start")
        yield base
    finally:
        process.terminate()
        process.wait(15)


def load(
    base: str, paths: list[str], folder: Path, *, seconds: float, lines: int
) -> dict[str, str]:
    """wrk over the paths in turn: requests a second, p50, p99 and answers that were no 2xx."""
    script = folder / "paths.lua"
    script.write_text(LUA % ", ".join(f'"{p}"' for p in paths), encoding="utf-8")
    said = subprocess.run(
        ["wrk", "-t2", f"-c{lines}", f"-d{seconds:g}s", "--latency", "-H", "Accept-Encoding: gzip",
         "-s", str(script), base],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    found = dict(re.findall(r"^\s+(50|99)%\s+(\S+)", said, flags=re.MULTILINE))
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    return {
        "rate": rate[1] if rate else "0", "p50": found.get("50", "?"), "p99": found.get("99", "?"),
        "bad": bad[1] if bad else "0",
    }  # fmt: skip


def main() -> None:
    """Publish, serve, load, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--city", type=Path, default=ROOT / "data/plateau/demo")
    parser.add_argument("--site", type=Path, help="a site that was published before")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--lines", type=int, default=64, help="connections that are kept open")
    given = parser.parse_args()
    if not (shutil.which("wrk") and (shutil.which("nginx") or Path("/usr/sbin/nginx").exists())):
        sys.exit("nginx and wrk are needed: apt-get install nginx-light wrk")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = given.site or published(given.city, folder / "site")
        (folder / "bare").mkdir()

        def both(title: str, paths: list[str], aim: str) -> None:
            bare = []
            for k, path in enumerate(paths):
                file = site / (path.lstrip("/") or "index.html")
                packed = file.with_name(file.name + ".gz")
                shutil.copyfile(packed if packed.is_file() else file, folder / f"bare/{k}")
                bare.append(f"/{k}")
            size = sum((folder / f"bare/{k}").stat().st_size for k in range(len(paths))) / len(
                paths
            )
            with nginx(site, folder, bare=folder / "bare") as base:
                above = base.replace(
                    base.rsplit(":", 1)[1], f"{int(base.rsplit(':', 1)[1][:-1]) + 1}/"
                )
                options = {"seconds": given.seconds, "lines": given.lines}
                rounds = [
                    (load(base, paths, folder, **options), load(above, bare, folder, **options))
                    for _ in range(2)
                ]
            ours, plain = (
                max((r[0] for r in rounds), key=lambda r: float(r["rate"])),
                max((r[1] for r in rounds), key=lambda r: float(r["rate"])),
            )
            print(
                ROW.format(
                    f"{title}, {size / 1000:.1f} kB",
                    float(ours["rate"]),
                    ours["p50"],
                    ours["p99"],
                    aim,
                )
            )
            print(ROW.format("  bare file", float(plain["rate"]), plain["p50"], plain["p99"],
                             f"ours/bare {float(ours['rate']) / float(plain['rate']):.2f}"))  # fmt: skip
            if ours["bad"] != "0" or plain["bad"] != "0":
                sys.exit(f"answers that were no 2xx: {ours['bad']}, {plain['bad']}")

        tiles = (
            sorted(site.glob("tiles/*/mvt/14/*/*.mvt"))[:200]
            + sorted(site.glob("tiles/*/mvt/15/*/*.mvt"))[:200]
        )
        both("landing page", ["/"], "(target 5,000/s)")
        both("tiles", [f"/{t.relative_to(site)}" for t in tiles], "(target 2,000/s, p99 < 50 ms)")
        both("status.json", ["/status.json"], "")
        places = sorted(site.glob("data/*/place/*/*.json"))[:300]
        both("answers for places", [f"/{p.relative_to(site)}" for p in places], "")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {given.lines} connections")


if __name__ == "__main__":
    main()
