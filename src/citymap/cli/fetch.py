"""`citymap fetch`: a city's real data set from the open catalogue, then the import."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from citymap.cli import CityOption, JsonOption, answer, command, workspace
from citymap.settings import Settings


def fetch(
    city_code: Annotated[
        str, typer.Argument(metavar="CITY_CODE", help="5 or 6 digits, e.g. 09204")
    ],
    city: CityOption = None,
    catalogue: Annotated[
        str | None,
        typer.Option(
            help="base URL of the catalogue (PLATEAU data list or CKAN; or CITYMAP_CATALOGUE)"
        ),
    ] = None,
    year: Annotated[
        int | None, typer.Option(help="edition, e.g. 2023; the newest otherwise")
    ] = None,
    show: Annotated[
        bool, typer.Option("--list", help="only list what the catalogue offers")
    ] = False,
    download_only: Annotated[
        bool, typer.Option("--download-only", help="stop after the verified download")
    ] = False,
    insecure_http: Annotated[
        bool, typer.Option("--insecure-http", help="accept http:// (an inner network without TLS)")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, max=64, help="worker processes of the import")] = 2,
    json: JsonOption = False,
) -> None:
    """Download a city from the open catalogue and import it. オープンデータを取得して取り込みます。"""
    from citymap.plateau.fetch import CATALOGUE, Policy, datasets
    from citymap.plateau.fetch import fetch as fetch_dataset
    from citymap.plateau.importer import ImportOptions, import_sources

    with command(json=json) as progress:
        policy = Policy(insecure_http=insecure_http)
        source = catalogue or Settings().catalogue or CATALOGUE
        if show:
            found = datasets(source, city_code, policy=policy, progress=progress)
            lines = "\n".join(
                f"{d.year or '-'}  {d.city}  {(d.bytes or 0) / 1e6:,.0f} MB  {d.url}" for d in found
            )
            answer({"datasets": [asdict(d) for d in found]}, lambda: lines, json=json)
            return
        target = workspace(city)
        folder = target.root / "downloads"
        dataset, got = fetch_dataset(
            city_code, folder, catalogue=source, year=year, policy=policy, progress=progress
        )
        data: dict[str, Any] = {
            "city": dataset.city, "year": dataset.year, "path": str(got.path), "bytes": got.bytes,
            "sha256": got.sha256, "was_there": got.was_there,
        }  # fmt: skip
        if not download_only:
            edition = str(dataset.year) if dataset.year else None
            options = ImportOptions(edition=edition, name=dataset.city or None, workers=workers)
            record = import_sources([got.path], target, options=options, progress=progress)
            data |= {
                "id": record.id,
                "counts": record.counts,
                "skipped": len(record.skipped),
                "failed": record.failed,
            }
        answer(data, lambda: _text(data), json=json)


def _text(data: dict[str, Any]) -> str:
    """The answer for a person: one line each, counts and failures spelt out."""
    lines = [f"{k}: {v}" for k, v in data.items() if k not in ("counts", "failed")]
    lines += [f"{k}: {v:,}" for k, v in data.get("counts", {}).items()]
    lines += [f"! {f['place']}: {f['message']}" for f in data.get("failed", [])]
    return "\n".join(lines)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("fetch")(fetch)
