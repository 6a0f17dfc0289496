"""`citymap backup` and `citymap restore`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from citymap.cli import CityOption, JsonOption, answer, command, workspace
from citymap.errors import UsageError
from citymap.i18n import t
from citymap.settings import Settings, terminal_language
from citymap.workspace import Workspace


def backup(
    file: Annotated[Path, typer.Argument(help="the .zip to write, or a folder for it")],
    city: CityOption = None,
    without_tiles: Annotated[
        bool, typer.Option("--without-tiles", help="leave out what `citymap tiles` makes again")
    ] = False,
    without_photos: Annotated[
        bool,
        typer.Option("--without-photos", help="leave out photos that are on an S3 server"),
    ] = False,
    keep: Annotated[
        int, typer.Option(min=0, help="in a folder: remove all but the newest N; 0 keeps all")
    ] = 0,
    verify: Annotated[
        bool, typer.Option("--verify", help="read FILE against its checksums instead of writing it")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Back up the whole city into one checked file, also while it runs. 控えを取ります。"""
    from citymap.operations import backup as backups

    with command(json=json) as progress:
        lang = terminal_language()
        if verify:
            found = backups.verify(file.resolve(), progress=progress)
            data = {"path": str(file), "files": len(found.files), "made_at": found.made_at}
            answer(data, lambda: t("backup.fine", lang, **data), json=json)
            return
        target_city = workspace(city)
        start = time.monotonic()
        folder = file.is_dir()
        name = backups.archive_name(target_city.city().code, datetime.now(UTC))
        target = (file / name if folder else file).resolve()
        made = backups.back_up(
            target_city, target, tiles=not without_tiles, progress=progress,
            store_url=Settings(city=target_city.root).store,
            photos=not without_photos,
        )  # fmt: skip
        removed = backups.prune(target.parent, keep) if folder and keep else []
        facts = {
            "path": str(target), "files": len(made.files), "bytes": target.stat().st_size,
            "seconds": round(time.monotonic() - start, 2), "removed": len(removed),
            "photos_left_out": made.photos_left_out,
        }  # fmt: skip

        def said() -> str:
            size = f"{target.stat().st_size / 1e6:,.1f}"
            lines = [t("backup.made", lang, path=target, files=len(made.files), size=size)]
            if made.photos_left_out:
                lines.append(t("backup.photos_left_out", lang, count=made.photos_left_out))
            if removed:
                lines.append(t("backup.removed", lang, count=len(removed)))
            return "\n".join(lines)

        answer(facts, said, json=json)


def restore(
    file: Annotated[Path, typer.Argument(help="a .zip that `citymap backup` made")],
    city: CityOption = None,
    json: JsonOption = False,
) -> None:
    """Restore a backup into an empty city folder (and an empty database). 控えから復元します。"""
    from citymap.operations import backup as backups

    with command(json=json) as progress:
        folder = city or Settings().city
        if folder is None:
            raise UsageError("no_city")
        target = Workspace(folder.resolve())
        made = backups.restore(
            file.resolve(), target, store_url=Settings().store, progress=progress
        )
        data = {
            "city": str(target.root), "name": made.name, "files": len(made.files),
            "made_at": made.made_at, "tiles": made.tiles,
        }  # fmt: skip
        answer(data, lambda: t("backup.restored", terminal_language(), **data), json=json)


def register(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("backup")(backup)
    app.command("restore")(restore)
