"""Log-in by an identity provider: the honest one gets people in, every forged answer is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytest.importorskip("authlib", reason="authlib is not installed")
from joserfc import jwt
from joserfc.jwk import RSAKey

sys.path.insert(0, str(Path(__file__).parents[1]))
from asgi_client import TestClient
from citymap.settings import Settings
from citymap.store import accounts, engine, shared_store
from citymap.store.accounts import Role
from citymap.web.public import create_app
from citymap.workspace import Workspace

KEY = RSAKey.generate_key(2048, {"kid": "k1"}, private=True)
STRANGER = RSAKey.generate_key(2048, {"kid": "k1"}, private=True)
HTML = {"accept": "text/html"}


class Provider(HTTPServer):
    """A small identity provider; `change` spoils its tokens."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server_port}"
        self.codes: dict[str, dict[str, str]] = {}
        self.change: dict[str, Any] = {}
        self.key = KEY
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def authorize(self, url: str) -> tuple[str, str]:
        """What a person does there: log in, and be sent back with a code."""
        asked = {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return code, asked["state"]


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        issuer = self.server.issuer
        if self.path == "/.well-known/openid-configuration":
            self.answer(
                {"issuer": issuer, "authorization_endpoint": issuer + "/authorize",
                 "token_endpoint": issuer + "/token", "jwks_uri": issuer + "/keys"}
            )  # fmt: skip
        else:
            self.answer({"keys": [KEY.as_dict(private=False)]})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        asked = self.server.codes.pop(form["code"][0], None)
        proof = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        challenge = base64.urlsafe_b64encode(proof).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge:
            self.answer({"error": "invalid_grant"}, 400)
            return
        claims = {
            "iss": self.server.issuer, "aud": "citymap", "sub": "u1", "nonce": asked["nonce"],
            "exp": int(time.time()) + 300, "iat": int(time.time()),
            "preferred_username": "hanako", "groups": ["防災課"],
        } | self.server.change  # fmt: skip
        token = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.server.key)
        self.answer({"access_token": "a", "token_type": "Bearer", "id_token": token})


@pytest.fixture
def provider() -> Iterator[Provider]:
    started = Provider()
    yield started
    started.shutdown()
    started.server_close()


@pytest.fixture
def client(city: Workspace, tmp_path: Path, provider: Provider) -> Iterator[TestClient]:
    settings = Settings(
        city=city.root, store=str(tmp_path / "store.sqlite"), oidc_issuer=provider.issuer,
        oidc_client_id="citymap", oidc_client_secret="s", oidc_roles="防災課=staff,IT=admin",  # noqa: S106
    )  # fmt: skip
    with TestClient(create_app(settings), follow_redirects=False) as opened:
        yield opened
    shared_store(tmp_path / "store.sqlite").close()
    engine._SHARED.pop(str(tmp_path / "store.sqlite"))


def log_in(client: TestClient, provider: Provider, state: str | None = None) -> Any:
    left = client.get("/auth/oidc?next=/map/")
    assert left.status_code == 303, left.text
    assert left.headers["location"].startswith(provider.issuer + "/authorize?")
    code, sent = provider.authorize(left.headers["location"])
    return client.get(f"/auth/oidc/callback?code={code}&state={state or sent}", headers=HTML)


def test_a_person_of_the_city_gets_in_with_the_role_of_the_group(
    client: TestClient, provider: Provider, tmp_path: Path
) -> None:
    assert "/auth/oidc?next=" in client.get("/auth/login", headers=HTML).text
    done = log_in(client, provider)
    assert (done.status_code, done.headers["location"]) == (303, "/map/")
    assert client.get("/auth/session").json() == {
        "name": "hanako", "role": "staff", "logged_in": True
    }  # fmt: skip
    client.cookies.clear()
    provider.change = {"groups": ["防災課", "IT"]}
    log_in(client, provider)
    assert client.get("/auth/session").json()["role"] == "admin"
    store = shared_store(tmp_path / "store.sqlite")
    accounts.set_disabled(store, "hanako", disabled=True, by="test")
    client.cookies.clear()
    assert log_in(client, provider).status_code == 401


def test_a_person_without_a_group_of_ours_gets_no_account(
    client: TestClient, provider: Provider, tmp_path: Path
) -> None:
    provider.change = {"groups": ["観光課"]}
    assert log_in(client, provider).status_code == 401
    store = shared_store(tmp_path / "store.sqlite")
    assert accounts.count(store) == 0
    accounts.add(store, "hanako", Role.FIELD, None, by="test", oidc_subject=f"{provider.issuer} u1")
    assert log_in(client, provider).status_code == 303
    assert client.get("/auth/session").json()["role"] == "field"


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "another"}, {"aud": "another"}, {"iss": "https://evil.example.com"}, {"exp": 1},
        {"nonce": None},
    ],
)  # fmt: skip
def test_a_token_that_does_not_hold_is_refused(
    client: TestClient, provider: Provider, change: dict[str, Any]
) -> None:
    provider.change = change
    assert log_in(client, provider).status_code == 401
    assert client.get("/auth/session").json()["logged_in"] is False


def test_a_token_of_another_key_is_refused(client: TestClient, provider: Provider) -> None:
    provider.key = STRANGER
    assert log_in(client, provider).status_code == 401


def test_a_code_for_another_browser_is_refused(client: TestClient, provider: Provider) -> None:
    assert log_in(client, provider, state="forged").status_code == 401
    left = client.get("/auth/oidc")
    code, state = provider.authorize(left.headers["location"])
    client.cookies.clear()
    back = client.get(f"/auth/oidc/callback?code={code}&state={state}", headers=HTML)
    assert back.status_code == 401
    assert client.get("/auth/oidc/callback?error=access_denied", headers=HTML).status_code == 401


def test_a_provider_that_is_away_is_said_and_asked_again(
    client: TestClient, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    def away(*_: object, **__: object) -> None:
        raise requests.ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(requests, "get", away)
        assert client.get("/auth/oidc").status_code == 503
    assert client.get("/auth/oidc").status_code == 303


def test_with_a_provider_nobody_is_the_only_user(client: TestClient) -> None:
    answer = client.get("/auth/session", headers={"host": "127.0.0.1"})
    assert answer.json()["role"] == "public"
