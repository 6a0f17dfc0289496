"""Counting callers over processes: nothing lost, nobody named, the window slides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citymap.settings import Settings
from citymap.web import rate
from citymap.web.rate import SharedCounters, caller_of


class Clock:
    def __init__(self) -> None:
        self.now = 600.0

    def __call__(self) -> float:
        return self.now


def test_hits_of_all_processes_count(tmp_path: Path) -> None:
    path = tmp_path / "rate"
    script = (
        "import sys; from pathlib import Path; from citymap.web.rate import SharedCounters\n"
        "c = SharedCounters(Path(sys.argv[1]), clock=lambda: 600.0)\n"
        "print('row', flush=True); sys.stdin.readline()\n"
        "for _ in range(500): c.hit('a')\n"
        "print('done', flush=True); sys.stdin.readline()\n"
    )
    others = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    for other in others:  # all have a row before any counts
        assert other.stdout is not None
        assert other.stdout.readline()
    for other in others:  # all count at once
        assert other.stdin is not None
        other.stdin.write("\n")
        other.stdin.flush()
    for other in others:
        other.communicate()
        assert other.returncode == 0
    mine = SharedCounters(path, clock=lambda: 600.0)
    assert mine.hit("a") == 1501
    mine.close()


def test_the_window_slides() -> None:
    clock = Clock()
    counters = SharedCounters(None, clock=clock)
    for _ in range(60):
        counters.hit("a")
    clock.now += 60
    assert counters.hit("a") == 61
    clock.now += 30  # half of the window before still counts
    assert counters.hit("a") == pytest.approx(32)
    clock.now += 120
    assert counters.hit("a") == 1


@given(st.lists(st.sampled_from("abcdefgh"), max_size=60))
def test_a_count_is_never_too_low(callers: list[str]) -> None:
    counters = SharedCounters(None, clock=lambda: 600.0)
    seen: dict[str, int] = {}
    for caller in callers:
        seen[caller] = seen.get(caller, 0) + 1
        assert counters.hit(caller) >= seen[caller]
    counters.close()


def test_two_callers_hardly_ever_meet() -> None:
    counters = SharedCounters(None, clock=lambda: 600.0)
    for number in range(2000):
        counters.hit(f"10.0.{number // 250}.{number % 250}")
    assert sum(counters.hit(f"192.168.{n}.1") > 1 for n in range(200)) <= 30
    counters.close()


@pytest.mark.parametrize(
    ("address", "caller"),
    [("10.1.2.3", "10.1.2.3"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
     ("::ffff:10.1.2.3", "10.1.2.3"), ("testclient", "testclient")],
)  # fmt: skip
def test_a_subscriber_of_ipv6_is_one_caller(address: str, caller: str) -> None:
    assert caller_of(address) == caller


def test_no_address_stands_in_the_file(tmp_path: Path) -> None:
    counters = rate.counters(Settings(run_folder=tmp_path))
    counters.hit("203.0.113.77")
    counters.close()
    files = [p for p in tmp_path.iterdir() if p.is_file()]
    assert files
    assert all(b"203.0.113.77" not in p.read_bytes() for p in files)
    assert files[0].stat().st_mode & 0o077 == 0


def test_without_a_folder_a_process_counts_for_itself(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    counters = rate.counters(Settings(run_folder=blocked))
    assert counters.hit("a") == 1
