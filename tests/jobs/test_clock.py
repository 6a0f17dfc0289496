"""What is due is started once, by itself, and survives a restart."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "reports")]
from report_samples import body, checked

import small_city
from citymap.assess import daily_board
from citymap.jobs import clock, run
from citymap.reports import desk, receive
from citymap.reports.model import Sender
from citymap.store import Store, jobs, open_store
from citymap.workspace import Workspace

SEVEN = datetime(2026, 9, 11, 7, tzinfo=daily_board.JAPAN)


@pytest.fixture
def city(tmp_path: Path) -> Workspace:
    return small_city.make(tmp_path / "city")


@pytest.fixture
def store(city: Workspace) -> Iterator[Store]:
    opened = open_store(city)
    yield opened
    opened.close()


def send(store: Store, city: Workspace, at: datetime, **changed: object) -> str:
    data = checked(body(observed_at=at.isoformat(), **changed), at=at)
    return receive.accept(store, city, data, sender=Sender("device:a"), at=at).id


def work_off(store: Store, city: Workspace) -> list[jobs.Job]:
    done = []
    while (job := jobs.claim(store, "w")) is not None:
        run.run(store, city, job)
        done.append(jobs.get(store, job.id))
    return done


def test_the_board_is_made_once_at_its_hour(store: Store, city: Workspace) -> None:
    assert clock.look(store, city, SEVEN) == []  # nothing happened yet
    send(store, city, SEVEN - timedelta(hours=30))
    rejected = send(store, city, SEVEN - timedelta(hours=2))
    send(store, city, SEVEN - timedelta(hours=1), category="landslide", depth_m=None)
    send(store, city, SEVEN + timedelta(minutes=1))  # the next day's
    desk.move(store, [rejected], "rejected", by="a")
    before = clock.look(store, city, SEVEN - timedelta(minutes=1))
    assert [j.params["day"] for j in before] == ["2026-09-10"]  # yesterday's was missed: made late
    (job,) = clock.look(store, city, SEVEN + timedelta(minutes=2))
    assert clock.look(store, city, SEVEN + timedelta(minutes=3)) == []  # it waits already
    assert [j.state for j in work_off(store, city)] == ["done", "done"]
    assert clock.look(store, city, SEVEN + timedelta(minutes=4)) == []
    board = next(b for b in daily_board.kept(city) if b.day == job.params["day"])
    assert board.states == {"rejected": 1, "new": 1}
    assert sum(line.received for line in board.lines) == 1
    assert board.waiting == sum(line.open for line in board.lines) == 2
    assert board.oldest is not None
    assert datetime.fromisoformat(board.oldest) == (SEVEN - timedelta(hours=30)).astimezone(UTC)


def test_a_worker_that_was_killed_leaves_the_board_to_the_next(
    store: Store, city: Workspace
) -> None:
    send(store, city, SEVEN - timedelta(hours=1))
    (job,) = clock.look(store, city, SEVEN)
    taken = jobs.claim(store, "a worker that dies")
    assert taken is not None
    assert clock.look(store, city, SEVEN + timedelta(hours=1)) == []  # it runs, as far as we know
    jobs.give_back(store, taken, why="it was killed")
    assert [j.id for j in work_off(store, city)] == [job.id]
    assert [b.day for b in daily_board.kept(city)] == ["2026-09-11"]


def test_the_board_as_a_table_has_no_formula_and_nothing_of_a_person(
    store: Store, city: Workspace
) -> None:
    own = '[[category]]\ncode = "other"\ntitle = { ja = "=cmd()" }\n'
    (city.root / "report-categories.toml").write_text(own, encoding="utf-8")
    send(store, city, SEVEN - timedelta(hours=1), category="other", depth_m=None)
    board = daily_board.make(store, city, "2026-09-11", 7)
    raw = daily_board.as_csv(board, city, "ja")
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"))))
    assert rows[1][1] == "'=cmd()"
    assert rows[-1][2:] == ["1", "1"]
    text = (daily_board.folder(city) / "2026-09-11.json").read_text() + raw.decode()
    assert not any(secret in text for secret in ("090-0000", "橋の下", "device:a"))


def test_the_hour_can_be_another_or_none(
    store: Store, city: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(store, city, SEVEN - timedelta(hours=1))
    monkeypatch.setenv("CITYMAP_BOARD_HOUR", "-1")
    assert clock.look(store, city, SEVEN) == []
    monkeypatch.setenv("CITYMAP_BOARD_HOUR", "6")
    (job,) = clock.look(store, city, SEVEN)
    assert job.params == {"day": "2026-09-11", "hour": 6}
