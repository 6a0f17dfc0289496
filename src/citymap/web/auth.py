"""`/auth/…`: log-in, log-out, password and session, as plain pages without script."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote

from anyio.to_thread import run_sync
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from citymap.errors import CitymapError
from citymap.i18n import t
from citymap.share.doors import Door, declare
from citymap.store import accounts, sessions
from citymap.store.accounts import Account, AccountError, Role
from citymap.store.keys import Scope
from citymap.web.access import by_key, identify, needs, person
from citymap.web.answers import answer, language
from citymap.web.identity import ONLY_USER, PUBLIC, Identity, People
from citymap.web.keys import CHALLENGE, Use
from citymap.web.oidc import Oidc

if TYPE_CHECKING:
    from starlette.requests import Request

_OWN = "says to a person what is known of that very person's log-in"
declare(
    Door("/auth/login", nothing=_OWN),
    Door("/auth/logout", nothing=_OWN),
    Door("/auth/session", nothing=_OWN),
    Door("/auth/password", nothing=_OWN),
    Door("/auth/key", nothing="whether the key of the request is in force; no body"),
)

MAX_FORM_BYTES = 8192
STATUS = {"log_in_wrong": 401, "oidc_refused": 401, "account_exists": 401, "account_name": 401, "log_in_locked": 429, "log_in_busy": 503, "password_weak": 422,
          "password_differs": 422, "account_unknown": 422}  # fmt: skip

_STYLE = """
:root{color-scheme:light dark}*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px 16px;background:#f2f2f2;
color:#1a1a1a;font:16px/1.7 'BIZ UDPGothic','Hiragino Sans','Noto Sans JP','Noto Sans CJK JP',
'Meiryo',sans-serif}
main{width:100%;max-width:26rem;background:#fff;border-radius:12px;padding:28px 24px;
box-shadow:0 2px 16px rgb(0 0 0/12%)}
.city{margin:0;color:#4d4d4d;font-size:.9375rem}h1{font-size:1.5rem;line-height:1.4;margin:0 0 20px}
label{display:block;font-weight:700;margin:16px 0 6px}
input{width:100%;min-height:48px;padding:8px 12px;font:inherit;color:inherit;background:#fff;
border:1px solid #767676;border-radius:8px}
button,.button{display:block;width:100%;min-height:48px;margin-top:24px;padding:10px 16px;
font:inherit;font-weight:700;text-align:center;text-decoration:none;color:#fff;background:#0017c1;
border:2px solid #0017c1;border-radius:8px;cursor:pointer}
.quiet{color:#0017c1;background:#fff;margin-top:12px}
button:hover,.button:hover{background:#00118f}.quiet:hover{background:#e8f1fe}
:focus-visible{outline:4px solid #000;outline-offset:2px;box-shadow:0 0 0 2px #ffd43d}
.alert{border-left:6px solid #ec0000;background:#fdeeee;padding:10px 14px;margin:0 0 8px}
.note{border-left:6px solid #0017c1;background:#e8f1fe;padding:10px 14px;margin:0 0 8px}
.alert p,.note p{margin:0}small{color:#4d4d4d;font-size:.875rem}dl{margin:0}dt{color:#4d4d4d;
font-size:.875rem}dd{margin:0 0 10px;font-weight:700;overflow-wrap:anywhere}
.lang{margin:24px 0 0;font-size:.9375rem}a{color:#0017c1}
@media (prefers-color-scheme:dark){body{background:#1a1a1a;color:#f2f2f2}main,input{background:#262626}
.city,small,dt{color:#cccccc}.alert{background:#4a1414}.note{background:#142a5c}
a{color:#9db7f9}.quiet{background:#262626;color:#9db7f9;border-color:#9db7f9}
.quiet:hover{background:#333}}
"""


def safe_next(text: str, prefix: str) -> str:
    """A path of this very site below the prefix; else the start page."""
    fine = text.startswith(prefix + "/") and not text.startswith(("//", "/\\"))
    plain = not any(ord(c) < 33 or c == "\\" for c in text)
    return text if fine and plain and len(text) < 2000 else prefix + "/"


class Auth:
    """The routes of one city."""

    def __init__(self, people: People) -> None:
        self.people = people
        self.prefix = people.settings.root_path

    def routes(self) -> list[BaseRoute]:
        """The routes under `/auth`."""
        return [
            *needs(
                Role.PUBLIC,
                Route("/auth/login", self.log_in_page, methods=["GET"]),
                Route("/auth/login", self.log_in, methods=["POST"]),
                Route("/auth/logout", self.log_out, methods=["POST"]),
                Route("/auth/session", self.session, methods=["GET"]),
            ),
            *needs(
                Role.FIELD,
                Route("/auth/password", self.password_page, methods=["GET"]),
                Route("/auth/password", self.password, methods=["POST"]),
            ),
            *by_key(Use(Scope.MAP_SERVER), needs(Role.STAFF, Route("/auth/key", self.key))),
            *Oidc(self).routes(),
        ]

    # -- pages ---------------------------------------------------------------------------------

    def _page(
        self,
        request: Request,
        title: str,
        body: str,
        *,
        error: CitymapError | None = None,
        note: str = "",
        status: int = 200,
    ) -> HTMLResponse:
        lang = language(request)
        alert = ""
        if error is not None:
            said = error.as_dict(lang)
            alert = (
                f'<div class="alert" role="alert" id="alert"><p><strong>{escape(said["message"] or "")}'
                f"</strong></p><p>{escape(said['remedy'] or '')}</p></div>"
            )
        elif note:
            alert = f'<div class="note" role="status"><p>{escape(note)}</p></div>'
        other = "en" if lang == "ja" else "ja"
        query = request.query_params.get("next", "")
        link = f"?lang={other}" + (f"&next={escape(query, quote=True)}" if query else "")
        html = (
            f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width,initial-scale=1">'
            '<meta name="robots" content="noindex">'
            f'<link rel="icon" href="{escape(self.prefix, quote=True)}/map/icon.svg">'
            f"<title>{escape(t(title, lang))} – citymap</title><style>{_STYLE}</style></head><body><main>"
            f'<p class="city">{escape(t("ui.app", lang))}</p><h1>{escape(t(title, lang))}</h1>'
            f"{alert}{body}"
            f'<p class="lang"><a href="{link}" hreflang="{other}" lang="{other}">'
            f"{'English' if other == 'en' else '日本語'}</a></p></main></body></html>"
        )
        return HTMLResponse(html, status, {"cache-control": "no-store", "vary": "Cookie"})

    def _form(self, request: Request, action: str, fields: str, button: str) -> str:
        lang = language(request)
        wanted = escape(request.query_params.get("next", ""), quote=True)
        target = escape(f"{self.prefix}{action}?lang={lang}", quote=True)
        return (
            f'<form method="post" action="{target}"><input type="hidden" name="next" value="{wanted}">'
            f"{fields}<button>{escape(t(button, lang))}</button></form>"
        )

    async def log_in_page(
        self, request: Request, error: CitymapError | None = None, name: str = "", wanted: str = ""
    ) -> Response:
        """`GET /auth/login?next=`: the form."""
        lang = language(request)
        try:
            known = await run_sync(self.people.any_account)
        except CitymapError as failed:
            return self._page(request, "auth.log_in", "", error=failed, status=503)
        if not known and not self.people.settings.oidc_issuer:
            return self._page(
                request, "auth.log_in", "", error=CitymapError("no_account_yet"), status=503
            )
        wrong = ' aria-describedby="alert"' if error is not None else ""
        fields = (
            (
                f'<input type="hidden" name="next" value="{escape(wanted, quote=True)}">'
                if wanted
                else ""
            )
            + f'<label for="name">{escape(t("auth.name", lang))}</label>'
            f'<input id="name" name="name" autocomplete="username" required maxlength="64" '
            f'autocapitalize="none" spellcheck="false" value="{escape(name, quote=True)}"{wrong}>'
            f'<label for="password">{escape(t("auth.password", lang))}</label>'
            f'<input id="password" name="password" type="password" required maxlength="256" '
            f'autocomplete="current-password"{wrong}>'
        )
        body = self._form(request, "/auth/login", fields, "auth.log_in_button")
        if self.people.settings.oidc_issuer:
            leave = f"{self.prefix}/auth/oidc?next={quote(wanted or request.query_params.get('next', ''))}"
            button = escape(t("auth.oidc", lang))
            body = (
                f'<a class="button" href="{escape(leave, quote=True)}">{button}</a>'
                f"<p>{escape(t('auth.or', lang))}</p>{body}"
            )
        response = self._page(
            request, "auth.log_in", body, error=error,
            status=STATUS.get(error.key, 503) if error else 200,
        )  # fmt: skip
        if error is not None and error.key == "log_in_locked":
            response.headers["retry-after"] = str(error.values["seconds"])
        return response

    async def log_in(self, request: Request) -> Response:
        """`POST /auth/login`: name and password; a cookie and on to `next`."""
        form = await _form(request)
        name, wanted = form.get("name", ""), form.get("next", "")
        password = form.get("password", "")

        def enter() -> str:
            store = self.people.store()
            return sessions.start(store, accounts.log_in(store, name, password))

        try:
            cookie = await run_sync(enter)
        except CitymapError as error:
            return await self.log_in_page(request, error, name, wanted)
        response = RedirectResponse(safe_next(wanted, self.prefix), 303)
        self.set_cookie(request, response, cookie)
        return response

    def set_cookie(self, request: Request, response: Response, value: str) -> None:
        """The session cookie: out of reach of scripts, not sent along from other sites."""
        response.set_cookie(
            sessions.COOKIE, value, max_age=int(self.people.settings.session_hours * 3600),
            path=self.prefix or "/", httponly=True, samesite="lax",
            secure=request.url.scheme == "https",
        )  # fmt: skip
        response.headers["cache-control"] = "no-store"

    async def _who(self, request: Request) -> Identity:
        try:
            return await identify(self.people, request.scope)
        except CitymapError:
            return PUBLIC

    async def log_out(self, request: Request) -> Response:
        """`POST /auth/logout`: ends this session, with `all=1` every session of the account."""
        form = await _form(request)
        who = await self._who(request)
        session = who.session
        if session is not None:
            store = self.people.store()
            if form.get("all") == "1":
                await run_sync(lambda: accounts.end_sessions(store, who.name, by=who.name))
            await run_sync(lambda: sessions.end(store, session))
        response = RedirectResponse(f"{self.prefix}/auth/login?lang={language(request)}", 303)
        response.delete_cookie(sessions.COOKIE, path=self.prefix or "/", httponly=True)
        return response

    async def session(self, request: Request) -> Response:
        """`GET /auth/session`: who is logged in, as a page or (Accept: application/json) as JSON."""
        who = await self._who(request)
        lang = language(request)
        if "text/html" not in request.headers.get("accept", ""):
            return answer(
                {"name": who.name, "role": who.role.value, "logged_in": who.session is not None},
                headers={"cache-control": "no-store", "vary": "Cookie"},
            )
        error = CitymapError("not_allowed") if request.query_params.get("refused") else None
        if who.role is Role.PUBLIC:
            return RedirectResponse(f"{self.prefix}/auth/login?lang={lang}", 303)
        shown = t("auth.only_user", lang) if who.name == ONLY_USER else who.name
        body = (
            f"<dl><dt>{escape(t('auth.name', lang))}</dt><dd>{escape(shown)}</dd>"
            f"<dt>{escape(t('auth.role', lang))}</dt><dd>{escape(t(f'role.{who.role}', lang))}</dd></dl>"
            f'<a class="button" href="{escape(self.prefix, quote=True)}/">{escape(t("auth.start", lang))}</a>'
        )
        if who.session is not None:
            logout = escape(f"{self.prefix}/auth/logout?lang={lang}", quote=True)
            change = escape(f"{self.prefix}/auth/password?lang={lang}", quote=True)
            body += (
                f'<a class="button quiet" href="{change}">{escape(t("auth.change", lang))}</a>'
                f'<form method="post" action="{logout}"><button class="quiet">'
                f"{escape(t('auth.log_out', lang))}</button></form>"
                f'<form method="post" action="{logout}"><input type="hidden" name="all" value="1">'
                f'<button class="quiet">{escape(t("auth.log_out_all", lang))}</button></form>'
            )
        return self._page(request, "auth.session", body, error=error, status=403 if error else 200)

    async def key(self, request: Request) -> Response:
        """`GET /auth/key`: 204 and the role, for a proxy before a map server (`auth_request`).

        A key of the scope `map-server` or a session of staff opens it; else 401 with a Basic challenge.
        The only user of a PC does not count: it is the proxy of that PC that asks.
        """
        who = person(request)
        if who is None or who.name == ONLY_USER:
            return Response(None, 401, {"cache-control": "no-store", "www-authenticate": CHALLENGE})
        return Response(None, 204, {"cache-control": "no-store", "x-citymap-role": who.role.value})

    async def password_page(self, request: Request, error: CitymapError | None = None) -> Response:
        """`GET /auth/password`: the form."""
        lang = language(request)
        rows = (("old", "current-password"), ("new", "new-password"), ("again", "new-password"))
        fields = "".join(
            f'<label for="{field}">{escape(t(f"auth.{field}", lang))}</label>'
            f'<input id="{field}" name="{field}" type="password" required maxlength="256" '
            f'autocomplete="{complete}">'
            for field, complete in rows
        )
        rule = t("auth.rule", lang, least=accounts.MIN_PASSWORD)
        body = self._form(
            request, "/auth/password", f"{fields}<small>{escape(rule)}</small>", "auth.change"
        )
        status = {**STATUS, "log_in_wrong": 422}.get(error.key, 503) if error else 200
        return self._page(request, "auth.change", body, error=error, status=status)

    async def password(self, request: Request) -> Response:
        """`POST /auth/password`: the old and the new one; all other sessions end."""
        form = await _form(request)
        who = await self._who(request)
        if who.session is None:
            return RedirectResponse(f"{self.prefix}/auth/session", 303)

        def change() -> str:
            if form.get("new", "") != form.get("again", ""):
                raise AccountError("password_differs")
            accounts.check_password(who.name, form.get("new", ""))
            store = self.people.store()
            account: Account = accounts.log_in(store, who.name, form.get("old", ""))
            accounts.set_password(store, who.name, form.get("new", ""), by=who.name)
            return sessions.start(store, account)

        try:
            cookie = await run_sync(change)
        except CitymapError as error:
            return await self.password_page(request, error)
        response = RedirectResponse(f"{self.prefix}/auth/session?lang={language(request)}", 303)
        self.set_cookie(request, response, cookie)
        return response


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form (urlencoded or JSON); empty where it is neither."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            return {}
    try:
        if request.headers.get("content-type", "").startswith("application/json"):
            data = json.loads(body)
            return (
                {k: v for k, v in data.items() if isinstance(v, str)}
                if isinstance(data, dict)
                else {}
            )
        parsed = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except (ValueError, UnicodeDecodeError):
        return {}
    return {name: values[-1] for name, values in parsed.items()}
