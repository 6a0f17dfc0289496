"""The page of several cities side by side, as the front serves it at `/`.

It knows the names of the cities and nothing else: all figures come in the browser from each city's own
public doors, below that city's prefix and through its gate.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from importlib.resources import files

from citymap.i18n import LANGUAGES, catalogue, t
from citymap.web.front import Answer, Asked

AREA = "cities.page."
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "frame-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    ]
)
_FILES = {"page.js": "text/javascript; charset=utf-8", "page.css": "text/css; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A city as the page names it."""

    prefix: str
    name: str
    name_en: str


def language(asked: Asked) -> str:
    """`?lang=`, else the browser's first language that we have, else Japanese."""
    query = asked.target.partition(b"?")[2].decode("latin-1").split("&")
    wanted = [q.removeprefix("lang=") for q in query if q.startswith("lang=")]
    wanted += [w.strip()[:2] for w in asked.header(b"accept-language").decode("latin-1").split(",")]
    return next((w for w in wanted if w in LANGUAGES), LANGUAGES[0])


class Region:
    """Answers what belongs to no city: the page, its two files, and the list of cities."""

    def __init__(self, title: str, cities: Sequence[Listed], *, staff: bool = False) -> None:
        self._title = title
        self._cities = tuple(cities)
        self._staff = staff

    def __call__(self, asked: Asked) -> Answer:
        """The answer to a request that names no city."""
        if asked.method not in {b"GET", b"HEAD"}:
            return Answer(405, b"", headers=(("allow", "GET, HEAD"),))
        path = asked.path
        if path == "/":
            return self._page(language(asked))
        name = path.removeprefix("/cities/")
        if path.startswith("/cities/") and name in _FILES:
            body = files("citymap.web").joinpath("side_by_side", name).read_bytes()
            return Answer(200, body, _FILES[name], (("cache-control", "no-cache"),))
        if path == "/cities/healthz":
            return Answer(200, b'{"status":"ok"}', "application/json")
        return Answer(404, t("cities.page.nothing", language(asked)).encode())

    def _page(self, lang: str) -> Answer:
        words = {
            key.removeprefix(AREA): t(key, lang) for key in catalogue() if key.startswith(AREA)
        }
        data = {
            "lang": lang, "staff": self._staff, "words": words,
            "cities": [asdict(c) for c in self._cities],
        }  # fmt: skip
        inline = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
        title = escape(self._title)
        other = "en" if lang == "ja" else "ja"
        html = (
            f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f'<title>{title}</title><link rel="stylesheet" href="/cities/page.css"><link rel="icon" href="data:,"></head><body>'
            f"<header><h1>{title}</h1><p>{escape(words['about'])}</p>"
            f'<a class="lang" href="/?lang={other}" hreflang="{other}">{escape(words["other_language"])}</a></header>'
            '<main><section id="figures"></section><nav id="choose"></nav><section id="maps"></section></main>'
            f"<noscript><p>{escape(words['no_script'])}</p></noscript>"
            f'<script type="application/json" id="data">{inline}</script>'
            '<script type="module" src="/cities/page.js"></script></body></html>'
        )
        headers = (("content-security-policy", POLICY), ("cache-control", "no-cache"))
        return Answer(200, html.encode(), "text/html; charset=utf-8", headers)

    def away(self, asked: Asked, prefix: str) -> Answer:
        """What is said where a city's process does not answer."""
        lang = language(asked)
        name = next((c.name for c in self._cities if c.prefix == prefix), prefix)
        text = t("cities.page.away", lang, name=name)
        return Answer(
            503, text.encode(), headers=(("retry-after", "5"), ("cache-control", "no-store"))
        )
