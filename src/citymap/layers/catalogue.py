"""Layer definitions: one TOML file a layer, checked by a schema, the city's own beside ours."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from citymap.errors import BadInputError

if TYPE_CHECKING:
    from citymap.workspace import Workspace

Audience = Literal["public", "field", "staff", "planner", "admin"]
Channel = Annotated[int, Field(ge=0, le=255)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(_Strict):
    """A text for people; English may be missing, Japanese may not."""

    ja: str
    en: str = ""

    def in_(self, lang: str) -> str:
        """The text in `lang`, else Japanese."""
        return (self.en if lang == "en" else self.ja) or self.ja


class Source(_Strict):
    """Where the data lie: a path inside the workspace (`{version}` is the tile version)."""

    kind: Literal["tiles3d", "vector_tiles", "raster_tiles", "table"]
    path: str
    layer: str | None = Field(None, description="Layer inside vector tiles")


class LegendClass(_Strict):
    """One class of a legend: min ≤ value < max, or a category."""

    label: Text
    colour: tuple[Channel, Channel, Channel]
    min: float | None = None
    max: float | None = None
    value: str | None = None


class Legend(_Strict):
    """How values become colours; missing values are always named, never drawn as safe."""

    quantity: str
    unit: str = ""
    missing: Text
    classes: tuple[LegendClass, ...] = ()


class Layer(_Strict):
    """One layer of the map as its TOML file describes it."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")
    order: int = Field(100, description="Drawing order, low below high")
    title: Text
    description: Text | None = None
    source: Source
    legend: Legend | None = None
    audience: tuple[Audience, ...] = Field(min_length=1)
    attribution: Text
    licence: str
    vintage: str = Field(description="Year or edition; `dataset` where the data set says it")
    minzoom: int = Field(0, ge=0, le=24)
    maxzoom: int = Field(24, ge=0, le=24)
    visible: bool = True
    opacity: float = Field(1.0, ge=0, le=1)
    deck: str = Field(description="The deck.gl layer class that draws it")

    @model_validator(mode="after")
    def _zooms_in_order(self) -> Layer:
        if self.minzoom > self.maxzoom:
            raise ValueError("minzoom is above maxzoom")
        return self


def read(path: Path) -> Layer:
    """One definition.

    Raises:
        BadInputError: not TOML, or not a layer.
    """
    try:
        return Layer.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as e:
        raise BadInputError("bad_layer", place=str(path), reason=e) from e


@cache
def _shipped() -> tuple[Layer, ...]:
    folder = files("citymap.layers").joinpath("definitions")
    return tuple(
        Layer.model_validate(tomllib.loads(entry.read_text(encoding="utf-8")))
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def load(workspace: Workspace | None = None) -> list[Layer]:
    """All definitions in drawing order: ours, then those in the city's `layers/`.

    Raises:
        BadInputError: an id stands twice, or a definition is wrong.
    """
    layers = {layer.id: layer for layer in _shipped()}
    own = workspace.root / "layers" if workspace is not None else None
    if own is not None and own.is_dir():
        for path in sorted(own.glob("*.toml")):
            layer = read(path)
            if layer.id in layers:
                raise BadInputError("layer_twice", place=str(path), id=layer.id)
            layers[layer.id] = layer
    return sorted(layers.values(), key=lambda layer: (layer.order, layer.id))


def present(workspace: Workspace, *, audience: Audience = "public") -> list[Layer]:
    """The layers whose data are there and that this audience may see."""

    def there(layer: Layer) -> bool:
        path = layer.source.path.split("{version}")[0] or "manifest.json"
        if layer.source.kind == "table":
            return any(workspace.root.glob(path))
        return (workspace.tiles / path).exists() and (workspace.tiles / "manifest.json").is_file()

    return [layer for layer in load(workspace) if audience in layer.audience and there(layer)]
