"""Shared fixtures: the real data beside the checkout, and no network for anybody."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
if "CITYMAP_RUN_FOLDER" not in os.environ:  # counters of the tests go with them
    os.environ["CITYMAP_RUN_FOLDER"] = tempfile.mkdtemp(prefix="citymap-tests-")
    atexit.register(shutil.rmtree, os.environ["CITYMAP_RUN_FOLDER"], ignore_errors=True)

settings.register_profile("any machine", deadline=None)  # time is for benchmarks/
settings.load_profile("any machine")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real municipal files; they are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip(f"real data are not beside the checkout ({SHARED.name} is absent)")
    return SHARED


@pytest.fixture(autouse=True)
def _own_main() -> Iterator[None]:
    """Streamlit's AppTest leaves its page as `__main__`; a process spawned later would run that."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True)
def _only_loopback(request: pytest.FixtureRequest) -> None:
    """Sockets may reach this machine only."""
    from pytest_socket import socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    request.addfinalizer(lambda: None)
