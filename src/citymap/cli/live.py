"""`citymap live`: water levels and warnings on the terminal, and the list of gauges."""

from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from citymap import cli
from citymap.cli.user import store_of
from citymap.errors import BadInputError
from citymap.settings import terminal_language

app = typer.Typer(
    no_args_is_help=True,
    help="Live inputs: water levels and warnings. 水位と警報（ライブ情報）です。",
)


def register(main: typer.Typer) -> None:
    """Enter `citymap live …`."""
    main.add_typer(app, name="live")


@app.command("stations")
def gauges(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV lists of gauges, as they are published")],
    city: cli.CityOption = None,
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """Join lists of gauges with their thresholds to the city's own (live/stations.csv).

    水位観測所の一覧（基準水位つき）を、都市の一覧に加えます。
    """
    with cli.command(json=json):
        from citymap.live import stations

        workspace = cli.workspace(city)
        workspace.city()
        problems: list[tuple[str, int, str, str]] = []
        whole: tuple[stations.Station, ...] = ()
        for file in files:
            listed = stations.read(file)
            problems += [(str(file), *p) for p in listed.problems]
            whole = stations.add(workspace, listed.stations)
        rated = sum(bool(s.thresholds) for s in whole)
        data = {"stations": len(whole), "with_thresholds": rated, "problems": problems}
        lines = [f"{len(whole)} ({rated})", *(f"- {f}:{n} {s}: {w}" for f, n, s, w in problems)]
        cli.answer(data, lambda: "\n".join(lines), json=json)


@app.command("poll")
def poll(
    feed: Annotated[str | None, typer.Argument(help="id of one feed; default: all")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="go on until Ctrl-C, each feed when it is due")] = False,
    city: cli.CityOption = None,
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """Ask the feeds now; `serve` does this by itself.

    いますぐ取りに行きます（serve の実行中は自動です）。
    """
    with cli.command(json=json) as progress:
        from citymap.jobs import live_feeds
        from citymap.live import feed_state, feeds

        workspace = cli.workspace(city)
        store = store_of(city)
        listed = [f for f in feeds.feeds(workspace) if feed in (None, f.id)]
        if feed is not None and not listed:
            raise BadInputError("no_feed", place=feed)
        if feed is not None and listed[0].kind == "mqtt" and not watch:
            raise BadInputError("live_pushed", place=feed)
        if watch:
            stop = threading.Event()
            thread = threading.Thread(target=live_feeds.run, args=(store, workspace, stop))
            thread.start()
            try:
                while thread.is_alive():
                    thread.join(0.5)
                    progress.update(0, 1, "live")
            finally:
                stop.set()
                thread.join()
        errors = {}
        for one in [f for f in listed if f.kind != "mqtt"]:
            feed_state.claim(store, one, early=True)
            errors[one.id] = live_feeds.ask(store, workspace, one)
        states = feed_state.states(store)
        lang = terminal_language()
        lines = [
            f"{i}: {e.message(lang)}" if e else f"{i}: +{states[i].taken} {states[i].refused or ''}"
            for i, e in errors.items()
        ]  # fmt: skip
        data = {i: {**asdict(states[i]), "failed": e is not None} for i, e in errors.items()}
        cli.answer({"feeds": data}, lambda: "\n".join(lines).strip() or "–", json=json)
        if any(errors.values()):
            raise typer.Exit(1)


@app.command("status")
def status(city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """Every gauge and warning as it stands, with its age; what is old reads unknown.

    水位と警報のいまを、古さと一緒に示します。古いものは不明です。
    """
    with cli.command(json=json):
        from citymap.live import feed_state, levels, warnings

        workspace = cli.workspace(city)
        store = store_of(city)
        found = levels.latest(store, workspace)
        held = warnings.current(store, workspace)

        def text() -> str:
            lines = [_line(x) for x in found]
            for w in held.listed:
                lines.append(f"{w.area_name} {w.name or w.hazard} {w.state} {w.why}".rstrip())
            if held.configured and not held.known:
                lines.append("warnings: unknown")
            return "\n".join(lines) or "–"

        data: dict[str, Any] = {
            "levels": [asdict(x) for x in found], "warnings": asdict(held),
            "feeds": {i: asdict(s) for i, s in feed_state.states(store).items()},
        }  # fmt: skip
        cli.answer(data, text, json=json)


def _line(level: Any) -> str:
    value = "?" if level.value_m is None else f"{level.value_m:.2f} m"
    age = "" if level.age_s is None else f"{level.age_s / 60:.0f} min"
    parts = (level.station.river, level.station.name, value, level.state, level.why, age)
    return " ".join(p for p in parts if p)
