"""Who goes first on a busy machine: residents, then staff, then jobs."""

from __future__ import annotations

import os
import time
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")
PAUSE_S = 0.15  # Linux takes one change of a group in 0.1 s from an ordinary user


def give_way(niceness: int, group: Path = AUTOGROUP) -> None:
    """Let other processes go first by `niceness` (1 to 19).

    On Linux each session of processes is a scheduling group of its own (`sched_autogroup_enabled`), and
    between groups only the group's niceness counts (man 7 sched); so both are set. Where a system
    has neither, nothing happens.
    """
    if hasattr(os, "nice"):
        os.nice(niceness)
    for _ in range(5):
        try:
            if os.getsid(0) == os.getpid():  # a group that is ours alone
                group.write_text(str(niceness))
        except (BlockingIOError, InterruptedError):
            time.sleep(PAUSE_S)
            continue
        except (AttributeError, OSError):
            pass
        return
