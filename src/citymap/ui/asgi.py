"""What stands around the pages: the shared routes and the hardening, from the settings."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import streamlit
from starlette.middleware import Middleware

from citymap.settings import Settings
from citymap.web.hardening import Hardening

MAIN = Path(__file__).with_name("main.py")
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def inline_script_hashes() -> list[str]:
    """CSP hashes of the inline scripts in the page of the Streamlit that is installed."""
    page = Path(streamlit.__file__).parent / "static" / "index.html"
    scripts = _INLINE_SCRIPT.findall(page.read_bytes())
    return ["sha256-" + b64encode(sha256(script).digest()).decode() for script in scripts]


def middleware(settings: Settings | None = None) -> list[Middleware]:
    """The hardening of the staff process."""
    settings = settings or Settings()
    return [
        Middleware(
            Hardening,
            script_hashes=inline_script_hashes(),
            online_base=settings.online_base,
            root_path=settings.root_path,
        )
    ]
