"""`citymap model`: editions of the city model, compared, put in force, and taken back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from citymap import cli
from citymap.cli.user import OPERATOR, store_of
from citymap.i18n import t
from citymap.settings import terminal_language

if TYPE_CHECKING:
    from collections.abc import Mapping

    from citymap.operations.editions import Switched

app = typer.Typer(
    no_args_is_help=True,
    help="Editions of the city model. 3D都市モデルの新しい版を並べて取り込み、比べて、切り替えます。",
)
Name = Annotated[str, typer.Argument(metavar="EDITION", help="name of the edition, e.g. 2025")]


def register(main: typer.Typer) -> None:
    """Enter `citymap model …`."""
    main.add_typer(app, name="model")


def _counted(changes: Mapping[str, Any] | None) -> str:
    from citymap.plateau.compare import KINDS

    lang = terminal_language()
    return (
        ", ".join(f"{t(f'model.kind.{k}', lang)} {changes[k]:,}" for k in KINDS) if changes else "–"
    )


@app.command("add")
def add(
    sources: Annotated[list[Path], typer.Argument(metavar="SRC...", help="files, folders or zips")],
    edition: Annotated[str, typer.Option("--edition", help="name of the new edition, e.g. 2025")],
    workers: Annotated[int, typer.Option(min=1, max=64, help="worker processes")] = 2,
    city: cli.CityOption = None,
    json: cli.JsonOption = False,
) -> None:
    """Import a new edition beside the one in force and compare them; the map does not change yet.

    新しい版を今の版の横に取り込んで比べます。地図はまだ変わりません。
    """
    from citymap.operations import editions

    with cli.command(json=json) as progress:
        made = editions.add(
            cli.workspace(city), [s.resolve() for s in sources], edition, workers=workers,
            progress=progress,
        )  # fmt: skip
        cli.answer(asdict(made), lambda: f"{made.name}: {_counted(made.changes)}", json=json)


@app.command("list")
def listed(city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """The edition in force and those beside it.

    使っている版と、横に置いてある版を示します。
    """
    from citymap.operations import editions

    with cli.command(json=json):
        workspace = cli.workspace(city)
        workspace.city()
        now, others = editions.in_force(workspace), editions.listed(workspace)
        data = {"in_force": asdict(now), "editions": [asdict(e) for e in others]}

        def text() -> str:
            lines = [f"* {now.name} {now.since}".rstrip()]
            return "\n".join([*lines, *(f"  {e.name}: {_counted(e.changes)}" for e in others)])

        cli.answer(data, text, json=json)


@app.command("compare")
def compare(
    name: Name,
    out: Annotated[Path | None, typer.Option("--out", help="write the differences: .gpkg, .csv or .parquet")] = None,
    city: cli.CityOption = None,
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """What an edition would change, brought up to the city as it is; with --out as a file.

    その版で増える・なくなる・変わる建物を示し、--out でファイルに書き出します。
    """
    from citymap.operations import editions, model_changes

    with cli.command(json=json) as progress:
        workspace = cli.workspace(city)
        one = editions.make_ready(workspace, name, progress=progress)
        if out is not None:
            model_changes.export(workspace, name, out.resolve())
        data = {"name": one.name, "changes": one.changes, "out": str(out) if out else None}
        cli.answer(data, lambda: f"{one.name}: {_counted(one.changes)}", json=json)


def _done(said: Switched, *, json: bool) -> None:
    lang = terminal_language()

    def text() -> str:
        lines = [t("model.switched", lang, name=said.name, before=said.before)]
        lines += [f"- {t(f'model.rule.{rule}', lang)}: {n}" for rule, n in said.reports.items()]
        if said.lost:
            lines.append(t("model.lost", lang, numbers=", ".join(said.lost)))
        return "\n".join(lines)

    cli.answer(asdict(said), text, json=json)


@app.command("activate")
def activate(name: Name, city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """Put an edition in force, all at once; reports and verdict history follow their buildings.

    その版に一度に切り替えます。被害報告と判定の履歴は建物についていきます。
    """
    from citymap.operations import editions

    with cli.command(json=json) as progress:
        workspace = cli.workspace(city)
        said = editions.activate(
            workspace, name, store=store_of(city), by=OPERATOR, progress=progress
        )
        _done(said, json=json)


@app.command("rollback")
def rollback(city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """Put back the edition that was in force before the last change.

    一つ前の版に戻します。
    """
    from citymap.operations import editions

    with cli.command(json=json) as progress:
        workspace = cli.workspace(city)
        _done(
            editions.rollback(workspace, store=store_of(city), by=OPERATOR, progress=progress),
            json=json,
        )


@app.command("drop")
def drop(name: Name, city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """Delete an edition that is not in force; histories stay.

    使っていない版を消します。履歴は残ります。
    """
    from citymap.operations import editions

    with cli.command(json=json):
        editions.drop(cli.workspace(city), name)
        cli.answer({"dropped": name}, lambda: f"{name}: –", json=json)
