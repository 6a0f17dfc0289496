"""`python -m citymap.demo OUT [--buildings N] [--seed S]`."""

from __future__ import annotations

import argparse
from pathlib import Path

from citymap.demo import generate
from citymap.progress import Terminal


def main() -> None:
    """Write the demo city's source data set."""
    parser = argparse.ArgumentParser(prog="python -m citymap.demo")
    parser.add_argument("out", type=Path)
    parser.add_argument("--buildings", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    print(generate(a.out, buildings=a.buildings, seed=a.seed, progress=Terminal()))


if __name__ == "__main__":
    main()
