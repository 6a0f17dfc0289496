"""Writing a layer's definition below `layers/`, and taking one away."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from citymap.errors import BadInputError
from citymap.layers.catalogue import Layer, own
from citymap.workspace import Workspace, toml_value, write_text

if TYPE_CHECKING:
    from collections.abc import Mapping


def new_id(name: str, workspace: Workspace) -> str:
    """An id that no layer of the city has, made from a name of any script."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    base = f"own-{plain or hashlib.sha256(name.encode()).hexdigest()[:8]}"
    taken = {layer.id for layer in own(workspace)[0]} | {
        path.stem for path in workspace.layers.glob("*.toml")
    }
    number, wanted = 2, base
    while wanted in taken:
        wanted, number = f"{base}-{number}", number + 1
    return wanted


def _inline(table: Mapping[str, object]) -> str:
    inside = ", ".join(f"{k} = {toml_value(v)}" for k, v in table.items() if v not in ("", None))
    return f"{{ {inside} }}"


def text_of(layer: Layer) -> str:
    """The definition as TOML; what is at its default is left out."""
    data = layer.model_dump(mode="json", exclude_defaults=True)
    lines, tables = [], []
    for key, value in data.items():
        if key in {"source", "legend", "provenance"}:
            continue
        lines.append(f"{key} = {_inline(value) if isinstance(value, dict) else toml_value(value)}")
    for key in ("source", "provenance"):
        if data.get(key):
            tables.append(f"\n[{key}]")
            tables += [f"{k} = {toml_value(v)}" for k, v in data[key].items() if v is not None]
    legend = data.get("legend")
    if legend:
        tables.append("\n[legend]")
        tables += [
            f"{k} = {_inline(v) if isinstance(v, dict) else toml_value(v)}"
            for k, v in legend.items()
            if k != "classes"
        ]
        for one in legend.get("classes", ()):
            tables.append("[[legend.classes]]")
            tables += [
                f"{k} = {_inline(v) if isinstance(v, dict) else toml_value(v)}"
                for k, v in one.items()
                if v is not None
            ]
    return "\n".join([*lines, *tables]) + "\n"


def add(workspace: Workspace, layer: Layer) -> None:
    """Write `layers/<id>.toml`.

    Raises:
        BadInputError: a layer of that id is there already.
    """
    path = workspace.layers / f"{layer.id}.toml"
    if path.exists():
        raise BadInputError("layer_twice", place=path.name, id=layer.id)
    write_text(path, text_of(layer))


def remove(workspace: Workspace, layer_id: str) -> None:
    """Take the definition away; the data it named stay.

    Raises:
        BadInputError: the city has no definition of that id.
    """
    for path in workspace.layers.glob("*.toml"):
        found, _ = own(workspace)
        if path.stem == layer_id and any(x.id == layer_id for x in found):
            path.unlink()
            return
    raise BadInputError("layer_unknown", place=layer_id)
