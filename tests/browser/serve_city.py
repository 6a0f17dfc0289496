"""Runs one of the two applications for a browser test: `serve_city.py staff|public PORT [STATIC]`."""

import sys
from pathlib import Path

import uvicorn

import citymap.web.paths

if len(sys.argv) > 3:
    citymap.web.paths.STATIC = Path(sys.argv[3])
TARGETS = {
    "staff": ("citymap.ui.staff:app", False),
    "public": ("citymap.web.public:create_app", True),
}
target, factory = TARGETS[sys.argv[1]]
uvicorn.run(
    target, factory=factory, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning",
    timeout_graceful_shutdown=2,
)  # fmt: skip
