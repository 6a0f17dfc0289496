"""The keys on the page 管理."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import citymap.ui
import small_city
from citymap.store import Store, accounts, engine, keys, shared_store
from citymap.store.accounts import Role

PAGE = Path(citymap.ui.__file__).parent / "screens" / "jobs.py"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    city = small_city.make(
        tmp_path / "city"
    )  # its own: with an account others would have to log in
    monkeypatch.setenv("CITYMAP_CITY", str(city.root))
    monkeypatch.setenv("CITYMAP_SINGLE_USER", "true")
    opened = shared_store(city)
    accounts.add(opened, "gis", Role.STAFF, None, by="test", oidc_subject="issuer gis")
    yield opened
    if (used := engine._SHARED.pop(str(city.root / "store.sqlite"), None)) is not None:
        used.close()


def test_an_administrator_makes_a_key_sees_it_once_and_ends_it(store: Store) -> None:
    at = AppTest.from_file(str(PAGE), default_timeout=60).run()
    assert not at.exception
    at.text_input[0].set_value("QGIS")
    next(b for b in at.button if b.label == "鍵を作る").click().run()
    assert not at.exception
    (made,) = keys.listed(store)
    (shown,) = [c.value for c in at.code if c.value.startswith("cmk_")]
    assert keys.check(store, shown, "gis") is not None
    at.run()
    assert not any(c.value.startswith("cmk_") for c in at.code)
    at.button(key="key_revoke").click().run()
    assert keys.listed(store)[0].revoked_at is not None
    assert made.title == "QGIS"
