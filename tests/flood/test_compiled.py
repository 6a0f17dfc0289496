"""Kernels compiled ahead: told apart by their sources, kept where this process can write, made when idle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from citymap import kernel_cache
from citymap.flood import compiled
from citymap.jobs.ahead import Ahead


def test_code_of_other_sources_goes_and_that_of_these_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "folder", lambda: tmp_path)
    monkeypatch.setattr(compiled, "_READY", set())
    code = [tmp_path / "steps.advance-1.py311.nbi", tmp_path / "steps.advance-1.py311.1.nbc"]
    old = tmp_path / "citymap-kernels-0123-float32-4567"
    for path in (*code, old):
        path.touch()
    seen: list[bool] = []
    assert not compiled.compiled_before("float32")
    compiled.ready("float32", lambda: seen.append(any(p.exists() for p in (*code, old))))
    assert seen == [False]
    assert compiled._mark("float32").exists()
    code[0].touch()
    compiled.ready("float64", lambda: seen.append(code[0].exists()))
    assert seen == [False, True]


def test_sources_that_are_put_in_place_again_count_as_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """numba goes by their age, and would compile without our lock what we take for compiled."""
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    (kernels / "steps.py").write_text("x = 1", encoding="utf-8")
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "compiled.py"))
    before = compiled._sources()
    assert compiled._sources() == before
    os.utime(kernels / "steps.py", ns=(1, 1))
    assert compiled._sources() != before


def test_what_cannot_be_marked_was_not_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "folder", lambda: tmp_path)
    monkeypatch.setattr(compiled, "_READY", set())

    def fails() -> None:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        compiled.ready("float32", fails)
    assert not compiled.compiled_before("float32")


def test_the_process_that_compiles_ends_with_the_one_that_asked() -> None:
    process = compiled.begin(["float32", "float64", "hllc"])
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(120) in {0, 1}  # 0: all was there before it could look


def test_an_idle_worker_compiles_once_and_leaves_nothing_running(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[subprocess.Popen[bytes]] = []

    def begin() -> subprocess.Popen[bytes]:
        begun.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        return begun[-1]

    monkeypatch.setattr(compiled, "begin", begin)
    early = Ahead(after_s=3600.0)
    early.look()
    assert not begun
    ahead = Ahead(after_s=0.0)
    ahead.look()
    ahead.look()
    assert len(begun) == 1
    assert begun[0].poll() is None
    ahead.stop()
    assert begun[0].poll() is not None
    ahead.look()
    assert len(begun) == 1


class TestPlace:
    """Where compiled code is kept."""

    def settled(self, monkeypatch: pytest.MonkeyPatch, temporary: Path) -> str | None:
        monkeypatch.delenv(kernel_cache.VARIABLE, raising=False)
        monkeypatch.setattr(kernel_cache.tempfile, "gettempdir", lambda: str(temporary))
        kernel_cache.settle()
        found = os.environ.pop(kernel_cache.VARIABLE, None)
        return found

    def test_numba_chooses_where_it_can(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.settled(monkeypatch, tmp_path) is None
        monkeypatch.setattr(kernel_cache, "_can_write", lambda path: "numba" in path.parts)
        assert self.settled(monkeypatch, tmp_path) is None

    @pytest.mark.skipif(sys.platform == "win32", reason="users have no numbers there")
    def test_a_folder_of_ours_where_nothing_else_can_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kernel_cache, "_can_write", lambda _: False)
        found = self.settled(monkeypatch, tmp_path)
        assert found == str(tmp_path / f"citymap-numba-{os.getuid()}")
        assert Path(found).stat().st_mode & 0o777 == 0o700
        assert self.settled(monkeypatch, tmp_path) == found  # the next process finds it again

    @pytest.mark.skipif(sys.platform == "win32", reason="users have no numbers there")
    def test_no_folder_that_others_can_put_code_into(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trap = tmp_path / f"citymap-numba-{os.getuid()}"
        trap.mkdir()
        trap.chmod(0o777)
        monkeypatch.setattr(kernel_cache, "_can_write", lambda _: False)
        monkeypatch.setattr(kernel_cache.tempfile, "mkdtemp", lambda prefix: str(tmp_path / "own"))
        assert self.settled(monkeypatch, tmp_path) == str(tmp_path / "own")
