"""schemathesis over our OpenAPI document: whatever it thinks of, the answer is never a 5xx.

It lives in an environment of its own (`.ci/run` makes it and says where by CITYMAP_TEST_SCHEMATHESIS).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import ogc_service

PROGRAM = os.environ.get("CITYMAP_TEST_SCHEMATHESIS") or shutil.which("schemathesis")


@pytest.mark.slow
@pytest.mark.skipif(not PROGRAM, reason="schemathesis is not installed")
def test_no_request_of_a_fuzzer_breaks_the_service(tmp_path: Path) -> None:
    city = ogc_service.make(tmp_path / "city")
    with ogc_service.serving(city) as address:
        done = subprocess.run(
            [str(PROGRAM), "run", f"{address}/ogc/api", "--checks", "not_a_server_error",
             "--max-examples", "15", "--seed", "1", "--no-color"],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    cases = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert cases is not None, done.stdout[-2000:]
    assert int(cases[1]) == int(cases[2]) > 300
