"""The house keeps its rules: floors, names, docstrings, and no foreign host in what ships."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "citymap"
MODULES = sorted(p for p in SOURCE.rglob("*.py") if "static" not in p.parts)
SHIPPED = (".py", ".toml", ".js", ".mjs", ".ts", ".css", ".html", ".json", ".svg", ".webmanifest")
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}

# Names, not addresses: namespaces and schemas are never fetched.
NAMESPACES = {
    "www.opengis.net", "www.w3.org", "www.geospatial.jp", "www.chisou.go.jp", "www.kantei.go.jp",
    "www.purl.org", "purl.org", "fgd.gsi.go.jp", "schemas.opengis.net", "www.citygml.org",
    "www.topografix.com", "geojson.org", "json-schema.org", "www.apache.org", "ns.adobe.com", "git-lfs.github.com", "zgate.gsi.go.jp",
    "www.isotc211.org", "inspire.ec.europa.eu", "www.georss.org", "xmlns.com", "uri.etsi.org",
    "wiki.open311.org",
}  # fmt: skip
# Addresses that a person may choose to visit or to ask; nothing is fetched from them unasked.
CREDITS = {
    "maps.gsi.go.jp",  # 地理院タイル: the list page named in the credit
    "cyberjapandata.gsi.go.jp",  # 地理院タイル: optional base map, off unless CITYMAP_ONLINE_BASE
    "disaportaldata.gsi.go.jp", "disaportal.gsi.go.jp",  # ハザードマップポータル
    "www.mlit.go.jp", "nlftp.mlit.go.jp",  # PLATEAU and 国土数値情報: attribution
    "api.plateauview.mlit.go.jp",  # `citymap fetch` only
    "creativecommons.org", "www.digital.go.jp", "github.com", "www.fsa.go.jp", "catalog.data.metro.tokyo.lg.jp",
}  # fmt: skip
LOCAL = {
    "127.0.0.1",
    "localhost",
    "[::1]",
    "example.com",
    "example.org",
    "example.invalid",
}
_URL = re.compile(r"https?://(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+)")


@pytest.mark.slow
def test_the_floors_hold() -> None:
    """import-linter's contracts; a floor that is empty today is left out."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]
    assert contracts["contracts"]
    command = Path(sys.executable).with_name("lint-imports")
    if not command.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run(
        [str(command), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def module_id(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def test_every_module_says_in_one_sentence_what_lives_there() -> None:
    bad = []
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            bad.append(f"{module_id(path)}: empty, without a docstring")
            continue
        doc = ast.get_docstring(ast.parse(text))
        first = (doc or "").partition("\n")[0].strip()
        if not first:
            bad.append(f"{module_id(path)}: no docstring")
        elif not first.endswith((".", "。", "…", "!", "?")):
            bad.append(f"{module_id(path)}: {first!r}")
    assert bad == []


def test_no_module_is_named_after_nothing() -> None:
    bad = [
        p.relative_to(ROOT)
        for p in MODULES
        if p.stem in FORBIDDEN_NAMES or p.parent.name in FORBIDDEN_NAMES
    ]
    front = ROOT / "frontend" / "src"
    bad += [p.relative_to(ROOT) for p in front.rglob("*.ts") if p.stem in FORBIDDEN_NAMES]
    assert bad == []


def hosts(path: Path) -> set[str]:
    text = path.read_text(encoding="utf-8", errors="replace")
    return {m[1].rstrip(".") for m in _URL.finditer(text)}


def test_nothing_that_ships_names_a_foreign_host() -> None:
    """Neither the package nor the renderer's source may reach out: no CDN, font, tile or telemetry host."""
    allowed = NAMESPACES | CREDITS | LOCAL
    folders = [SOURCE, ROOT / "frontend" / "src", ROOT / "layers"]
    files = [
        p
        for f in folders
        for p in f.rglob("*")
        if p.suffix in SHIPPED and "node_modules" not in p.parts
    ]
    files += [p for p in (ROOT / "app.py", ROOT / "frontend" / "index.html") if p.exists()]
    found = {
        f"{p.relative_to(ROOT)}: {host}"
        for p in files
        if "static"
        not in p.parts  # the built renderer quotes its libraries' addresses; browser tests watch it
        for host in hosts(p)
        if "." in host  # a prefix in a pattern
        and host not in allowed
        and not host.endswith((".example", ".invalid", ".test"))
    }
    assert found == set()


def test_only_one_module_makes_transformers() -> None:
    """`crs` alone may build a pyproj Transformer: it refuses ballpark ones."""
    users = [
        module_id(p) for p in MODULES
        if p.name != "crs.py" and re.search(r"\bTransformer\.from_", p.read_text(encoding="utf-8"))
    ]  # fmt: skip
    assert users == []


def test_no_bare_except_and_no_silent_swallowing() -> None:
    bad = []
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                bad.append(f"{module_id(path)}:{node.lineno}")
    assert bad == []
