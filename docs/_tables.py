"""Fills `<!-- citymap:… -->` marks of the pages from the code, so that tables never go stale."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import typer

from citymap import cli
from citymap.i18n import catalogue
from citymap.model.columns import TABLES
from citymap.places.kinds import COMMON, KINDS
from citymap.settings import Settings
from citymap.share import gate

_MARK = re.compile(r"<!-- citymap:([a-z-]+)(?: ([a-z_]+))? -->")


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(c.replace("|", "\\|").replace("\n", " ") for c in cells) + " |"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    return "\n".join([_row(head), _row(["---"] * len(head)), *(_row(r) for r in rows)]) + "\n"


def columns(name: str | None) -> str:
    """One declared table, or all of them with headings."""

    def one(table: Any) -> str:
        rows = [
            [f"`{c.name}`", f"`{c.type}`", c.unit or "–", "–" if c.nullable else "必須", c.meaning]
            for c in table.columns
        ]
        kind = f"{', '.join(table.geometry)} · EPSG:{table.epsg}\n\n" if table.geometry else ""
        return kind + _table(["列", "型", "単位", "欠損", "意味"], rows)

    if name is not None:
        return one(TABLES[name])
    return "\n".join(f"### `{n}` {{ #{n} }}\n\n{one(t)}" for n, t in TABLES.items())


def places(_: str | None) -> str:
    """The tables of places: one per kind."""

    def one(title: str, listed: Iterable[Any]) -> str:
        rows = [[f"`{c.name}`", f"`{c.type}`", c.unit or "–", c.meaning] for c in listed]
        return f"### {title}\n\n" + _table(["列", "型", "単位", "意味"], rows)

    kinds = sorted(KINDS.load().items())
    return "\n".join(
        [
            one("共通の列", COMMON),
            *(one(f"`places/{k.table}.parquet`（{i}）", k.extra) for i, k in kinds),
        ]
    )


def command_line() -> Any:
    """The click group of `citymap` with every command."""
    if "fetch" not in {c.name for c in cli.app.registered_commands}:
        cli._register()
    return typer.main.get_command(cli.app)


def options(name: str | None) -> str:
    """Arguments and options of a command."""
    return _described(f"citymap {name}", command_line().commands[name], heading=False)


def _described(path: str, command: Any, *, heading: bool = True) -> str:
    if hasattr(command, "commands"):
        return "\n".join(_described(f"{path} {sub}", c) for sub, c in command.commands.items())
    if heading:
        return f"### `{path}`\n\n{command.help}\n\n{_options_of(command)}"
    return _options_of(command)


def _options_of(command: Any) -> str:
    rows = []
    for p in command.params:
        if p.name == "help":
            continue
        what = (
            f"`{p.metavar or p.name.upper()}`"
            if p.param_type_name == "argument"
            else "`" + "`, `".join(p.opts) + "`"
        )
        default = "" if p.default in (None, False) or callable(p.default) else f"`{p.default}`"
        env = f" (`{p.envvar}`)" if getattr(p, "envvar", None) else ""
        rows.append([what, default or "–", (getattr(p, "help", None) or "") + env])
    return _table(["引数・オプション", "既定", "意味"], rows) if rows else ""


def settings(_: str | None) -> str:
    """Every CITYMAP_ setting of the settings class."""
    return _table(
        ["`citymap.toml`", "環境変数", "既定", "meaning"],
        [
            [
                f"`{n}`",
                f"`CITYMAP_{n.upper()}`",
                f"`{f.default!r}`" if f.default not in (None, "") else "–",
                f.description or "",
            ]
            for n, f in Settings.model_fields.items()
        ],
    )


def gate_kinds(_: str | None) -> str:
    """What each audience sees of each kind."""

    def seen(kind: str, audience: gate.Audience) -> str:
        allowed = gate.allowance(kind, audience)
        if allowed is None:
            return "見えない"
        notes = [f"`{n}`" for n in gate.fields(kind, audience)]
        if allowed.states:
            notes.append("状態: " + "・".join(f"`{s}`" for s in allowed.states))
        if allowed.blur_m:
            notes.append(f"位置は約 {allowed.blur_m:g} m の升目")
        notes += [f"`{k}` は {n} 未満なら伏せる" for k, n in allowed.min_counts.items()]
        return " ".join(notes)

    def one(name: str) -> str:
        rows = [[f"`{a}`", seen(name, a)] for a in gate.AUDIENCES]
        title = gate.kinds()[name].title
        head = f"### {title.ja} / {title.en} (`{name}`)"
        return head + "\n\n" + _table(["見る人", "見える項目"], rows)

    return "\n".join(one(name) for name in gate.kinds())


def skips(_: str | None) -> str:
    """Every reason for which a feature is left out."""
    found = {k.removeprefix("skip."): v for k, v in catalogue().items() if k.startswith("skip.")}
    return _table(
        ["理由", "意味", "meaning"],
        [[f"`{k}`", v["ja"], v["en"]] for k, v in sorted(found.items())],
    )


FILLERS: dict[str, Callable[[str | None], str]] = {
    "columns": columns, "places": places, "options": options, "settings": settings, "skips": skips,
    "gate": gate_kinds,
}  # fmt: skip


def fill(markdown: str) -> str:
    """A page with its marks filled in."""
    return _MARK.sub(lambda m: FILLERS[m[1]](m[2]), markdown)


def on_page_markdown(markdown: str, **_: object) -> str:
    """mkdocs hook."""
    return fill(markdown)
