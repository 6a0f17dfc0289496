"""Staff pages and jobs give way: by niceness, and by the niceness of their own scheduling group."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

AUTOGROUP = Path("/proc/self/autogroup")
SHOW = "import os; print(os.nice(0), *open('/proc/self/autogroup').read().split()[-1:])"
ASK = f"from citymap.cli.priority import give_way; give_way(8); {SHOW}"
BESIDE = (
    f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ASK!r}], check=True); {SHOW}"
)


def in_a_session_of_its_own(program: str) -> list[list[str]]:
    """The lines it prints: niceness, and that of the scheduling group where the system has such groups."""
    if not AUTOGROUP.exists():
        pytest.skip("this system has no scheduling groups of sessions")
    told = subprocess.run(
        [sys.executable, "-u", "-c", program], capture_output=True, text=True, check=True, start_new_session=True
    )  # fmt: skip
    lines = [line.split() for line in told.stdout.splitlines()]
    if any(len(line) < 2 for line in lines):  # the file is there and empty
        pytest.skip("scheduling groups of sessions are switched off here")
    return lines


def test_a_process_and_its_group_give_way() -> None:
    assert in_a_session_of_its_own(ASK) == [[str(os.nice(0) + 8), "8"]]


def test_a_group_that_others_share_is_left_alone() -> None:
    child, leader = in_a_session_of_its_own(BESIDE)
    assert child == [str(os.nice(0) + 8), "0"]
    assert leader == [str(os.nice(0)), "0"]
