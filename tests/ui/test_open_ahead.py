"""The staff process opens its city before the first person, and spares it from every later collection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import small_city

PROGRAM = """
import gc, threading, time
from citymap.ui.city import _opened, open_ahead
open_ahead()
next(t for t in threading.enumerate() if t.name == "open-ahead").join()
assert gc.get_freeze_count() > 10_000, gc.get_freeze_count()
held = []
gc.callbacks.append(lambda phase, info: held.append(len(gc.get_objects())))
gc.collect()
print(max(held))
"""


def test_the_city_is_spared_by_later_collections(tmp_path: Path) -> None:
    city = small_city.make(tmp_path / "city", 5)
    environment = {**os.environ, "CITYMAP_CITY": str(city.root), "CITYMAP_SINGLE_USER": "true"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 10_000, "a collection still looks at what was frozen"
