"""A city's own words reach the map renderer."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from asgi_client import TestClient
from citymap.i18n import override
from citymap.settings import Settings
from citymap.web.public import create_app


def test_the_renderer_hears_the_city_s_own_words(tmp_path: Path) -> None:
    (tmp_path / "messages.toml").write_text('[map."help"]\nja = "使い方"\n', encoding="utf-8")
    try:
        with TestClient(create_app(Settings(city=tmp_path))) as client:
            assert client.get("/api/messages.json").json() == {"help": {"ja": "使い方"}}
    finally:
        override({})
