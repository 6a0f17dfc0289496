"""The rows of a store as lines of JSON, from any database into any other."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, LargeBinary, MetaData, Table, func, insert, inspect, select, text

from citymap.errors import BadInputError
from citymap.store import Store, open_store

VERSIONS = "alembic_version"
FOREIGN = frozenset({VERSIONS, "spatial_ref_sys"})
BATCH = 500


def _tables(connection: Connection) -> list[Table]:
    """The tables as they are in this database, in an order that foreign keys allow."""
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name not in FOREIGN)
    return list(found.sorted_tables)


def dumped(store: Store) -> Iterator[tuple[str, Iterable[bytes]]]:
    """Each table's name and rows, all of one moment; use the rows before asking for the next."""
    with store.read() as connection:
        if store.postgresql:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        for table in _tables(connection):
            yield table.name, _lines(connection, table)


def _lines(connection: Connection, table: Table) -> Iterator[bytes]:
    stored = [column for column in table.c if column.computed is None]
    for row in connection.execute(select(*stored)).mappings():
        plain = {k: _out(v) for k, v in row.items()}
        yield json.dumps(plain, ensure_ascii=False).encode() + b"\n"


def _out(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def load(where: str, revision: str | None, tables: Iterable[tuple[str, Iterable[bytes]]]) -> None:
    """Fill an empty store made at `revision` with rows, then move it forward; all or nothing.

    Raises:
        BadInputError: the store holds something already.
        StoreError: it cannot be written.
    """
    store = open_store(where, to=revision)
    try:
        with store.write() as connection:
            known = {table.name: table for table in _tables(connection)}
            for table in known.values():
                if (
                    table.name != "facts"
                    and connection.execute(select(func.count()).select_from(table)).scalar()
                ):
                    raise BadInputError("restore_store_not_empty", place=store.place)
            arriving = {name: list(lines) for name, lines in tables}
            for name, table in known.items():  # in the order of foreign keys
                if name == "facts":
                    connection.execute(table.delete())
                lines = arriving.pop(name, [])
                for start in range(0, len(lines), BATCH):
                    batch = [_in(table, json.loads(line)) for line in lines[start : start + BATCH]]
                    connection.execute(insert(table), batch)
                if store.postgresql:
                    _advance(connection, table)
            if any(arriving.values()):
                raise BadInputError("backup_unreadable", place=store.place, reason=sorted(arriving))
    finally:
        store.close()
    open_store(where).close()


def _in(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {
        k: base64.b64decode(v["base64"])
        if isinstance(table.c[k].type, LargeBinary) and isinstance(v, dict)
        else v
        for k, v in row.items()
    }


def _advance(connection: Connection, table: Table) -> None:
    """The numbering goes on above the rows that came with their numbers."""
    names = inspect(connection).get_pk_constraint(table.name)["constrained_columns"]
    for name in names:
        sequence = connection.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"),
            {"table": table.name, "column": name},
        ).scalar()
        highest = connection.execute(select(func.max(table.c[name]))).scalar()
        if sequence and highest:
            connection.execute(
                text("SELECT setval(:sequence, :highest)"),
                {"sequence": sequence, "highest": highest},
            )
