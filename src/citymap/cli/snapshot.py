"""`citymap snapshot`: layers of another GIS, taken on schedule and accepted by staff."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from citymap import cli
from citymap.cli.user import OPERATOR, store_of
from citymap.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from citymap.layers.snapshots import State

app = typer.Typer(
    no_args_is_help=True,
    help="Snapshots of another GIS. よその GIS のレイヤーを定期的に写し取ります。",
)
Name = Annotated[str, typer.Argument(help="id of the watch, the name of snapshots/ID.toml")]


def register(main: typer.Typer) -> None:
    """Enter `citymap snapshot …`."""
    main.add_typer(app, name="snapshot")


def _said(name: str, now: State) -> str:
    if now.pending is None:
        return f"{name}: {now.error or '='}"
    waits = now.pending
    counts = f"+{waits.added} −{waits.removed} ±{waits.changed} ={waits.same}"
    lines = [f"{name}: {counts}" + (f" ({now.error})" if now.error else "")]
    lines += [f"  {d.what} {d.key} {', '.join(d.columns)}".rstrip() for d in waits.examples[:20]]
    return "\n".join(lines)


@app.command("take")
def take(
    name: Annotated[str | None, typer.Argument(help="id of one watch; default: all that are due")] = None,
    city: cli.CityOption = None,
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """Take snapshots and say what differs; nothing takes effect yet.

    写し取って、違いを示します。まだ何も変わりません。
    """
    with cli.command(json=json):
        from citymap.layers import snapshots
        from citymap.layers.remote import Allowed

        workspace = cli.workspace(city)
        settings = Settings(city=workspace.root)
        allowed = Allowed(settings.remote_hosts, settings.remote_private)
        at = datetime.now(UTC)
        chosen = (
            [snapshots.watch(workspace, name)] if name is not None
            else [w for w in snapshots.watches(workspace) if snapshots.due(workspace, w, at)]
        )  # fmt: skip
        found = {w.id: snapshots.take(workspace, w, allowed, at=at) for w in chosen}
        _answer(found, json=json)


@app.command("list")
def listed(city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """How every watch stands, with the differences that wait.

    どの写しがどうなっているか、待っている違いは何かを示します。
    """
    with cli.command(json=json):
        from citymap.layers import snapshots

        workspace = cli.workspace(city)
        watches = snapshots.watches(workspace)
        _answer({w.id: snapshots.state(workspace, w.id) for w in watches}, json=json)


def _answer(found: dict[str, State], *, json: bool) -> None:
    value: dict[str, Any] = {name: asdict(one) for name, one in found.items()}
    lines = "\n".join(_said(name, one) for name, one in found.items()) or "–"
    cli.answer({"watches": value}, partial(str, lines), json=json)


def _decided(city: Path | None, name: str, what: str, *, json: bool) -> None:
    with cli.command(json=json):
        from citymap.layers import snapshots
        from citymap.store import audit

        workspace = cli.workspace(city)
        one = snapshots.watch(workspace, name)
        {"accept": snapshots.accept, "refuse": snapshots.refuse, "rollback": snapshots.rollback}[
            what
        ](workspace, one)
        with store_of(city).write() as connection:
            audit.record(connection, actor=OPERATOR, action=f"snapshot.{what}", subject=name)
        cli.answer({"id": name, "done": what}, partial(str, f"{name}: {what}"), json=json)


@app.command("accept")
def accept(name: Name, city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """Put what waits into effect.

    待っている写しを使い始めます。
    """
    _decided(city, name, "accept", json=json)


@app.command("refuse")
def refuse(name: Name, city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """Put what waits away; the same is not offered again.

    待っている写しを捨てます。同じ中身は二度と出しません。
    """
    _decided(city, name, "refuse", json=json)


@app.command("rollback")
def rollback(name: Name, city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """Put back what was in effect before.

    一つ前の写しに戻します。
    """
    _decided(city, name, "rollback", json=json)
