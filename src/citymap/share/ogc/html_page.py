"""The documents as plain pages for people: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from citymap.i18n import t
from citymap.share.ogc.geojson import dumped

if TYPE_CHECKING:
    from citymap.share.ogc.documents import Speaker

COLUMNS = 12  # of a table of features
_STYLE = """
:root{color-scheme:light dark}*{box-sizing:border-box}
body{margin:0;background:#fff;color:#1a1a1a;font:16px/1.7 'BIZ UDPGothic','Hiragino Sans',
'Noto Sans JP','Noto Sans CJK JP','Meiryo',sans-serif}
header,main{max-width:72rem;margin:0 auto;padding:12px 16px}
header{border-bottom:1px solid #ccc;display:flex;flex-wrap:wrap;gap:4px 16px;align-items:baseline}
h1{font-size:1.5rem;line-height:1.4;margin:16px 0}a{color:#0017c1}
header a,.more a{display:inline-block;min-height:44px;line-height:44px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.9375rem}
th,td{border:1px solid #ccc;padding:6px 10px;text-align:left;vertical-align:top;overflow-wrap:anywhere}
th{background:#f2f2f2;white-space:nowrap}.missing{color:#666}
:focus-visible{outline:4px solid #000;outline-offset:2px;box-shadow:0 0 0 2px #ffd43d}
@media (prefers-color-scheme:dark){body{background:#1a1a1a;color:#f2f2f2}a{color:#9db7f9}
th{background:#333}th,td,header{border-color:#555}.missing{color:#aaa}}
"""


def page(speaker: Speaker, title: str, body: str, path: str) -> str:
    """A page; `path` is where it stands, for the link to the other language and to JSON."""
    lang = speaker.lang
    other = "ja" if lang == "en" else "en"
    mark = "&amp;" if "?" in path else "?"
    here = escape(speaker.base + path)
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(title)} – {escape(speaker.name)}</title><style>{_STYLE}</style></head><body>"
        f'<header><a href="{escape(speaker.base)}?f=html&amp;lang={lang}">{escape(speaker.name)} OGC API</a>'
        f'<a href="{escape(speaker.base)}/collections?f=html&amp;lang={lang}">{escape(t("ogc.collections", lang))}</a>'
        f'<a href="{here}{mark}f=json">JSON</a>'
        f'<a href="{here}{mark}f=html&amp;lang={other}" lang="{other}">{"English" if other == "en" else "日本語"}</a>'
        f"</header><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )


def links(listed: Iterable[Mapping[str, Any]]) -> str:
    """A list of links."""
    items = "".join(
        f'<li><a href="{escape(str(one["href"]))}">{escape(str(one.get("title") or one["rel"]))}</a></li>'
        for one in listed
        if one["rel"] not in {"self", "alternate"}
    )
    return f'<ul class="more">{items}</ul>'


def cell(value: Any, lang: str) -> str:
    """A value for people: what is missing says so."""
    if value is None or value == []:
        return f'<span class="missing">{escape(t("ogc.missing", lang))}</span>'
    if isinstance(value, list | dict):
        return f"<code>{escape(dumped(value))}</code>"
    return escape(str(value))


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of ready cells."""
    top = "".join(f'<th scope="col">{escape(h)}</th>' for h in head)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return (
        f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def pairs(about: Mapping[str, Any], lang: str) -> str:
    """Names with values."""
    rows = "".join(
        f'<tr><th scope="row">{escape(k)}</th><td>{cell(v, lang)}</td></tr>'
        for k, v in about.items()
    )
    return f'<div class="wide"><table><tbody>{rows}</tbody></table></div>'


def landing(speaker: Speaker, about: Mapping[str, Any]) -> str:
    """The landing page."""
    body = f"<p>{escape(about['description'])}</p>" + links(about["links"])
    return page(speaker, about["title"], body, "")


def conformance(speaker: Speaker, about: Mapping[str, Any]) -> str:
    """The list of conformance classes."""
    items = "".join(f"<li><code>{escape(one)}</code></li>" for one in about["conformsTo"])
    return page(speaker, t("ogc.conformance", speaker.lang), f"<ul>{items}</ul>", "/conformance")


def service(speaker: Speaker, about: Mapping[str, Any]) -> str:
    """The paths of the service."""
    rows = [
        [f"<code>{escape(path)}</code>", escape(operation["summary"]),
         escape(", ".join(p.get("name") or p["$ref"].rpartition("/")[2] for p in operation["parameters"]))]
        for path, item in about["paths"].items()
        for operation in item.values()
    ]  # fmt: skip
    head = [t(f"ogc.{k}", speaker.lang) for k in ("path", "meaning", "parameters")]
    return page(speaker, t("ogc.service_doc", speaker.lang), table(head, rows), "/api")


def collections(speaker: Speaker, about: Mapping[str, Any]) -> str:
    """The list of collections."""
    rows = [
        [f'<a href="{escape(speaker.base)}/collections/{escape(one["id"])}?f=html&amp;lang={speaker.lang}">'
         f"{escape(one['title'])}</a>", f"<code>{escape(one['id'])}</code>", escape(one["description"])]
        for one in about["collections"]
    ]  # fmt: skip
    head = [t(f"ogc.{k}", speaker.lang) for k in ("layer", "name", "meaning")]
    return page(speaker, t("ogc.collections", speaker.lang), table(head, rows), "/collections")


def collection(speaker: Speaker, about: Mapping[str, Any]) -> str:
    """One collection."""
    shown = {
        "id": about["id"],
        t("ogc.meaning", speaker.lang): about["description"],
        "bbox": about["extent"]["spatial"]["bbox"],
        "crs": about["crs"],
        t("ogc.attribution", speaker.lang): about["attribution"],
    }
    body = pairs(shown, speaker.lang) + links(about["links"])
    return page(speaker, about["title"], body, f"/collections/{about['id']}")


def queryables(speaker: Speaker, about: Mapping[str, Any], layer: str) -> str:
    """What can be asked for."""
    rows = [
        [f"<code>{escape(name)}</code>", escape(one.get("type") or one.get("format") or "")]
        for name, one in about["properties"].items()
    ]
    head = [t(f"ogc.{k}", speaker.lang) for k in ("name", "type")]
    title = f"{about['title']}: {t('ogc.queryables', speaker.lang)}"
    return page(speaker, title, table(head, rows), f"/collections/{layer}/queryables")


def items(
    speaker: Speaker, title: str, listed: Sequence[tuple[str, Mapping[str, Any]]],
    about: Mapping[str, Any], layer: str, path: str,
) -> str:  # fmt: skip
    """A page of features: id and the first columns."""
    lang = speaker.lang
    names = list(listed[0][1])[:COLUMNS] if listed else []
    start = f"{escape(speaker.base)}/collections/{escape(layer)}/items"
    rows = [
        [f'<a href="{start}/{quote(one, safe="")}?f=html&amp;lang={lang}">{escape(one)}</a>',
         *(cell(values[n], lang) for n in names)]
        for one, values in listed
    ]  # fmt: skip
    count = t("ogc.of", lang, shown=about["numberReturned"], count=about["numberMatched"])
    turn = "".join(
        f'<a rel="{escape(one["rel"])}" href="{escape(one["href"])}">{escape(t("ogc." + one["rel"], lang))}</a> '
        for one in about["links"]
        if one["rel"] in {"next", "prev"}
    )
    body = f'<p>{escape(count)}</p>{table(["id", *names], rows)}<p class="more">{turn}</p>'
    return page(speaker, title, body, path)


def feature(speaker: Speaker, title: str, one: str, about: Mapping[str, Any], path: str) -> str:
    """One feature."""
    return page(speaker, f"{title}: {one}", pairs(about, speaker.lang), path)
