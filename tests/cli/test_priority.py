"""Staff pages and jobs give way: by niceness, and by the niceness of their own scheduling group."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/self/autogroup")
ASK = (
    "import os; from citymap.cli.priority import give_way; give_way(8);"
    "print(os.nice(0), open('/proc/self/autogroup').read().split()[-1])"
)


def test_a_process_and_its_group_give_way() -> None:
    if not AUTOGROUP.exists():
        pytest.skip("this system has no scheduling groups of sessions")
    own = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, check=True, start_new_session=True
    )  # fmt: skip
    assert own.stdout.split() == ["8", "8"]


def test_a_group_that_others_share_is_left_alone() -> None:
    if not AUTOGROUP.exists():
        pytest.skip("this system has no scheduling groups of sessions")
    before = AUTOGROUP.read_text().split()[-1]
    shared = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert shared.stdout.split() == ["8", before]
