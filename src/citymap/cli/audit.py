"""`citymap audit`: the record of who did what when."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from citymap.cli import CityOption, command
from citymap.cli.user import OPERATOR, store_of
from citymap.errors import BadInputError
from citymap.store import audit
from citymap.workspace import replacing

records = typer.Typer(
    no_args_is_help=True, help="The audit: who did what when. 操作の記録を取り出します。"
)


class Form(StrEnum):
    """Formats of the export."""

    CSV = "csv"
    JSONL = "jsonl"


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text}: RFC 3339, e.g. 2026-04-01") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@records.command("export")
def export(
    form: Annotated[Form, typer.Option("--format", help="csv | jsonl")] = Form.CSV,
    out: Annotated[Path | None, typer.Option(help="file; default: standard output")] = None,
    since: Annotated[str | None, typer.Option(help="from this moment on (RFC 3339)")] = None,
    until: Annotated[str | None, typer.Option(help="before this moment (RFC 3339)")] = None,
    city: CityOption = None,
) -> None:
    """Write the audit as CSV or JSON lines; exit 1 where its seals show a change."""
    with command():
        store = store_of(city)
        listed = audit.entries(store, since=_moment(since), until=_moment(until))
        text = audit.written("jsonl" if form is Form.JSONL else "csv", listed)
        if out is None:
            for line in text:
                sys.stdout.write(line)
        else:
            with (
                replacing(out) as temporary,
                temporary.open("w", encoding="utf-8", newline="") as f,
            ):
                f.writelines(text)
        with store.write() as connection:
            audit.record(connection, actor=OPERATOR, action="audit.export")
        broken = audit.broken_at(store)
        if broken is not None:
            raise BadInputError("audit_broken", place=store.place, seq=broken)


def register(app: typer.Typer) -> None:
    """Add `citymap audit`."""
    app.add_typer(records, name="audit")
