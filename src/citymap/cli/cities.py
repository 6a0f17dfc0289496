"""`citymap cities`: several cities side by side on one machine, each behind its own path prefix."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from citymap import cli
from citymap.i18n import t
from citymap.settings import terminal_language
from citymap.workspace import Workspace

app = typer.Typer(
    no_args_is_help=True,
    help="Several cities on one machine. 一台で複数の都市を、パスで分けて動かします。",
)
FileOption = Annotated[Path, typer.Option("--file", help="the list of cities")]
DEFAULT = Path("cities.toml")
Prefix = Annotated[str, typer.Argument(metavar="PREFIX", help="path of the city: /PREFIX/")]


def register(main: typer.Typer) -> None:
    """Enter `citymap cities …`."""
    main.add_typer(app, name="cities")


@app.command("init")
def init(
    file: FileOption = DEFAULT,
    title: Annotated[str, typer.Option(help="title of the page of all cities")] = "citymap",
    host: Annotated[str, typer.Option(help="address that the front listens on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="port of the public front")] = 8500,
    staff_port: Annotated[int, typer.Option(min=1, max=65535, help="port of the staff front")] = 8501,
    first_port: Annotated[int, typer.Option(min=1, max=65000, help="the cities' own ports start here")] = 8510,
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """Make the list of cities.

    都市の一覧 cities.toml を作ります。
    """
    from citymap.operations import cities

    with cli.command(json=json):
        cities.init(
            file, title=title, host=host, port=port, staff_port=staff_port, first_port=first_port
        )
        cli.answer({"file": str(file)}, lambda: str(file), json=json)


@app.command("add")
def add(
    prefix: Prefix,
    city: Annotated[Path, typer.Option("--city", help="city folder")],
    file: FileOption = DEFAULT,
    json: cli.JsonOption = False,
) -> None:
    """Enter a city with its own prefix and ports.

    都市を加え、パスとポートを割り当てます。
    """
    from citymap.operations import cities

    with cli.command(json=json):
        one = cities.add(file, prefix, city)
        data = one.model_dump(mode="json")
        cli.answer(
            data, lambda: f"/{prefix}/ → {one.folder} ({one.port}, {one.staff_port})", json=json
        )


@app.command("remove")
def remove(prefix: Prefix, file: FileOption = DEFAULT, json: cli.JsonOption = False) -> None:
    """Take a city out of the list; its folder stays.

    都市を一覧から外します。フォルダーは残ります。
    """
    from citymap.operations import cities

    with cli.command(json=json):
        cities.remove(file, prefix)
        cli.answer({"removed": prefix}, lambda: f"/{prefix}/: –", json=json)


@app.command("list")
def listed(file: FileOption = DEFAULT, json: cli.JsonOption = False) -> None:
    """The cities and which of them answer.

    都市の一覧と、動いているかどうかを示します。
    """
    from citymap.cli.serve import _answers
    from citymap.operations import cities

    with cli.command(json=json):
        found = []
        for one in cities.read(file).city:
            url = f"http://127.0.0.1:{one.port}/{one.prefix}/healthz"
            name = Workspace(one.folder).city().name if Workspace(one.folder).exists() else ""
            found.append({**one.model_dump(mode="json"), "name": name, "answers": _answers(url)})
        lang = terminal_language()

        def text() -> str:
            said = {True: t("cities.answers", lang), False: t("cities.silent", lang)}
            return (
                "\n".join(f"/{c['prefix']}/ {c['name']}: {said[c['answers']]}" for c in found)
                or "–"
            )

        cli.answer({"cities": found}, text, json=json)


@app.command("subscribe")
def subscribe(
    prefix: Prefix,
    source: Annotated[str, typer.Argument(metavar="FROM", help="prefix of the city that shares")],
    layer: Annotated[str, typer.Argument(metavar="LAYER", help="its public layer, e.g. shelters")],
    every_h: Annotated[float, typer.Option(min=0.1, help="hours between two looks")] = 24.0,
    allow: Annotated[
        bool,
        typer.Option(
            "--allow", help="write into the city's citymap.toml that it may ask the other"
        ),
    ] = False,
    file: FileOption = DEFAULT,
    json: cli.JsonOption = False,
) -> None:
    """Take a public layer of another city into this one, as snapshots that staff accept.

    ほかの都市の公開レイヤーを定期的に写し取ります。職員が確かめてから使い始めます。
    """
    from citymap.operations import cities, city_layers

    with cli.command(json=json):
        made = city_layers.subscribe(
            cities.read(file), prefix, source, layer, every_h=every_h, allow_it=allow
        )
        cli.answer(made, lambda: f"/{prefix}/ ← /{source}/ {layer}: {made['file']}", json=json)


@app.command("nginx")
def nginx(
    file: FileOption = DEFAULT,
    port: Annotated[int, typer.Option(min=1, max=65535, help="port of nginx, public side")] = 80,
    staff_port: Annotated[int, typer.Option(min=1, max=65535, help="port of nginx, staff")] = 8080,
) -> None:
    """Print a configuration for nginx in front of all cities.

    すべての都市の手前に置く nginx の設定を出力します。
    """
    from citymap.operations import cities

    with cli.command():
        typer.echo(cities.nginx(cities.read(file), port=port, staff_port=staff_port))


@app.command("serve")
def serve(file: FileOption = DEFAULT) -> None:
    """Serve all cities behind one front until Ctrl-C.

    すべての都市を一つの入口の後ろで動かします。
    """
    from citymap.cli.cities_served import serve as serve_all

    stop = threading.Event()
    with cli.command():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        serve_all(file.resolve(), lang=terminal_language(), stop=stop, say=typer.echo)
