"""Wi-Fi for the map: what a list says of disasters, the shelter on site, and nothing that is staff's."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import small_city

from citymap.places import import_places
from citymap.share.wifi_points import in_disasters, wifi_points
from citymap.workspace import Workspace


@pytest.mark.parametrize(("said", "opened"), [
    ({"ssid": "00000JAPAN"}, True), ({"note": "災害時は無料開放します"}, True), ({"note": "災害時も使えます"}, True),
    ({"note": "災害時は利用できません"}, False), ({"area": "1階ロビー"}, None), ({}, None),
    ({"note": "災害時の連絡先は防災課"}, None),
])  # fmt: skip
def test_only_what_the_list_says_counts(said: dict[str, str], opened: bool | None) -> None:
    assert in_disasters(said) is opened


def test_a_point_names_the_shelter_it_stands_at(tmp_path: Path) -> None:
    town: Workspace = small_city.make(tmp_path / "town")
    south, west = small_city.SOUTH, small_city.WEST
    (tmp_path / "s.csv").write_text(
        f"ID,名称,緯度,経度,災害種別_洪水\n1,第一小,{south},{west},1\n", encoding="utf-8"
    )
    (tmp_path / "w.csv").write_text(
        "NO,名称,緯度,経度,SSID,提供エリア,設置者,備考\n"
        f"1,体育館,{south + 0.0002},{west},A,館内,市,内線1234\n2,公園,{south + 0.002},{west},B,広場,市,\n",
        encoding="utf-8",
    )
    import_places(town, [tmp_path / "s.csv", tmp_path / "w.csv"])
    found = {p["name"]: p for p in wifi_points(town)}
    assert found["体育館"]["shelter"] == {"place_id": "1", "name": "第一小"}
    assert found["公園"]["shelter"] is None
    assert (found["公園"]["ssid"], found["公園"]["operator"], found["公園"]["area"]) == (
        "B",
        "市",
        "広場",
    )
    assert "内線1234" not in str(found)


def test_a_city_without_a_list_has_none(tmp_path: Path) -> None:
    assert wifi_points(small_city.make(tmp_path / "town")) == []
