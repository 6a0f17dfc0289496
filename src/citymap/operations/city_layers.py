"""A public layer of one city taken into another: a watch of `citymap.layers.snapshots` on its OGC API."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from citymap.errors import BadInputError
from citymap.layers.remote import Allowed
from citymap.layers.snapshots import Watch, folder
from citymap.operations.cities import find, settings_of
from citymap.settings import FILE_NAME
from citymap.share.exchange.export import load
from citymap.workspace import Workspace, toml_value, write_text

if TYPE_CHECKING:
    from citymap.operations.cities import Cities, OneCity

KEYS = ("place_id", "building_id", "gml_id", "id")


def address(source: OneCity) -> str:
    """The host and port that the taker must be allowed to ask."""
    return f"127.0.0.1:{source.port}"


def is_allowed(taker: OneCity, source: OneCity) -> bool:
    """Whether the taker's own settings let it ask the other city."""
    settings = settings_of(taker)
    allowed = Allowed(settings.remote_hosts, settings.remote_private)
    return settings.remote_private and allowed.host("127.0.0.1", source.port)


def allow(taker: OneCity, source: OneCity) -> None:
    """Write into the taker's `citymap.toml` that it may ask the other city, and this port only.

    Raises:
        BadInputError: the file says something else about it already: a person must decide.
    """
    path = taker.folder / FILE_NAME
    text = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
    data = tomllib.loads(text)
    if data.get("remote_private") is False or "remote_hosts" in data:
        raise BadInputError(
            "cities_not_allowed", place=str(path), address=address(source), prefix=taker.prefix
        )
    lines = [f"remote_hosts = {toml_value([address(source)])}"]
    if "remote_private" not in data:
        lines.append("remote_private = true")
    write_text(path, "\n".join([*lines, text]))


def subscribe(
    cities: Cities, prefix: str, source: str, layer: str, *, every_h: float = 24.0,
    allow_it: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Write the watch `snapshots/<source>-<layer>.toml` of the city `prefix`.

    What is taken waits there until staff accept it; then it is the layer `<source>-<layer>`. Only
    what the other city's gate gives to the public comes over.

    Raises:
        BadInputError: no such city or layer, the same city, or the taker may not ask it.
    """
    taker, giver = find(cities, prefix), find(cities, source)
    if taker.prefix == giver.prefix:
        raise BadInputError("cities_same", prefix=prefix)
    shared = load(Workspace(giver.folder), layer, "public")
    if allow_it and not is_allowed(taker, giver):
        allow(taker, giver)
    if not is_allowed(taker, giver):
        raise BadInputError(
            "cities_not_allowed", place=str(taker.folder / FILE_NAME), address=address(giver),
            prefix=prefix,
        )  # fmt: skip
    name = f"{source}-{layer}".lower().replace("_", "-")[:41]
    names = set(shared.table.column_names)
    watch = Watch(
        id=name, kind="oapif", url=f"http://{address(giver)}/{giver.prefix}/ogc", layer=layer,
        key=next((k for k in KEYS if k in names), ""), every_h=every_h,
    )  # fmt: skip
    path = folder(Workspace(taker.folder)) / f"{name}.toml"
    said = {k: v for k, v in watch.model_dump().items() if v not in (None, "")}
    write_text(path, "".join(f"{k} = {toml_value(v)}\n" for k, v in said.items()))
    return {"id": name, "file": str(path), "url": watch.url, "key": watch.key}
