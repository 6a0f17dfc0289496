"""`citymap reports …`: keys of other programs, the file of closures, left-over photos, pictures in bulk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from citymap import cli
from citymap.cli.user import OPERATOR, store_of
from citymap.i18n import t
from citymap.settings import terminal_language

app = typer.Typer(
    no_args_is_help=True, help="Damage reports. 被害報告の鍵と手入れを扱います。"
)  # fmt: skip


def register(main: typer.Typer) -> None:
    """Enter `citymap reports …`."""
    main.add_typer(app, name="reports")


@app.command("key")
def key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="the program, e.g. neighbour-city")],
    remove: Annotated[bool, typer.Option("--remove", help="end its keys instead")] = False,
    city: cli.CityOption = None,
    json: cli.JsonOption = False,
) -> None:
    """Give another program a key for sending reports by Open311, or end its keys.

    ほかの市などのプログラムに、Open311 で通報するための鍵を渡します。鍵が見えるのはこのときだけです。
    """
    from citymap.reports import keys

    with cli.command(json=json):
        store, lang = store_of(city), terminal_language()
        if remove:
            ended = keys.take_back(store, name, by=OPERATOR)
            cli.answer({"name": name, "removed": ended},
                       lambda: t("reports.key_removed", lang, name=name, count=ended), json=json)  # fmt: skip
            return
        made = keys.make(store, name, by=OPERATOR)
        cli.answer({"name": name, "key": made}, lambda: made, json=json)


@app.command("keys")
def names(city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """List the programs that have keys.

    鍵を持つプログラムの名前を並べます。
    """
    from citymap.reports import keys

    with cli.command(json=json):
        listed = keys.names(store_of(city))
        cli.answer({"names": listed}, lambda: "\n".join(listed), json=json)


@app.command("refresh")
def refresh(city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """Write the closures of confirmed reports anew, for routes.

    確認済みの通報による通行止めのファイル（live/closures.parquet）を書き直します。
    """
    from citymap.reports import closures

    with cli.command(json=json):
        workspace = cli.workspace(city)
        workspace.city()
        count = closures.refresh(store_of(city), workspace)
        cli.answer({"closures": count},
                   lambda: t("reports.closures", terminal_language(), count=count), json=json)  # fmt: skip


@app.command("sweep")
def sweep(city: cli.CityOption = None, json: cli.JsonOption = False) -> None:
    """Remove photos that no report names: left by a crash, older than an hour.

    どの通報にも属さない写真（落ちたときの残り、一時間より古いもの）を消します。
    """
    from citymap.reports import desk, photos

    with cli.command(json=json):
        workspace = cli.workspace(city)
        workspace.city()
        gone = photos.sweep(workspace, desk.photo_names(store_of(city)))
        cli.answer({"removed": gone},
                   lambda: t("reports.swept", terminal_language(), count=gone), json=json)  # fmt: skip


@app.command("images")
def images(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SRC...", help="pictures, or folders of them")
    ],
    category: Annotated[str, typer.Option("--category", help="category of the drafts")] = "other",
    city: cli.CityOption = None,
    json: cli.JsonOption = False,
) -> None:
    """Drafts from pictures of drones or dashcams, by the position in them; staff decide.

    ドローンや車載カメラの写真から、写真の中の位置で下書きを作ります（職員が確かめます）。
    """
    from citymap.reports.images import gather

    with cli.command(json=json) as progress:
        workspace, lang = cli.workspace(city), terminal_language()
        workspace.city()
        made = gather(
            store_of(city), workspace, sources, by=OPERATOR, category=category, progress=progress
        )
        reasons = [{"file": name, "reason": t(f"error.{key}", lang)} for name, key in made.skipped]
        cli.answer(
            {"drafts": made.drafts, "known": made.known, "footprints": made.footprints, "skipped": reasons},
            lambda: "\n".join([
                t("reports.gathered", lang, drafts=made.drafts, known=made.known,
                  footprints=made.footprints, skipped=len(reasons)),
                *(f"* {r['file']}: {r['reason']}" for r in reasons),
            ]),
            json=json,
        )  # fmt: skip
