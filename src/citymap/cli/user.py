"""`citymap user`: accounts, by the person who runs the machine."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from citymap.cli import CityOption, JsonOption, answer, command, user_key, workspace
from citymap.errors import BadInputError
from citymap.i18n import t
from citymap.settings import Settings, terminal_language
from citymap.store import Store, accounts, open_store
from citymap.store.accounts import Role

OPERATOR = "operator"
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="name of the account")]


def store_of(city: Path | None) -> Store:
    """The store of the settings, else of the city.

    Raises:
        BadInputError: no city is named.
    """
    settings = Settings(city=city) if city else Settings()
    if settings.store:
        return open_store(settings.store)
    target = workspace(city)
    target.city()
    return open_store(target)


def ask_password() -> str:
    """From the terminal, twice; else the first line of standard input. Never from an argument."""
    lang = terminal_language()
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass(t("auth.password", lang) + ": ")
    if getpass.getpass(t("auth.again", lang) + ": ") != first:
        raise BadInputError("password_differs")
    return first


users = typer.Typer(
    no_args_is_help=True, help="Accounts of the staff pages. 職員画面の利用者を管理します。"
)


@users.command("add")
def add(
    name: NameArgument,
    role: Annotated[Role, typer.Option(help="field | staff | planner | admin")] = Role.STAFF,
    oidc: Annotated[
        str | None, typer.Option(help="no password: 'ISSUER SUBJECT' of the identity provider")
    ] = None,
    city: CityOption = None,
    json: JsonOption = False,
) -> None:
    """Add an account; the password comes from a prompt or from standard input."""
    with command(json=json):
        store = store_of(city)
        password = None if oidc else ask_password()
        made = accounts.add(store, name, role, password, by=OPERATOR, oidc_subject=oidc)
        answer(
            {"name": made.name, "role": made.role}, lambda: f"{made.name}: {made.role}", json=json
        )


@users.command("list")
def list_(city: CityOption = None, json: JsonOption = False) -> None:
    """List the accounts."""
    with command(json=json):
        found = accounts.listed(store_of(city))
        data = [
            {"name": a.name, "role": a.role, "disabled": a.disabled, "local": a.local,
             "created_at": a.created_at.isoformat()}
            for a in found
        ]  # fmt: skip

        def text() -> str:
            lang = terminal_language()
            rows = [
                f"{a.name}\t{t(f'role.{a.role}', lang)}"
                + ("\t" + t("ui.people.disabled", lang) if a.disabled else "")
                for a in found
            ]
            return "\n".join(rows) or t("ui.people.none", lang)

        answer({"users": data}, text, json=json)


@users.command("passwd")
def passwd(name: NameArgument, city: CityOption = None) -> None:
    """Set a password (prompt or standard input); the account's sessions end."""
    with command():
        store = store_of(city)
        accounts.set_password(store, name, ask_password(), by=OPERATOR)
        typer.echo(accounts.normal_name(name))


@users.command("role")
def role_(
    name: NameArgument,
    role: Annotated[Role, typer.Argument(help="field | staff | planner | admin")],
    city: CityOption = None,
) -> None:
    """Give an account another role."""
    with command():
        accounts.set_role(store_of(city), name, role, by=OPERATOR)
        typer.echo(f"{accounts.normal_name(name)}: {role}")


@users.command("disable")
def disable(
    name: NameArgument,
    enable: Annotated[bool, typer.Option("--enable", help="enable it again")] = False,
    city: CityOption = None,
) -> None:
    """Disable an account and end its sessions at once."""
    with command():
        accounts.set_disabled(store_of(city), name, disabled=not enable, by=OPERATOR)
        typer.echo(accounts.normal_name(name))


def register(app: typer.Typer) -> None:
    """Add `citymap user`."""
    users.add_typer(user_key.app, name="key")
    app.add_typer(users, name="user")
