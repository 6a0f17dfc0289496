"""`citymap share …`: layers for the integrated GIS."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from citymap import cli
from citymap.errors import UsageError
from citymap.i18n import t
from citymap.layers.catalogue import Audience
from citymap.reports import place
from citymap.settings import Settings, terminal_language
from citymap.share.exchange import export

if TYPE_CHECKING:
    from citymap.layers.remote import Allowed
    from citymap.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Share layers. レイヤーを統合型GISなどへ渡します。")


def _epsg(text: str | None) -> int | None:
    if text is None:
        return None
    number = text.upper().removeprefix("EPSG:")
    if not number.isdigit():
        raise UsageError("export_crs", place=text)
    return int(number)


def register(main: typer.Typer) -> None:
    """Enter `citymap share …`."""
    main.add_typer(app, name="share")


@app.command("export")
def export_layer(
    layer: Annotated[str, typer.Argument(help="buildings, exposure-SET, hazard-ID, shelters, wifi, flood-NAME …")],
    form: Annotated[str, typer.Option("--format", help="gpkg, shp, geojson, parquet, fgb, kml, csv or dxf")],
    out: Annotated[Path, typer.Option("--out", help="file to write; a .zip adds metadata and checksums")],
    city: cli.CityOption = None,
    crs: Annotated[str | None, typer.Option("--crs", help="e.g. EPSG:6677")] = None,
    audience: Annotated[Audience, typer.Option(help="who will read it: what the privacy gate lets through")] = "public",
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """Write one layer to a file.

    一つのレイヤーをファイルに書き出します。
    """
    with cli.command(json=json):
        written = export(cli.workspace(city), layer, form, out, epsg=_epsg(crs), audience=audience)
        lang = terminal_language()
        notes = [t(key, lang, **values) for key, values in written.notes]
        files = [str(path) for path in written.files]
        cli.answer(
            {"layer": layer, "format": form, "files": files, "notes": notes},
            lambda: "\n".join([*(f"→ {f}" for f in files), *(f"* {n}" for n in notes)]),
            json=json,
        )


@app.command("qgis")
def qgis_project(
    out: Annotated[Path, typer.Option("--out", help="folder for citymap.qgz, citymap.map and layers/")],
    city: cli.CityOption = None,
    url: Annotated[str, typer.Option(help="address where MapServer will answer with the mapfile")] = "http://localhost/cgi-bin/mapserv",
    audience: Annotated[Audience, typer.Option(help="who will read it: what the privacy gate lets through")] = "public",
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """Write a QGIS project and a MapServer mapfile of every layer: WMS 1.3 and WFS 2.0.

    全レイヤーの QGIS プロジェクトと MapServer の設定を書き出します（WMS 1.3、WFS 2.0）。
    """
    with cli.command(json=json):
        from citymap.share.servers import write

        files = [str(p) for p in write(cli.workspace(city), out, audience=audience, url=url)]
        cli.answer({"files": files}, lambda: "\n".join(f"→ {f}" for f in files), json=json)


@app.command("push")
def push_layers(
    target: Annotated[str, typer.Argument(help="postgis, or ngsi (a context broker of the city OS)")],
    to: Annotated[str, typer.Option("--to", help="postgresql://… (a password may come from PGPASSWORD or ~/.pgpass), or the broker's https://…")],
    city: cli.CityOption = None,
    crs: Annotated[str, typer.Option("--crs", help="of the geometry in PostGIS, e.g. EPSG:6677")] = "EPSG:6668",
    schema: Annotated[str, typer.Option(help="schema of the views; the tables lie in SCHEMA_data")] = "citymap",
    role: Annotated[str, typer.Option(help="role that may read the views and nothing else")] = "citymap_reader",
    audience: Annotated[Audience, typer.Option(help="who will read it: what the privacy gate lets through")] = "public",
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """Write every layer to PostGIS as read-only views, or bring a broker's entities up to date.

    全レイヤーを PostGIS に読取り専用のビューとして書くか、都市OS のブローカーに変わったものを送ります。
    """
    with cli.command(json=json) as progress:
        from citymap.share import postgis
        from citymap.share.ngsi import broker

        workspace = cli.workspace(city)
        if target == "ngsi":
            sent = broker.push(workspace, to, _allowed(workspace), audience=audience)
            cli.answer(
                {"sent": sent.sent, "deleted": sent.deleted, "unchanged": sent.unchanged},
                lambda: f"→ {to}: +{sent.sent} −{sent.deleted} ={sent.unchanged}",
                json=json,
            )
            return
        if target != "postgis":
            raise UsageError("push_target", place=target)
        done = postgis.push(
            workspace, to, audience=audience, epsg=_epsg(crs) or 6668, schema=schema, role=role,
            progress=progress,
        )  # fmt: skip
        cli.answer(
            {"schema": schema, "role": role, "views": {one.view: one.rows for one in done}},
            lambda: "\n".join(f"→ {schema}.{one.view} ({one.rows})" for one in done),
            json=json,
        )


def _allowed(workspace: Workspace) -> Allowed:
    """The servers that the operator allowed."""
    from citymap.layers.remote import Allowed

    settings = Settings(city=workspace.root)
    place.use(workspace, settings.store)
    return Allowed(settings.remote_hosts, settings.remote_private)


@app.command("notify")
def notify_subscribers(
    city: cli.CityOption = None,
    every: Annotated[float, typer.Option(min=0, help="seconds between passes; 0: one pass")] = 0,
    json: cli.JsonOption = False,
) -> None:
    """Tell the subscribers of NGSI-LD what changed, again later where one does not answer.

    NGSI-LD の購読者に変わったことを知らせます。答えない相手には、間をあけて送り直します。
    """
    with cli.command(json=json):
        import time

        from citymap.share.ngsi import subscriptions

        workspace = cli.workspace(city)
        allowed = _allowed(workspace)
        while True:
            done = subscriptions.deliver(workspace, allowed)
            if done or not every:
                told = [{"id": d.id, "sent": d.sent, "error": d.error} for d in done]
                lines = "\n".join(f"{d.id}: {d.error or d.sent}" for d in done) or "–"
                cli.answer({"notified": told}, partial(str, lines), json=json)
            if not every:
                return
            time.sleep(every)
