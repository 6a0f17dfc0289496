"""Imports that die, and two at once: the city's tables are the old ones or the new ones, never both."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from citymap.errors import BadInputError
from citymap.workspace import City, Workspace, finish_commit, held, replacing_together

DIE = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from citymap import workspace as w
    root, steps = Path(sys.argv[1]), int(sys.argv[2])
    real, done = Path.replace, 0
    def replace(self, target):
        global done
        if done == steps:
            os._exit(9)
        done += 1
        return real(self, target)
    Path.replace = replace
    with w.replacing_together(root, {n: root / n for n in "abc"}) as temporary:
        for path in temporary.values():
            path.write_text("new")
    os._exit(0)
""")


@pytest.mark.parametrize("steps", range(5))
def test_a_crash_between_two_renames_never_mixes_generations(tmp_path: Path, steps: int) -> None:
    for name in "abc":
        (tmp_path / name).write_text("old")
    workspace = Workspace(tmp_path)
    workspace.write_city(City("x", "09999", 6677))
    died = subprocess.run([sys.executable, "-c", DIE, str(tmp_path), str(steps)], check=False)
    assert died.returncode == (9 if steps < 4 else 0)
    workspace.city()  # whoever opens the city next finishes what was begun
    found = {(tmp_path / name).read_text() for name in "abc"}
    assert found == ({"old"} if steps == 0 else {"new"})
    assert not (tmp_path / ".commit.json").exists()


def test_a_failure_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), replacing_together(tmp_path, {"a": tmp_path / "a"}) as made:
        made["a"].write_text("half")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"
    finish_commit(tmp_path)  # nothing to do


def test_a_second_import_is_told_to_wait(tmp_path: Path) -> None:
    with held(tmp_path / "imports" / ".lock", "import"):
        second = subprocess.run(
            [sys.executable, "-m", "citymap.cli", "import", __file__, "--city", str(tmp_path), "--json"],
            capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert json.loads(second.stderr)["error"] == "city_busy"
    with held(tmp_path / "imports" / ".lock", "import"):
        pass  # free again


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from citymap.workspace import held\n"
        "with held(Path(sys.argv[1]), 'x'): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=False)
    lock = tmp_path / "lock"
    with held(lock, "a"), pytest.raises(BadInputError), held(lock, "b"):
        pass
