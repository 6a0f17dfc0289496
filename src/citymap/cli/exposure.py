"""`citymap exposure`: exposure and verdict of every building."""

from __future__ import annotations

from typing import Annotated

import typer

from citymap import cli
from citymap.i18n import t
from citymap.settings import terminal_language


def register(app: typer.Typer) -> None:
    """Enter the command."""
    app.command("exposure")(exposure)


def exposure(
    city: cli.CityOption = None,
    hazard: Annotated[str | None, typer.Option("--hazard", help="one hazard set, or a layer of it")] = None,
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """Exposure and verdict of every building for each hazard set. 全棟の浸水想定と避難の判定を作ります。"""
    from citymap.assess import shelter_audit
    from citymap.assess.exposure import compute, disagreeing
    from citymap.tiles.exposure import publish

    with cli.command(json=json) as progress:
        target = cli.workspace(city)
        counts = compute(target, only=hazard, progress=progress)
        publish(target)
        shelter_audit.current(target)
        disagreements = disagreeing(target, counts)
        lang = terminal_language()

        def text() -> str:
            lines = []
            for name, verdicts in counts.items():
                words = ", ".join(f"{t(f'verdict.{v}', lang)} {n:,}" for v, n in verdicts.items())
                lines.append(f"{name}: {words}")
            for name, number in disagreements.items():
                place = target.root / "exposure" / f"{name}.disagreements.csv"
                lines.append(
                    f"! {t('exposure.disagree', lang, set=name, count=f'{number:,}')} → {place}"
                )
            return "\n".join(lines)

        cli.answer({"sets": counts, "disagreements": disagreements}, text, json=json)
