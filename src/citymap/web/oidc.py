"""`/auth/oidc`: log-in by the identity provider of the city (OpenID Connect, code flow with PKCE)."""

from __future__ import annotations

import json
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from citymap.errors import CitymapError
from citymap.share.doors import Door, declare
from citymap.store import accounts, sessions
from citymap.store.accounts import Role
from citymap.web.access import cookies_of, open_to_all

if TYPE_CHECKING:
    from starlette.requests import Request

    from citymap.web.auth import Auth

COOKIE = "citymap_oidc"  # what has to be remembered between leaving and coming back
COOKIE_S = 600
TIMEOUT_S = 10
KEPT_S = 3600.0  # the provider's own description, until asked again
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
SCOPE = "openid profile email"

declare(
    Door("/auth/oidc", nothing="a redirect to the identity provider"),
    Door("/auth/oidc/callback", nothing="a redirect back to the page that asked"),
)


def _encrypted(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in {"127.0.0.1", "localhost", "::1"}


class Oidc:
    """The log-in of one provider."""

    def __init__(self, auth: Auth) -> None:
        self.auth = auth
        self.settings = auth.people.settings
        self._lock = Lock()
        self._known: dict[str, Any] = {}
        self._keys: Any = None
        self._asked_at = float("-inf")

    def routes(self) -> list[BaseRoute]:
        """The routes under `/auth/oidc`; none where no provider is set."""
        if not self.settings.oidc_issuer:
            return []
        return open_to_all(
            Route("/auth/oidc", self.leave, methods=["GET"]),
            Route("/auth/oidc/callback", self.come_back, methods=["GET"]),
        )

    def _provider(self) -> tuple[dict[str, Any], Any]:
        """The provider's description and keys.

        Raises:
            CitymapError: it does not answer, or describes another issuer.
        """
        import requests  # noqa: PLC0415  (with authlib: an optional log-in)
        from joserfc.jwk import KeySet  # noqa: PLC0415

        with self._lock:
            if time.monotonic() - self._asked_at < KEPT_S:
                return self._known, self._keys
            issuer = self.settings.oidc_issuer.rstrip("/")
            try:
                answer = requests.get(
                    f"{issuer}/.well-known/openid-configuration",
                    timeout=TIMEOUT_S, allow_redirects=False,
                )  # fmt: skip
                known = answer.json()
                wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
                if known["issuer"].rstrip("/") != issuer or not all(
                    _encrypted(known[name]) for name in wanted
                ):
                    raise ValueError("another issuer, or an endpoint without TLS")
                keys = requests.get(
                    known["jwks_uri"], timeout=TIMEOUT_S, allow_redirects=False
                ).json()
                self._known, self._keys = known, KeySet.import_key_set(keys)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                raise CitymapError("oidc_unreachable", reason=type(error).__name__) from error
            self._asked_at = time.monotonic()
            return self._known, self._keys

    def _client(self, request: Request) -> Any:
        from authlib.integrations.requests_client import OAuth2Session  # noqa: PLC0415

        host = request.headers.get("host", "")
        back = f"{request.url.scheme}://{host}{self.settings.root_path}/auth/oidc/callback"
        return OAuth2Session(
            self.settings.oidc_client_id, self.settings.oidc_client_secret or None,
            scope=SCOPE, redirect_uri=back, code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic"
            if self.settings.oidc_client_secret else "none",
        )  # fmt: skip

    async def leave(self, request: Request) -> Response:
        """`GET /auth/oidc?next=`: to the provider, remembering in a signed cookie what was asked."""
        kept = {
            "state": secrets.token_urlsafe(24), "nonce": secrets.token_urlsafe(24),
            "verifier": secrets.token_urlsafe(48), "next": request.query_params.get("next", "")[:2000],
            "at": int(time.time()),
        }  # fmt: skip

        def prepared() -> tuple[str, str]:
            known, _ = self._provider()
            with self._client(request) as client:
                url, _ = client.create_authorization_url(
                    known["authorization_endpoint"], state=kept["state"], nonce=kept["nonce"],
                    code_verifier=kept["verifier"],
                )  # fmt: skip
            packed = urlsafe_b64encode(json.dumps(kept).encode()).decode()
            return url, sessions.signed(sessions.key(self.auth.people.store()), packed)

        try:
            url, cookie = await run_sync(prepared)
        except CitymapError as error:
            return await self.auth.log_in_page(request, error)
        response = RedirectResponse(url, 303)
        response.set_cookie(
            COOKIE, cookie, max_age=COOKIE_S, path=f"{self.settings.root_path}/auth/oidc",
            httponly=True, samesite="lax", secure=request.url.scheme == "https",
        )  # fmt: skip
        return response

    def _kept(self, request: Request) -> dict[str, Any]:
        """What `leave` remembered for this very browser and state.

        Raises:
            CitymapError: nothing, too long ago, or for another state.
        """
        secret = sessions.key(self.auth.people.store())
        packed = sessions.unsigned(secret, cookies_of(request.scope).get(COOKIE, ""))
        kept: dict[str, Any] = json.loads(urlsafe_b64decode(packed)) if packed else {}
        state = request.query_params.get("state", "")
        fresh = kept and 0 <= time.time() - kept["at"] <= COOKIE_S
        if not fresh or not secrets.compare_digest(kept["state"].encode(), state.encode()):
            raise CitymapError("oidc_refused", reason="state")
        return kept

    def _claims(self, request: Request, kept: dict[str, Any]) -> dict[str, Any]:
        """What the provider vouches for.

        Raises:
            CitymapError: the provider refuses, or its answer does not hold.
        """
        from authlib.common.errors import AuthlibBaseError  # noqa: PLC0415
        from joserfc import jwt  # noqa: PLC0415
        from joserfc.errors import JoseError  # noqa: PLC0415

        code = request.query_params.get("code")
        if not code:
            raise CitymapError("oidc_refused", reason="code")
        known, keys = self._provider()
        try:
            with self._client(request) as client:
                token = client.fetch_token(
                    known["token_endpoint"], code=code, code_verifier=kept["verifier"],
                    grant_type="authorization_code", timeout=TIMEOUT_S,
                )  # fmt: skip
            decoded = jwt.decode(token["id_token"], keys, algorithms=ALGORITHMS)
            jwt.JWTClaimsRegistry(
                leeway=60,
                iss={"essential": True, "value": known["issuer"]},
                aud={"essential": True, "value": self.settings.oidc_client_id},
                nonce={"essential": True, "value": kept["nonce"]},
                sub={"essential": True},
                exp={"essential": True},
            ).validate(decoded.claims)
        except (AuthlibBaseError, JoseError, OSError, ValueError, KeyError, TypeError) as error:
            raise CitymapError("oidc_refused", reason=type(error).__name__) from error
        return dict(decoded.claims)

    def role(self, claims: dict[str, Any]) -> Role | None:
        """The highest role that the provider's groups give; None where they give none."""
        value = claims.get(self.settings.oidc_role_claim, [])
        groups = {value} if isinstance(value, str) else {str(v) for v in value or ()}
        found = [role for group, role in self.settings.oidc_roles if group in groups]
        return max((Role(role) for role in found), key=list(Role).index, default=None)

    async def come_back(self, request: Request) -> Response:
        """`GET /auth/oidc/callback`: from the provider; a session and on to `next`."""
        from citymap.web.auth import safe_next  # noqa: PLC0415  (the two know each other)

        def entered() -> tuple[str, str]:
            kept = self._kept(request)
            claims = self._claims(request, kept)
            name = str(claims.get(self.settings.oidc_name_claim) or claims["sub"])
            store = self.auth.people.store()
            subject = f"{claims['iss']} {claims['sub']}"
            account = accounts.by_oidc(store, subject, name, self.role(claims))
            return sessions.start(store, account), str(kept["next"])

        try:
            cookie, wanted = await run_sync(entered)
        except CitymapError as error:
            return await self.auth.log_in_page(request, error)
        response = RedirectResponse(safe_next(wanted, self.settings.root_path), 303)
        self.auth.set_cookie(request, response, cookie)
        response.delete_cookie(COOKIE, path=f"{self.settings.root_path}/auth/oidc", httponly=True)
        return response
