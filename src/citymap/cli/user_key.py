"""`citymap user key`: the keys by which GIS clients log in."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from citymap.cli import CityOption, JsonOption, answer, command
from citymap.i18n import t
from citymap.settings import terminal_language
from citymap.store import keys
from citymap.store.accounts import Role
from citymap.store.keys import Key, Scope

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="name of the account")]
OPERATOR = "operator"

app = typer.Typer(
    no_args_is_help=True, help="Keys of GIS clients. GIS ソフトのための鍵を管理します。"
)


def _said(key: Key) -> dict[str, Any]:
    return {
        "id": key.id, "account": key.account, "title": key.title, "role": key.role.value,
        "scopes": sorted(key.scopes), "in_force": key.in_force,
        "created_at": key.created_at.isoformat(), "expires_at": key.expires_at.isoformat(),
        "used_at": key.used_at and key.used_at.isoformat(),
        "revoked_at": key.revoked_at and key.revoked_at.isoformat(),
    }  # fmt: skip


@app.command("add")
def add(
    name: NameArgument,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="what it may be used for; may be repeated")
    ] = None,
    title: Annotated[str, typer.Option(help="which client it is for")] = "",
    role: Annotated[
        Role, typer.Option(help="highest role it gives: field | staff | planner | admin")
    ] = Role.STAFF,
    days: Annotated[int, typer.Option(help="days until it ends (1 to 1826)")] = keys.DAYS,
    city: CityOption = None,
    json: JsonOption = False,
) -> None:
    """Make a key and print it: this is the only time that it is shown.

    鍵を作って表示します。鍵を見られるのは、この一度だけです。
    """
    from citymap.cli.user import store_of

    with command(json=json):
        made, text = keys.add(
            store_of(city), name, scopes=scope or [Scope.FEATURES], title=title, role=role,
            days=days, by=OPERATOR,
        )  # fmt: skip
        lang = terminal_language()
        answer(
            {**_said(made), "key": text},
            lambda: (
                f"{text}\n{t('key.made', lang, name=made.account, end=f'{made.expires_at:%Y-%m-%d}')}"
            ),
            json=json,
        )


@app.command("list")
def list_(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="of one account only")] = None,
    city: CityOption = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """List the keys, never their secrets.

    鍵の一覧を示します。秘密の部分は出ません。
    """
    from citymap.cli.user import store_of

    with command(json=json):
        found = keys.listed(store_of(city), name)
        lang = terminal_language()

        def text() -> str:
            rows = (
                "\t".join((
                    k.id, k.account, t(f"role.{k.role}", lang), ",".join(sorted(k.scopes)),
                    f"{k.expires_at:%Y-%m-%d}",
                    t("key.in_force" if k.in_force else "key.ended", lang), k.title,
                )).rstrip()
                for k in found
            )  # fmt: skip
            return "\n".join(rows) or t("key.none", lang)

        answer({"keys": [_said(k) for k in found]}, text, json=json)


@app.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="id of the key, from `list`")],
    city: CityOption = None,
    json: JsonOption = False,
) -> None:
    """End a key at once.

    鍵をすぐに無効にします。
    """
    from citymap.cli.user import store_of

    with command(json=json):
        ended = keys.revoke(store_of(city), key, by=OPERATOR)
        answer(
            _said(ended), lambda: f"{ended.id}: {t('key.ended', terminal_language())}", json=json
        )
