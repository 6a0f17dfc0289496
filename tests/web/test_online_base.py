"""地理院タイル is offered only where the operator allows it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from citymap.settings import Settings
from citymap.web.public import create_app


@pytest.mark.parametrize("allowed", [True, False])
def test_the_online_base_is_offered_only_where_it_is_allowed(tmp_path: Path, allowed: bool) -> None:
    (tmp_path / "tiles").mkdir()
    (tmp_path / "tiles" / "manifest.json").write_text("{}", encoding="utf-8")
    app = create_app(Settings(city=tmp_path, online_base=allowed))  # type: ignore[call-arg]

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/tiles/manifest.json")

    import asyncio

    answer = asyncio.run(ask())
    assert answer.status_code == 200
    assert (answer.headers.get("x-citymap-online-base") == "1") is allowed
    assert ("cyberjapandata" in answer.headers["content-security-policy"]) is allowed
