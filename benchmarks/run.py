"""`make bench`: every benchmark that can run here, ours beside the peers and the floor, as ratios.

python benchmarks/run.py [--city DIR] [--mb 99] [--large] [--peers] [--only citygml]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def main() -> None:
    """Run them one after another; a benchmark that fails does not stop the others."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--city",
        type=Path,
        default=Path(os.environ.get("CITYMAP_CITY", ROOT / "data/plateau/demo")),
    )
    parser.add_argument("--mb", default="99", help="size of the replicated CityGML file")
    parser.add_argument("--large", action="store_true", help="also the peak memory on a 1 GB file")
    parser.add_argument(
        "--peers", action="store_true", help="install and measure the peers (below .bench/)"
    )
    parser.add_argument(
        "--only", action="append", default=[], help="name of a benchmark, e.g. citygml"
    )
    given = parser.parse_args()
    flags = [f"--{name}" for name in ("large", "peers") if getattr(given, name)]
    plan = {
        "citygml": ["--mb", given.mb, *flags],
        "tiles": ["--city", str(given.city)],
        "flood": flags,
        "evacuation": ["--peers"] if given.peers else [],
        "store_crashes": [],
        "store_faults": ["--outage-s", "10"],
        "reports": [],
    }
    print(
        f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores",
        flush=True,
    )
    failed = []
    for name, arguments in plan.items():
        if given.only and name not in given.only:
            continue
        program = HERE / f"{name}.py"
        if not program.exists():
            print(f"\n{name}: not written yet")
            continue
        if name == "tiles" and not (given.city / "buildings.parquet").exists():
            print(
                f"\n{name}: skipped, no city in {given.city} (run `citymap demo`, or name one with --city)"
            )
            continue
        print(flush=True)
        if subprocess.run([sys.executable, program, *arguments], check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
