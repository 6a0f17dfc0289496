"""`citymap doctor`."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated

import typer

from citymap.cli import CityOption, JsonOption
from citymap.settings import terminal_language

MARKS = {"ok": "○", "warning": "△", "failed": "×"}


def doctor(
    city: CityOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="leave out reading every table, tile and page")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Examine the installation and the city, with remedies. 状態を調べ、直し方を示します。"""
    from citymap.operations.doctor import examine

    lang = terminal_language()
    findings = examine(city, deep=not quick)
    failed = any(f.level == "failed" for f in findings)
    if json:
        data = {"ok": not failed, "findings": [f.as_dict(lang) for f in findings]}
        typer.echo(jsonlib.dumps(data, ensure_ascii=False))
    else:
        for finding in findings:
            typer.echo(f"{MARKS[finding.level]} {finding.message(lang)}")
            if finding.level != "ok":
                typer.echo(f"   → {finding.remedy(lang)}")
    raise typer.Exit(1 if failed else 0)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)
