"""The page 被害報告: new reports appear, every deed is an event, and a wrong one is said."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "reports")]
from report_samples import LON, body, checked, exif, picture

import citymap.ui
from citymap.assess import report_board
from citymap.reports import desk, photos, receive
from citymap.reports.categories import FILE
from citymap.reports.desk import Filter
from citymap.reports.model import Report, Sender
from citymap.share.report_files import download
from citymap.store import shared_store
from citymap.store.tables import now
from citymap.ui import triage
from citymap.ui.map_frame import MapEvents
from citymap.workspace import Workspace

PAGE = Path(citymap.ui.__file__).parent / "screens" / "damage_reports.py"


pytestmark = pytest.mark.usefixtures("store")


def sent(town: Workspace, *pictures: bytes, **changed: Any) -> Report:
    store, at = shared_store(town), now()
    kept = [photos.check(p) for p in pictures]
    report = checked(
        body(**{"observed_at": None, **changed}), photos=[k.sent_sha256 for k in kept], at=at
    )
    receive.accept(store, town, report, kept, sender=Sender(f"device:{uuid.uuid4()}"), at=at)
    found = desk.found(store, report.id)
    assert found is not None
    return found


def again(town: Workspace, report: Report) -> Report:
    found = desk.found(shared_store(town), report.id)
    assert found is not None
    return found


def page(**state: Any) -> AppTest:
    at = AppTest.from_file(str(PAGE), default_timeout=60)
    for name, value in state.items():
        at.session_state[name] = value
    at.run()
    assert not at.exception, at.exception
    return at


def shown(at: AppTest) -> str:
    return " ".join(
        str(e.value)
        for kind in ("markdown", "caption", "info", "warning", "error")
        for e in at.get(kind)
    )


def test_an_empty_list_says_so(town: Workspace) -> None:
    assert "この条件の通報はありません" in shown(page())


def test_reports_are_listed_with_trust_district_and_state(town: Workspace) -> None:
    sent(town, picture(exif=exif()))
    at = page()
    assert "1 件" in shown(at)
    (row,) = at.dataframe[0].value.to_dict("records")
    assert (row["№"], row["状態"], row["写真"], row["公開"]) == (1, "新着", 1, False)
    assert row["町字"] in {"本町一丁目", "ヶ丘町"}
    assert 0 < row["信頼度"] < 1
    sent(town)
    at.run()
    assert "2 件" in shown(at)


def test_the_workflow_by_buttons(town: Workspace) -> None:
    report = sent(town, picture())
    at = page(triage_open=report.id)
    at.button(key=f"to_confirmed_{report.id}").click().run()
    assert again(town, report).status == "confirmed"
    at.text_area(key=f"public_{report.id}_None").input("通れません")
    at.button(key=f"publish_{report.id}").click().run()
    assert (again(town, report).release, again(town, report).public_text) == (
        "released",
        "通れません",
    )
    at.toggle(key=f"photo_{report.id}_0").set_value(True).run()
    assert again(town, report).photos[0].public_name
    at.button(key=f"effect_off_{report.id}").click().run()
    assert again(town, report).effect == "off"
    at.button(key=f"to_rejected_{report.id}").click().run()
    assert again(town, report).release == "withheld"
    assert not at.exception
    kinds = [e.kind for e in desk.history(shared_store(town), report.id)]
    assert kinds == ["received", "status", "published", "photo_released", "effect", "status"]


def test_who_is_slower_is_told(town: Workspace) -> None:
    report = sent(town)
    at = page(triage_open=report.id)
    desk.move(shared_store(town), [report.id], "rejected", by="abe")
    at.button(key=f"to_confirmed_{report.id}").click().run()
    assert again(town, report).status == "rejected"


def test_the_map_goes_to_the_report_that_is_open(
    town: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it was opened by key or on the map, not by a row of the table."""
    report, _ = sent(town), sent(town, lon=LON + 0.003)
    drawn: list[str] = []

    def seen(**given: Any) -> MapEvents:
        drawn.append(json.dumps(given["deck"]))
        return MapEvents(False, None, None, None, {})

    monkeypatch.setattr(triage, "city_map", seen)
    page()
    page(triage_open=report.id)
    everything, one = drawn
    assert everything.count('"colour": [0, 0, 0]') == 0
    assert one.count('"colour": [0, 0, 0]') == 1  # the open one is black
    assert json.loads(one)["initialViewState"] != json.loads(everything)["initialViewState"]


def test_a_picture_brought_in_with_others_is_nobodys_report(town: Workspace) -> None:
    store, at = shared_store(town), now()
    report = checked(body(observed_at=None), at=at)
    receive.accept(store, town, report, sender=Sender("sato", "public", "images"), at=at)
    said = "".join(
        h.proto.body for h in page(triage_open=report.id, triage_source=["images"]).get("html")
    )
    assert "写真の一括取込み" in said
    assert "写真の一括取込み ・" not in said


def test_a_pair_is_offered_and_merged(town: Workspace) -> None:
    one, other = sent(town, picture()), sent(town, picture())
    at = page()
    assert "№ 1" in shown(at)
    at.button(key=f"same_{one.id}_{other.id}").click().run()
    assert again(town, other).merged_into == one.id
    three = sent(town)
    at.run()
    at.button(key=f"other_{one.id}_{three.id}").click().run()
    assert again(town, three).status == "new"
    for seen in (at, page()):  # also where another person opens the page
        assert not [b for b in seen.button if b.key == f"same_{one.id}_{three.id}"]
    kept = [e for e in desk.history(shared_store(town), three.id) if e.kind == "apart"]
    assert [e.detail["from"] for e in kept] == [one.id]


def test_a_slip_in_the_list_is_told_to_staff(town: Workspace) -> None:
    (town.root / FILE).write_text("[[category]]\ncode = 5")
    assert "report-categories.toml" in shown(page())


def test_the_board_counts_by_district_and_category(town: Workspace) -> None:
    store = shared_store(town)
    sent(town)
    sent(town, category="lifeline")
    gone = sent(town)
    desk.move(store, [gone.id], "rejected", by="ono")
    counted = report_board.summary(report_board.rows(store, town, Filter(), at=now(), lang="ja"))
    (district,) = counted.districts
    assert counted.of_district(district) == 2
    assert counted.waiting == 2
    assert counted.counts[district, "電気・水道・ガス・電話"] == 1


def test_files_have_no_formulas_and_open_again(town: Workspace, tmp_path: Path) -> None:
    import geopandas

    sent(town, text="=HYPERLINK(1)", contact="+81")
    store = shared_store(town)
    text = download(store, town, Filter(), "csv", "staff").decode("utf-8-sig")
    assert "'=HYPERLINK(1)" in text
    assert "'+81" in text
    path = tmp_path / "a.gpkg"
    path.write_bytes(download(store, town, Filter(), "gpkg", "staff"))
    frame = geopandas.read_file(path)
    assert (len(frame), frame.crs.to_epsg()) == (1, 6668)
    assert download(store, town, Filter(), "csv", "public").count(b"\n") == 1


def test_the_daily_summaries_can_be_looked_at(town: Workspace) -> None:
    from datetime import timedelta

    from citymap.assess import daily_board

    assert "毎日 7 時" in shown(page())
    sent(town)
    tomorrow = (now().astimezone(daily_board.JAPAN) + timedelta(days=1)).date()
    daily_board.make(shared_store(town), town, tomorrow.isoformat(), 0)
    at = page()
    table = at.dataframe[-1].value.to_dict("records")
    assert [(r["種類"], r["未完了"]) for r in table] == [("道路が水につかっている", 1)]
    assert "未完了 1 件" in shown(at)


def test_the_next_report_is_one_key_away(town: Workspace) -> None:
    first, second = sent(town), sent(town)
    at = page()
    at.button(key="triage_next").click().run()
    assert f"№ {second.number} " in shown(at)  # the newest first
    at.button(key="triage_next").click().run()
    assert f"№ {first.number} " in shown(at)
    at.button(key="triage_back").click().run()
    assert f"№ {second.number} " in shown(at)
