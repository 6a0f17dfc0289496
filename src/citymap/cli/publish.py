"""`citymap publish`: the static public site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from citymap import cli


def register(app: typer.Typer) -> None:
    """Enter the command."""
    app.command("publish")(publish)


def publish(
    site_dir: Annotated[Path, typer.Argument(metavar="SITE_DIR", help="folder of the site")],
    city: cli.CityOption = None,
    status_only: Annotated[bool, typer.Option("--status-only", help="rewrite status.json alone")] = False,
    paper: Annotated[bool, typer.Option("--paper/--no-paper", help="with the A3 sheets of the districts")] = True,
    json: cli.JsonOption = False,
) -> None:  # fmt: skip
    """Write the public site as plain files. 公開サイトを、どの Web サーバーにも置けるファイルにします。"""
    from citymap.settings import Settings
    from citymap.share import publish as site
    from citymap.store import shared_store
    from citymap.web.paths import STATIC

    with cli.command(json=json) as progress:
        workspace = cli.workspace(city)
        workspace.city()
        settings = Settings()
        store = shared_store(settings.store or workspace)
        target = site_dir.resolve()
        if status_only:
            site.write_status(workspace, store, target)
            cli.answer(
                {"site": str(target), "status": True},
                lambda: f"→ {target / 'status.json'}",
                json=json,
            )
            return
        done = site.publish(
            workspace,
            store,
            target,
            STATIC,
            progress=progress,
            paper=paper,
            url=settings.public_url,
        )
        data = {
            "site": str(target), "version": done.version, "files": done.files, "bytes": done.bytes,
            "places": done.places,
        }  # fmt: skip
        cli.answer(
            data,
            lambda: f"→ {target} ({done.version}: {done.files:,}, {done.bytes:,} B)",
            json=json,
        )
