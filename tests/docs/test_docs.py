"""The documentation names every command, option, setting, column and route, and builds offline."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from starlette.routing import BaseRoute, Mount, Route

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    """The hook that fills generated tables into the pages."""
    spec = importlib.util.spec_from_file_location("docs_tables", DOCS / "_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(tables: ModuleType) -> dict[str, str]:
    """Every page as a reader gets it."""
    return {p.name: tables.fill(p.read_text(encoding="utf-8")) for p in sorted(DOCS.glob("*.md"))}


def test_every_command_has_a_section_and_all_its_options(
    pages: dict[str, str], tables: ModuleType
) -> None:
    text = pages["commands.md"]
    for name, command in tables.command_line().commands.items():
        assert f"## citymap {name}\n" in text, name
        section = text.partition(f"## citymap {name}\n")[2].partition("\n## ")[0]
        assert re.search("[\u3040-\u30ff]", section), f"{name} is not described in Japanese"
        for option in (
            o for p in command.params for o in p.opts if o.startswith("--") and o != "--help"
        ):
            assert f"`{option}`" in section, f"{name} {option}"


def test_no_section_describes_a_command_that_is_gone(
    pages: dict[str, str], tables: ModuleType
) -> None:
    described = set(re.findall(r"^## citymap ([\w-]+)$", pages["commands.md"], re.M))
    assert described == set(tables.command_line().commands)


def test_every_setting_is_explained_by_hand_too() -> None:
    from citymap.settings import Settings

    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    names = {f"CITYMAP_{n.upper()}" for n in Settings.model_fields}
    code = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "src" / "citymap").rglob("*.py"))
    names |= set(re.findall(r"""["'](CITYMAP_[A-Z]+(?:_[A-Z]+)*)["']""", code))
    assert {n for n in names if f"`{n}`" not in text} == set()


def test_every_declared_column_is_in_the_docs(pages: dict[str, str]) -> None:
    from citymap.model.columns import RISK, TABLES
    from citymap.places.kinds import COMMON, KINDS

    text = pages["workspace.md"]
    wanted = {c.name for t in TABLES.values() for c in t.columns} | {f.name for f in RISK}
    wanted |= {c.name for c in COMMON} | {c.name for k in KINDS.load().values() for c in k.extra}
    assert {c for c in wanted if f"`{c}`" not in text} == set()
    assert {t for t in TABLES if f"### `{t}`" not in text} == set()


def paths(routes: list[BaseRoute], prefix: str = "") -> Iterator[str]:
    for route in routes:
        if isinstance(route, Mount) and route.routes:
            yield from paths(route.routes, prefix + route.path)
        elif isinstance(route, Mount | Route):
            yield prefix + route.path


def test_every_route_is_in_the_docs(pages: dict[str, str]) -> None:
    from citymap import web
    from citymap.settings import Settings

    text = pages["architecture.md"]
    for path in paths(web.routes(Settings(city=None))):
        plain = re.sub(r"\{(\w+):path\}", r"{\1}", path)
        assert f"`{plain}" in text, path


def test_every_kind_of_the_gate_is_in_the_docs(pages: dict[str, str]) -> None:
    from citymap.share import gate

    assert {k for k in gate.kinds() if f"(`{k}`)" not in pages["privacy.md"]} == set()


def test_every_reason_for_skipping_is_explained(pages: dict[str, str]) -> None:
    from citymap.i18n import catalogue

    reasons = {k.removeprefix("skip.") for k in catalogue() if k.startswith("skip.")}
    assert {r for r in reasons if f"`{r}`" not in pages["data-quality.md"]} == set()


def readme_commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    return [
        line.partition("#")[0].strip() for b in blocks for line in b.splitlines() if line.strip()
    ]


def test_every_command_of_the_readme_exists(tables: ModuleType) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = tables.command_line().commands
    seen = readme_commands()
    assert "make run" in seen
    assert "make test" in seen
    for line in seen:
        words = line.split()
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.M), line
        else:
            assert words[0].endswith("citymap"), line
            known = {o for p in commands[words[1]].params for o in p.opts}
            assert {w for w in words if w.startswith("--")} <= known, line


def test_links_between_documents_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.glob("*.md")):
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            if link.startswith("docs/images/"):
                continue  # screenshots are added by the release
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_readme_speaks_japanese_first_then_english() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.index("## 動かす") < text.index("(English)")
    assert "未確認" in text
    assert "untested" in text


@pytest.mark.slow
def test_the_site_builds_offline_and_loads_nothing_foreign(tmp_path: Path) -> None:
    mkdocs = Path(sys.executable).with_name("mkdocs")
    if not mkdocs.exists():
        pytest.skip("mkdocs is not installed (dependency group docs)")
    done = subprocess.run(
        [str(mkdocs), "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = re.compile(
        r"""<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=["']?((?:https?:)?//[^"'\s>]+)"""
    )
    foreign = {
        m[1]
        for p in tmp_path.rglob("*.html")
        for m in loaded.finditer(p.read_text(encoding="utf-8"))
    }
    assert foreign == set()
