"""`citymap share …`: layers for the integrated GIS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from citymap import cli
from citymap.errors import BadInputError
from citymap.i18n import t
from citymap.layers.catalogue import Audience
from citymap.settings import terminal_language
from citymap.share.exchange import export

app = typer.Typer(no_args_is_help=True, help="Share layers. レイヤーを統合型GISなどへ渡します。")


def _epsg(text: str | None) -> int | None:
    if text is None:
        return None
    number = text.upper().removeprefix("EPSG:")
    if not number.isdigit():
        raise BadInputError("export_crs", place=text)
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
    target: Annotated[str, typer.Argument(help="postgis")],
    to: Annotated[str, typer.Option("--to", help="postgresql://…; a password may come from PGPASSWORD or ~/.pgpass")],
    city: cli.CityOption = None,
    crs: Annotated[str, typer.Option("--crs", help="of the geometry, e.g. EPSG:6677")] = "EPSG:6668",
    schema: Annotated[str, typer.Option(help="schema of the views; the tables lie in SCHEMA_data")] = "citymap",
    role: Annotated[str, typer.Option(help="role that may read the views and nothing else")] = "citymap_reader",
    audience: Annotated[Audience, typer.Option(help="who will read it: what the privacy gate lets through")] = "public",
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """Write every layer to PostGIS as read-only views with comments and a spatial index.

    全レイヤーを PostGIS に、読取り専用のビュー（説明と空間インデックス付き）として書きます。
    """
    with cli.command(json=json) as progress:
        from citymap.share import postgis

        if target != "postgis":
            raise BadInputError("push_target", place=target)
        done = postgis.push(
            cli.workspace(city), to, audience=audience, epsg=_epsg(crs) or 6668, schema=schema,
            role=role, progress=progress,
        )  # fmt: skip
        cli.answer(
            {"schema": schema, "role": role, "views": {one.view: one.rows for one in done}},
            lambda: "\n".join(f"→ {schema}.{one.view} ({one.rows})" for one in done),
            json=json,
        )
