"""`citymap evacuate …`: evacuation scenarios."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from citymap import cli
from citymap.i18n import t
from citymap.settings import terminal_language

app = typer.Typer(
    no_args_is_help=True, help="Evacuation simulation. 避難シミュレーションを行います。"
)

ScenarioArgument = Annotated[
    Path, typer.Argument(metavar="SCENARIO.toml", help="scenario with [evacuation]")
]
OutOption = Annotated[Path, typer.Option("--out", help="folder of the results")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=256, help="processes for replicates (all cores)"),
]
SchedulerOption = Annotated[str | None, typer.Option("--scheduler", help="Dask scheduler for replicates, tcp://…")]  # fmt: skip


def register(main: typer.Typer) -> None:
    """Enter `citymap evacuate …`."""
    main.add_typer(app, name="evacuate")


@app.command("run")
def run(
    scenario: ScenarioArgument,
    out: OutOption,
    city: cli.CityOption = None,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    json: cli.JsonOption = False,
) -> None:
    """Run a scenario: people, water and shelters in time.

    シナリオを計算し、結果のフォルダーを書きます。
    """
    from citymap.evacuation.reading import checks, unfinished
    from citymap.evacuation.run import run as evacuate
    from citymap.evacuation.scenario import read_scenario

    with cli.command(json=json) as progress:
        target = cli.workspace(city)
        summary = evacuate(
            target, read_scenario(scenario.resolve()), out.resolve(), workers=workers,
            scheduler=scheduler, progress=progress,
        )  # fmt: skip
        lang = terminal_language()

        def text() -> str:
            names = ("people", "evacuated", "vertical", "stranded", "en_route", "waiting", "stayed")
            lines = []
            for name in names:
                ci = summary.get("ci95", {}).get(name)
                more = f" [{ci[0]:,.1f} – {ci[1]:,.1f}]" if ci else ""
                value = f"{summary[name]:,.1f}" if ci else f"{summary[name]:,}"
                lines.append(f"{t(f'evacuation.{name}', lang)}: {value}{more}")
            if summary.get("ci95"):
                lines.append(t("ui.evacuation.intervals", lang, count=summary["replicates"]))
            if (open_end := unfinished(summary, lang)) is not None:
                lines.append(open_end)
            return "\n".join([*lines, *(f"- {c}" for c in checks(summary, lang)), f"→ {out}"])

        cli.answer(summary, text, json=json)


@app.command("leave-by")
def leave_by(
    scenario: ScenarioArgument,
    out: OutOption,
    city: cli.CityOption = None,
    json: cli.JsonOption = False,
) -> None:
    """The latest safe departure of every building and mobility class.

    すべての建物の退避期限（安全に出発できる最後の時刻）を求めます。
    """
    from citymap.evacuation.leave_by import leave_by as compute
    from citymap.evacuation.scenario import read_scenario

    with cli.command(json=json) as progress:
        target = cli.workspace(city)
        summary = compute(
            target, read_scenario(scenario.resolve()), out.resolve(), progress=progress
        )
        lang = terminal_language()

        def text() -> str:
            lines = [
                f"{t(f'evacuation.mobility.{name}', lang)}: "
                + ", ".join(
                    f"{t(f'evacuation.leave_by.{k}', lang)} {n:,}" for k, n in counts.items()
                )
                for name, counts in summary["mobility"].items()
            ]
            return "\n".join([*lines, _places(summary, lang), f"→ {out / 'leave_by.parquet'}"])

        cli.answer(summary, text, json=json)


@app.command("validate")
def validate(
    case: Annotated[list[str] | None, typer.Option("--case", help="one case; may be repeated")] = None,
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """Run the validation cases; exit 1 when a result is not the expected one.

    検証の例題を計算します。想定と違う結果があれば終了コード 1 です。
    """
    import json as jsonlib

    from citymap.errors import BadInputError
    from citymap.evacuation.validation import CASES
    from citymap.evacuation.validation import validate as run_cases

    with cli.command(json=json) as progress:
        unknown = set(case or ()) - set(CASES.load())
        if unknown:
            raise BadInputError(
                "evacuation_no_case", name=sorted(unknown)[0], known=", ".join(CASES.load())
            )
        rows = run_cases(case or (), progress=progress)
        if json:
            typer.echo(jsonlib.dumps([r.as_dict() for r in rows], ensure_ascii=False))
        else:
            lang = terminal_language()
            for r in rows:
                word = "pass" if r.passed else "fail"
                sign = t(f"evacuation.validation.{word}_{'as_expected' if r.as_expected else 'unexpected'}", lang)  # fmt: skip
                low, high = r.band
                typer.echo(f"{sign}  {r.case}: {r.measure} = {r.value:.4g} {r.unit}  [{low:g}, {high:g}]")  # fmt: skip
        if not all(r.as_expected for r in rows):
            raise typer.Exit(1)


@app.command("stress")
def stress(
    scenario: ScenarioArgument,
    out: OutOption,
    city: cli.CityOption = None,
    json: cli.JsonOption = False,
) -> None:
    """Shelters at their limit: who is turned away at best, and what helps most.

    避難場所の限界を調べます。誰が入れないか、何を開ければいちばん助かるか。
    """
    from citymap.evacuation.scenario import read_scenario
    from citymap.evacuation.stress.plan import stress as compute

    with cli.command(json=json) as progress:
        target = cli.workspace(city)
        summary = compute(
            target, read_scenario(scenario.resolve()), out.resolve(), progress=progress
        )
        lang = terminal_language()

        def text() -> str:
            names = ("people", "upstairs", "places", "served", "turned_away")
            lines = [f"{t(f'evacuation.stress.{n}', lang)}: {summary[n]:,}" for n in names]
            lines.append(_places(summary, lang))
            lines += [_remedy(f, lang) for f in summary["fixes"][:8]]
            return "\n".join([*lines, f"→ {out}"])

        cli.answer(summary, text, json=json)


def _places(summary: dict[str, Any], lang: str) -> str:
    """One line: how many places count, and why the others do not, the commonest reason first."""
    why = Counter(summary["shelters_unused"].values())
    rest = [f"{t(f'evacuation.unused.{w}', lang)} {n:,}" for w, n in why.most_common()]
    used = t("evacuation.shelters_used", lang, count=f"{summary['shelters_used']:,}")
    return ", ".join([used, *rest])


def _remedy(fix: dict[str, Any], lang: str) -> str:
    """One line of a remedy: what, where, whom it helps, what it does to the walking."""
    why = fix["note"]
    return t(
        "evacuation.stress.fix", lang, kind=t(f"evacuation.fix.{fix['kind']}", lang),
        id=fix["name"] or fix["id"], people=f"{fix['people']:,.0f}",
        minutes=f"{round(-fix['person_min']):+,}",
        why=t(f"evacuation.why.{why}", lang) if why in ("closed", "not_designated") else "",
    )  # fmt: skip


@app.command("compare")
def compare(
    a: Annotated[Path, typer.Argument(metavar="A_DIR", help="result of plan A")],
    b: Annotated[Path, typer.Argument(metavar="B_DIR", help="result of plan B")],
    out: OutOption,
    json: cli.JsonOption = False,
) -> None:
    """What plan B changes against plan A, with 95 % intervals.

    二つの計画を比べます。
    """
    from citymap.evacuation.compare import compare as side_by_side

    with cli.command(json=json):
        found = side_by_side(a.resolve(), b.resolve(), out.resolve())
        lang = terminal_language()

        def text() -> str:
            lines = []
            for name, row in found["counts"].items():
                ci = row.get("ci95")
                more = f" [{ci[0]:+,.1f} – {ci[1]:+,.1f}]" if ci else ""
                lines.append(f"{t(f'evacuation.{name}', lang)}: {row['difference']:+,.1f}{more}")
            return "\n".join([*lines, f"→ {out}"])

        cli.answer(found, text, json=json)


@app.command("capsule")
def capsule(
    run: Annotated[str, typer.Argument(metavar="RUN", help="result folder, or name of a plan of the city")],
    out: Annotated[Path, typer.Option("--out", help="HTML file to write")],
    city: cli.CityOption = None,
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """One plan as one HTML file that opens without a network: map, playback, charts, districts, hashes.

    一つの計画を、ネットワークなしで開ける一つの HTML にします（地図、再生、図、地区ごとの行動、ハッシュ）。
    """
    from citymap.share import plan_capsule
    from citymap.workspace import write_text

    with cli.command(json=json):
        target = cli.workspace(city)
        text = plan_capsule.capsule(
            target, plan_capsule.find(target, run), lang=terminal_language()
        )
        write_text(out.resolve(), text)
        size = len(text.encode())
        cli.answer({"out": str(out), "bytes": size}, lambda: f"→ {out} ({size:,} bytes)", json=json)
