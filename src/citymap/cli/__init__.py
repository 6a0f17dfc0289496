"""`citymap …`: the command line. Exit 0 done, 1 the data or the run failed, 2 wrong usage."""

from __future__ import annotations

import errno
import json as jsonlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from citymap import __version__, city_messages
from citymap.errors import CancelledError, CitymapError, UsageError
from citymap.i18n import t
from citymap.progress import Terminal
from citymap.reports import bucket, place
from citymap.settings import Settings, terminal_language
from citymap.workspace import Workspace

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="citymap: PLATEAU 3D city models, hazards and shelters as one safety map. "
    "都市の3Dモデル・ハザード・避難所を一枚の安全マップにします。",
)  # fmt: skip

CityOption = Annotated[Path | None, typer.Option("--city", help="city folder (or CITYMAP_CITY)")]
JsonOption = Annotated[bool, typer.Option("--json", help="machine-readable answer")]


def workspace(city: Path | None) -> Workspace:
    """The workspace named on the command line or in the environment."""
    folder = city or Settings().city
    settings = Settings(city=city) if city is not None else Settings()  # refuses a wrong key too
    if folder is None:
        raise UsageError("no_city")
    found = Workspace(folder.resolve())
    city_messages.use(found)
    place.use(found, settings.store)
    bucket.use(found, bucket.named(settings))
    return found


@contextmanager
def command(*, json: bool = False) -> Iterator[Terminal]:
    """Turns errors into exit 1 or 2 with the reason on stderr, and Ctrl-C into a clean stop."""
    progress = Terminal(lang=terminal_language())

    def stop(_signal: int, _frame: object) -> None:
        progress.cancel()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    previous = signal.signal(signal.SIGINT, stop)
    try:
        yield progress
    except CancelledError as e:
        _say(e, json=json)
        raise typer.Exit(130) from e
    except CitymapError as e:
        _say(e, json=json)
        raise typer.Exit(2 if isinstance(e, UsageError) else 1) from e
    except OSError as e:
        key = {errno.ENOSPC: "disk_full", errno.EDQUOT: "disk_full", errno.EFBIG: "disk_full",
               errno.EROFS: "disk_read_only", errno.EACCES: "disk_read_only"}.get(e.errno or 0)  # fmt: skip
        if key is None:
            raise
        _say(CitymapError(key, place=str(e.filename) if e.filename else None), json=json)
        raise typer.Exit(1) from e
    except KeyboardInterrupt as e:
        _say(CancelledError(), json=json)
        raise typer.Exit(130) from e
    finally:
        signal.signal(signal.SIGINT, previous)


def _say(error: CitymapError, *, json: bool) -> None:
    lang = terminal_language()
    if json:
        typer.echo(jsonlib.dumps(error.as_dict(lang), ensure_ascii=False), err=True)
    else:
        typer.echo(error.message(lang), err=True)


def answer(data: dict[str, Any], text: Callable[[], str], *, json: bool) -> None:
    """Print the result for a person or for a machine."""
    typer.echo(jsonlib.dumps(data, ensure_ascii=False, default=str) if json else text())


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"citymap {__version__}")
        raise typer.Exit


def _leave_a_closed_folder() -> None:
    """Step out of a folder that this person may not enter (`runuser` in root's home): the worker
    processes would die there."""
    try:
        os.chdir(os.getcwd())  # noqa: PTH109
    except OSError:
        os.chdir("/")


@app.callback()
def main_options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="print the version and stop", is_eager=True, callback=_say_version
        ),
    ] = False,
) -> None:
    """Options of every command."""
    del version
    _leave_a_closed_folder()
    if context.invoked_subcommand == "doctor" or "--help" in sys.argv:
        return  # the doctor has a finding of its own for wrong settings
    try:
        Settings()
    except CitymapError as e:
        _say(e, json="--json" in sys.argv)
        raise typer.Exit(2) from e


@app.command("import")
def import_(
    sources: Annotated[list[Path], typer.Argument(metavar="SRC...", help="files, folders or zips")],
    city: CityOption = None,
    edition: Annotated[
        str | None, typer.Option(help="year or name of the data set, e.g. 2024")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(
            "--as", help="dem | hazard | ortho | places | layer, where the file cannot say it"
        ),
    ] = None,
    layer_id: Annotated[str | None, typer.Option("--id", help="id of the layer, with --as")] = None,
    zone: Annotated[str | None, typer.Option(help="plane-rectangular zone, e.g. EPSG:6677")] = None,
    name: Annotated[str | None, typer.Option(help="name of the city")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="worker processes")] = 2,
    legend: Annotated[
        str | None,
        typer.Option(help="legend of PNG tiles: depth | depth_detailed | duration | zone"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Import PLATEAU CityGML, terrain, standard CSVs and hazard files. データを取り込みます。"""
    from citymap.plateau.importer import ImportOptions, import_sources

    with command(json=json) as progress:
        if kind not in (None, "dem", "hazard", "ortho", "places", "layer"):
            raise typer.BadParameter(f"--as {kind}")
        options = ImportOptions(edition, _zone(zone), kind, layer_id, name, workers, legend)
        target = workspace(city)
        record = import_sources(
            [s.resolve() for s in sources], target, options=options, progress=progress
        )
        lang = terminal_language()

        def text() -> str:
            lines = [f"{k}: {v:,}" for k, v in record.counts.items()]
            reasons: dict[str, int] = {}
            for s in record.skipped:
                reasons[s.reason] = reasons.get(s.reason, 0) + 1
            lines += [f"- {t(f'skip.{r}', lang)}: {n}" for r, n in sorted(reasons.items())]
            lines += [f"! {f['place']}: {f['message']}" for f in record.failed]
            lines += [f"* {n}" for n in record.notes]
            lines.append(f"→ {target.imports / (record.id + '.json')}")
            return "\n".join(lines)

        data = {
            "id": record.id, "counts": record.counts, "skipped": len(record.skipped),
            "failed": record.failed, "notes": record.notes, "seconds": record.seconds,
        }  # fmt: skip
        answer(data, text, json=json)


def _zone(text: str | None) -> int | None:
    if text is None:
        return None
    digits = text.upper().removeprefix("EPSG:")
    if not digits.isdigit() or not 6669 <= int(digits) <= 6687:
        raise typer.BadParameter("--zone EPSG:6669 … EPSG:6687")
    return int(digits)


@app.command()
def info(city: CityOption = None, json: JsonOption = False) -> None:
    """What a city folder holds. 都市データの概要を表示します。"""
    from citymap.assess.inventory import inventory

    with command(json=json):
        data = inventory(workspace(city))

        def text() -> str:
            return "\n".join(f"{k}: {v}" for k, v in data.items())

        answer(data, text, json=json)


@app.command()
def tiles(
    city: CityOption = None,
    workers: Annotated[int, typer.Option(min=1, max=64)] = 2,
    json: JsonOption = False,
) -> None:
    """(Re)build the derived tiles. 表示用タイルを作り直します。"""
    from citymap.tiles import build

    with command(json=json) as progress:
        target = workspace(city)
        target.city()
        data = build(target, progress=progress, workers=workers)
        answer(
            data, lambda: f"tiles: {data['version']} ({data['buildings']['count']:,})", json=json
        )


@app.command()
def demo(
    city: CityOption = None,
    buildings: Annotated[int, typer.Option(min=100, help="number of buildings")] = 5000,
    seed: Annotated[int, typer.Option(help="seed of the generator")] = 1,
    source: Annotated[Path | None, typer.Option(help="keep the generated CityGML here")] = None,
    second_edition: Annotated[
        Path | None,
        typer.Option(help="write a later edition here, to try `citymap model`"),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Build the fictional demo city and import it. 架空のデモ都市を作ります。"""
    import tempfile

    from citymap.assess.exposure import compute
    from citymap.demo import generate
    from citymap.demo import second_edition as later
    from citymap.plateau.importer import ImportOptions, import_sources
    from citymap.tiles import build
    from citymap.tiles.exposure import publish

    with command(json=json) as progress:
        target = Workspace((city or Settings().city or Path("data/plateau/demo")).resolve())
        target.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".demo-", dir=target.root) as folder:
            made = Path(source).resolve() if source else Path(folder)
            generate(made, buildings=buildings, seed=seed, progress=progress)
            if second_edition is not None:
                later.write_with_truth(made, second_edition.resolve(), seed=seed)
            hazards = made / "hazard"
            sources = [p for p in sorted(made.iterdir()) if p.is_dir() and p != hazards]
            record = import_sources(sources, target, options=ImportOptions(), progress=progress)
            maps = import_sources(
                [hazards], target, options=ImportOptions(kind="hazard"), progress=progress
            )
            record.counts |= maps.counts
        manifest = build(target, progress=progress)
        compute(target, progress=progress)
        publish(target)
        data = {"city": str(target.root), "counts": record.counts, "tiles": manifest["version"]}
        answer(
            data,
            lambda: f"{target.root}: {record.counts.get('buildings', 0):,} buildings",
            json=json,
        )


def _register() -> None:
    """Commands that live in modules of their own."""
    from importlib import import_module
    from importlib.util import find_spec

    for name in (
        "audit",
        "backup",
        "cities",
        "desktop",
        "doctor",
        "evacuate",
        "exposure",
        "fetch",
        "flood",
        "model",
        "live",
        "reports",
        "publish",
        "serve",
        "share",
        "snapshot",
        "user",
    ):
        if find_spec(f"citymap.cli.{name}") is None:
            continue
        import_module(f"citymap.cli.{name}").register(app)


def main() -> None:
    """Entry point of the console script."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
        sys.stderr.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    _register()
    app()
