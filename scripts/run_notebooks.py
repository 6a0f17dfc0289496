"""Executes every notebook in `notebooks/` on the demo city, without leaving outputs behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        city = Path(folder) / "city"
        made = [
            str(Path(sys.executable).with_name("citymap")),
            "demo",
            "--city",
            str(city),
            "--buildings",
            "600",
        ]
        subprocess.run(made, check=True, cwd=folder)
        env = {**os.environ, "CITYMAP_CITY": str(city)}
        for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
            command = [
                sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", str(notebook),
                "--output-dir", folder, "--ExecutePreprocessor.timeout=300",
            ]  # fmt: skip
            done = subprocess.run(command, check=False, env=env, capture_output=True, text=True)
            print(f"{'ok' if done.returncode == 0 else 'FAILED'} {notebook.name}")
            if done.returncode:
                bad += 1
                print(done.stderr[-4000:])
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
