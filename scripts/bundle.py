"""`make bundle`: citymap and everything it needs as wheels in one archive that installs offline.

python scripts/bundle.py [--out dist] [--extras postgresql,oidc,mqtt]

The wheels are for the Python and the system that runs this: build it on a machine like the one
that will run citymap.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTALL = """#!/bin/sh
# citymap をこのフォルダーの wheels だけから入れます（ネットワーク不要）。
# Installs citymap from the wheels beside this file, without any network.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-/opt/citymap/venv}
(cd "$here" && sha256sum --check --quiet SHA256SUMS)
if ! "${PYTHON:-python3}" -m venv "$target"; then
  echo "python3-venv が要ります / python3-venv is needed (apt install python3-venv)" >&2
  exit 1
fi
"$target/bin/python" -m pip install --quiet --no-index --no-cache-dir --upgrade \\
  --find-links "$here/wheels" "citymap@EXTRAS@"
"$target/bin/citymap" --version
echo "$target/bin/citymap"
"""


def run(*command: object) -> None:
    """Run a command; stop with its exit code when it fails."""
    done = subprocess.run([str(c) for c in command], cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def constraints(lock: str) -> str:
    """`name==version` of the lock file, without hashes; markers stay."""
    return "\n".join(re.findall(r"^[A-Za-z0-9][\w.-]*==[^\\\n]+", lock, re.MULTILINE)) + "\n"


def main() -> None:
    """Build the wheel, fetch what it needs, pack both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--extras", default="postgresql,oidc,mqtt")
    given = parser.parse_args()
    out: Path = given.out.resolve()
    folder = out / "bundle"
    shutil.rmtree(folder, ignore_errors=True)
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    extras = f"[{given.extras}]" if given.extras else ""
    with tempfile.TemporaryDirectory() as scratch:
        pins = Path(scratch) / "constraints.txt"
        pins.write_text(constraints((ROOT / "requirements.lock").read_text(encoding="utf-8")))
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, ROOT)
        own = next(wheels.glob("citymap-*.whl"))
        run(*pip, "download", "--only-binary=:all:", "--constraint", pins, "--dest", wheels,
            f"citymap{extras} @ {own.as_uri()}")  # fmt: skip
    (folder / "install.sh").write_text(INSTALL.replace("@EXTRAS@", extras), encoding="utf-8")
    (folder / "install.sh").chmod(0o755)
    for name in ("README.md", "LICENSE", "docs/operator.md"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    listed = sorted(p for p in folder.rglob("*") if p.is_file())
    sums = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder)}" for p in listed
    ]
    (folder / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8")
    version = own.name.split("-")[1]
    python = f"py{sys.version_info.major}{sys.version_info.minor}"
    system = f"{platform.system()}-{platform.machine()}".lower()
    archive = out / f"citymap-{version}-offline-{python}-{system}.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:  # wheels are packed already
        tar.add(folder, arcname=archive.name.removesuffix(".tar.gz"))
    print(
        f"{archive} ({archive.stat().st_size / 1e6:.0f} MB, {len(list(wheels.iterdir()))} wheels)"
    )


if __name__ == "__main__":
    main()
