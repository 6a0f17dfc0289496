"""Layers in PostGIS for the integrated GIS: a read-only view each, and a role that sees nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import shapely

from citymap import crs
from citymap.assess.building_record import plain
from citymap.errors import BadInputError, UsageError
from citymap.model.columns import EXPOSURE, TABLES
from citymap.progress import Progress, Quiet
from citymap.share.doors import Door, declare
from citymap.share.exchange.export import GEOGRAPHIC_OR_METRES, layer_ids, load
from citymap.share.exchange.format import moved, shapes

if TYPE_CHECKING:
    from citymap.layers.catalogue import Audience
    from citymap.share.exchange.layer import Outgoing
    from citymap.workspace import Workspace

VIEWS, ROLE = "citymap", "citymap_reader"
TABLES_SUFFIX = "_data"  # the schema of the tables, which nobody but their owner enters
NAME_BYTES = 63
CHUNK_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Pushed:
    """One view that was written."""

    view: str
    rows: int


def view_name(layer: str) -> str:
    """The layer's id as a name that needs no quotes; a long one ends in a digest of it."""
    plain_name = layer.replace("-", "_").lower()
    if len(plain_name.encode()) <= NAME_BYTES:
        return plain_name
    digest = blake2b(layer.encode(), digest_size=4).hexdigest()
    start = plain_name.encode()[: NAME_BYTES - 9].decode(errors="ignore")
    return f"{start}_{digest}"


def column_type(kind: pa.DataType) -> str:
    """The type of PostgreSQL for one of Arrow; lists and structures are jsonb."""
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "bigint"
    if pa.types.is_floating(kind):
        return "double precision"
    if pa.types.is_timestamp(kind):
        return "timestamptz"
    return "jsonb" if pa.types.is_nested(kind) else "text"


def rows(outgoing: Outgoing, epsg: int) -> Iterator[tuple[Any, ...]]:
    """The rows as they go in: columns in order without the geometry, then it as EWKB in hex."""
    table = outgoing.table.drop_columns(["geometry"])
    for start in range(0, table.num_rows, CHUNK_ROWS):
        part = table.slice(start, CHUNK_ROWS)
        placed = moved(shapes(outgoing.table.slice(start, CHUNK_ROWS)), epsg)
        wkb = shapely.to_wkb(shapely.set_srid(placed, epsg), hex=True, include_srid=True)
        columns = [[_value(v) for v in part[n].to_pylist()] for n in part.column_names]
        yield from zip(*columns, wkb.tolist(), strict=True)


def _value(value: Any) -> Any:
    if isinstance(value, list | dict):
        return json.dumps(plain(value), ensure_ascii=False)
    if isinstance(value, float) and value != value:  # noqa: PLR0124  (NaN: no value)
        return None
    if isinstance(value, str):
        return value.replace("\0", "")  # what PostgreSQL cannot hold
    return (
        value if value is None or isinstance(value, bool | int | float | datetime) else str(value)
    )


def meanings() -> dict[str, str]:
    """What the declared columns mean, by name."""
    found: dict[str, str] = {}
    for table in (*TABLES.values(), EXPOSURE):
        for column in table.columns:
            unit = f" [{column.unit}]" if column.unit else ""
            found.setdefault(column.name, column.meaning + unit)
    return found


def push(
    workspace: Workspace,
    url: str,
    *,
    audience: Audience = "public",
    epsg: int = crs.GEOGRAPHIC,
    schema: str = VIEWS,
    role: str = ROLE,
    progress: Progress | None = None,
) -> list[Pushed]:
    """Write every layer that the audience may see, all in one transaction; readers never wait long.

    Tables lie in `<schema>_data`; the views, with comments, in `schema`; `role` may read the views
    and nothing else. A view of ours whose layer is gone is dropped.

    Raises:
        BadInputError: no driver, no server, no PostGIS, no right to write, or an unknown CRS.
    """  # fmt: skip
    try:
        import psycopg  # noqa: PLC0415  (an extra)
        from psycopg import sql  # noqa: PLC0415
    except ImportError as e:
        raise BadInputError("push_no_driver") from e
    if epsg not in GEOGRAPHIC_OR_METRES:
        raise UsageError("export_crs", place=f"EPSG:{epsg}")
    if not url.startswith(("postgresql://", "postgres://")):
        raise BadInputError("push_url")
    progress = progress or Quiet()
    city, told = workspace.city(), meanings()
    data = f"{schema}{TABLES_SUFFIX}"
    done: list[Pushed] = []
    name = sql.Identifier
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            run = connection.execute
            run("SELECT pg_advisory_xact_lock(hashtext('citymap push'))")  # one at a time
            if run("SELECT 1 FROM pg_extension WHERE extname = 'postgis'").fetchone() is None:
                run("CREATE EXTENSION postgis")
            for folder in (schema, data):
                run(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name(folder)))
                run(sql.SQL("REVOKE ALL ON SCHEMA {} FROM PUBLIC").format(name(folder)))
            if run("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone() is None:
                run(sql.SQL("CREATE ROLE {} NOLOGIN").format(name(role)))
            run(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(name(schema), name(role)))
            listed = layer_ids(workspace)
            loaded: list[tuple[str, Outgoing, str]] = []
            for number, layer in enumerate(listed):
                progress.update(number, len(listed), layer)
                try:
                    outgoing = load(workspace, layer, audience)
                except BadInputError as error:
                    if error.key == "export_not_for":
                        continue
                    raise
                table = f"t_{blake2b(layer.encode(), digest_size=6).hexdigest()}_{uuid4().hex[:8]}"
                _write(connection, outgoing, epsg, data, table)
                loaded.append((view_name(layer), outgoing, table))
            # Readers wait for this part only: the views turn to the new tables.
            for view, outgoing, table in loaded:
                _turned(connection, schema, view, data, table)
                title = f"{city.name} {outgoing.title.get('ja') or outgoing.id}"
                about = " / ".join(x for x in (title, outgoing.source, outgoing.vintage) if x)
                _described(connection, outgoing, schema, view, about, told)
                shown = sql.Identifier(schema, view)
                run(sql.SQL("GRANT SELECT ON {} TO {}").format(shown, name(role)))
                done.append(Pushed(view, outgoing.table.num_rows))
            kept = {table for _, _, table in loaded}
            there = run("SELECT tablename FROM pg_tables WHERE schemaname = %s", (data,)).fetchall()
            for (old,) in there:
                if old not in kept:  # with the view of a layer that is gone
                    run(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(data, old)))
            progress.update(1, 1)
    except psycopg.Error as e:
        reason = str(e).partition("\n")[0]
        raise BadInputError("push_refused", reason=reason) from e
    return done


def _write(connection: Any, outgoing: Outgoing, epsg: int, data: str, named: str) -> None:
    """A new table, filled and indexed."""
    from psycopg import sql  # noqa: PLC0415

    columns = [f for f in outgoing.table.schema if f.name != "geometry"]
    table = sql.Identifier(data, named)
    defined = [
        sql.SQL("{} {}").format(sql.Identifier(f.name), sql.SQL(column_type(f.type)))
        for f in columns
    ]
    defined.append(sql.SQL("geometry geometry(Geometry, {})").format(sql.Literal(epsg)))
    listed = sql.SQL(", ").join(defined)
    connection.execute(
        sql.SQL("CREATE TABLE {} (fid bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, {})").format(
            table, listed
        )
    )
    names = sql.SQL(", ").join(sql.Identifier(f.name) for f in columns)
    into = sql.SQL("COPY {} ({}, geometry) FROM STDIN").format(table, names)
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        for row in rows(outgoing, epsg):
            copy.write_row(row)
    connection.execute(sql.SQL("CREATE INDEX ON {} USING gist (geometry)").format(table))
    connection.execute(sql.SQL("ANALYZE {}").format(table))


def _turned(connection: Any, schema: str, view: str, data: str, named: str) -> None:
    """The view over its new table; where its columns changed it is made anew."""
    import psycopg  # noqa: PLC0415
    from psycopg import sql  # noqa: PLC0415

    shown = sql.Identifier(schema, view)
    made = sql.SQL("VIEW {} AS SELECT * FROM {}").format(shown, sql.Identifier(data, named))
    try:
        with connection.transaction():
            connection.execute(sql.SQL("CREATE OR REPLACE ") + made)
    except psycopg.errors.InvalidTableDefinition:
        connection.execute(sql.SQL("DROP VIEW {} CASCADE").format(shown))
        connection.execute(sql.SQL("CREATE ") + made)


def _described(
    connection: Any, outgoing: Outgoing, schema: str, view: str, about: str, told: dict[str, str]
) -> None:
    from psycopg import sql  # noqa: PLC0415

    shown = sql.Identifier(schema, view)
    connection.execute(sql.SQL("COMMENT ON VIEW {} IS {}").format(shown, sql.Literal(about)))
    for column in outgoing.table.column_names:
        if column in told:
            connection.execute(
                sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                    shown, sql.Identifier(column), sql.Literal(told[column])
                )
            )


def _every_row(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    for layer in layer_ids(workspace):
        try:
            outgoing = load(workspace, layer, audience)
        except BadInputError:
            continue
        yield repr([outgoing.table.column_names, *rows(outgoing, crs.GEOGRAPHIC)]).encode()


declare(
    Door(
        "share push postgis",
        kinds=("buildings", "exposure", "hazard", "leave_by", "released_leave_by", "shelters", "wifi", "aed", "reports", "closures"),
        emit=_every_row,
    )
)  # fmt: skip
