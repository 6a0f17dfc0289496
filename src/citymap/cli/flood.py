"""`citymap flood run`, `citymap flood validate` and `citymap flood prepare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from citymap import cli
from citymap.i18n import t
from citymap.settings import Settings, terminal_language

flood = typer.Typer(
    no_args_is_help=True, help="Flood simulation. 浸水シミュレーションを動かし、検証します。"
)


def register(app: typer.Typer) -> None:
    """Add `citymap flood`."""
    app.add_typer(flood, name="flood")


@flood.command("run")
def run(
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO.toml", help="scenario file")],
    out: Annotated[Path, typer.Option(help="folder of the result")],
    city: cli.CityOption = None,
    json: cli.JsonOption = False,
) -> None:
    """Run a scenario and write its result. シナリオを計算し、結果を書き出します。"""
    from citymap.assess.flooded import count
    from citymap.flood import run as runs
    from citymap.flood.scenario import read
    from citymap.workspace import Workspace

    with cli.command(json=json) as progress:
        folder = city or Settings().city
        if folder is not None:
            workspace = cli.workspace(city)
            workspace.city()
            folder = workspace.root
        read_scenario = read(scenario, city=folder)
        summary = runs.run(
            read_scenario, out.resolve(), epsg=runs.zone_of(folder), progress=progress
        )
        if folder is not None:
            summary = count(Workspace(folder), out.resolve(), progress=progress)
        cli.answer(summary, lambda: _said(summary, out), json=json)


def _said(summary: dict[str, Any], out: Path) -> str:
    lang = terminal_language()
    lines = [
        t("flood.said.area", lang, ha=f"{summary['flooded_area_m2'] / 1e4:,.1f}",
          depth=f"{summary['max_depth_m']:.2f}"),
    ]  # fmt: skip
    if summary["mass_error_m3"] is not None:
        lines.append(
            t("flood.said.water", lang, inflow=f"{summary['inflow_m3']:,.0f}",
              rain=f"{summary['rain_m3']:,.0f}", outflow=f"{summary['outflow_m3']:,.0f}",
              stored=f"{summary['stored_m3']:,.0f}", error=f"{summary['mass_error_m3']:.2g}")
        )  # fmt: skip
        lines.append(
            t("flood.said.work", lang, steps=f"{summary['steps']:,}", wall=f"{summary['wall_s']:.1f}",
              rate=f"{summary['cell_updates_per_s'] / 1e6:.0f}")
        )  # fmt: skip
    if "buildings_flooded" in summary:
        lines.append(t("flood.said.buildings", lang, n=f"{summary['buildings_flooded']:,}"))
    lines += [
        t(f"flood.repair.{key}", lang, n=f"{n:.10g}") for key, n in summary["repairs"].items()
    ]
    lines += [
        t(f"flood.note.{key}", lang, n=n)
        for key, _, n in (note.partition(":") for note in summary["notes"])
    ]
    lines.append(f"→ {out}")
    return "\n".join(lines)


@flood.command("validate")
def validate(
    case: Annotated[
        list[str] | None, typer.Option("--case", help="one case; may be repeated")
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="folder for plots (SVG)")] = None,
    json: cli.JsonOption = False,
) -> None:
    """Run the validation cases; exit 1 when a result is not the expected one. 検証例題を計算します。"""
    import json as jsonlib

    from citymap.errors import BadInputError
    from citymap.flood import compiled
    from citymap.flood.plots import draw
    from citymap.flood.run import prepare_kernels
    from citymap.flood.validation import CASES, published, reconstructed
    from citymap.flood.validation import validate as run_cases

    with cli.command(json=json) as progress:
        unknown = set(case or ()) - set(CASES.load())
        if unknown:
            raise BadInputError(
                "flood_no_case", name=sorted(unknown)[0], known=", ".join(CASES.load())
            )
        for variant in compiled.VARIANTS:
            prepare_kernels(variant, progress)
        rows, curves = run_cases(case or (), progress=progress)
        if plots is not None:
            draw(curves, plots)
        if json:
            told = [
                {**r.as_dict(), "published": published(r.case, "en"), "reconstructed": reconstructed(r.case, "en")}
                for r in rows
            ]  # fmt: skip
            typer.echo(jsonlib.dumps(told, ensure_ascii=False))
        else:
            lang = terminal_language()
            for r in rows:
                word = "pass" if r.passed else "fail"
                sign = t(
                    f"flood.validation.{word}_{'as_expected' if r.as_expected else 'unexpected'}",
                    lang,
                )
                low, high = r.band
                typer.echo(
                    f"{sign}  {r.case}: {r.measure} = {r.value:.4g} {r.unit}  [{low:g}, {high:g}]"
                )
            for name in dict.fromkeys(r.case for r in rows):
                if (figure := published(name, lang)) is not None:
                    typer.echo(t("flood.validation.published", lang, case=name, figure=figure))
                if (inputs := reconstructed(name, lang)) is not None:
                    typer.echo(t("flood.validation.reconstructed", lang, case=name, inputs=inputs))
        if not all(r.as_expected for r in rows):
            raise typer.Exit(1)


@flood.command("prepare")
def prepare(json: cli.JsonOption = False) -> None:
    """Compile the kernels ahead (once). 計算の核を前もって機械語に訳します（一度だけ）。"""
    from citymap.flood import compiled
    from citymap.flood.run import prepare_kernels

    with cli.command(json=json) as progress:
        for variant in compiled.VARIANTS:
            prepare_kernels(variant, progress)
        ready = all(compiled.compiled_before(v) for v in compiled.VARIANTS)
        answer = {"ready": ready, "folder": str(compiled.folder())}
        word = "prepared" if ready else "not_prepared"
        cli.answer(
            answer,
            lambda: t(f"flood.said.{word}", terminal_language(), folder=answer["folder"]),
            json=json,
        )
        if not ready:
            raise typer.Exit(1)
