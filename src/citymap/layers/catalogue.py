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
    """A text for people; English and やさしい日本語 may be missing, Japanese may not."""

    ja: str
    en: str = ""
    easy: str = Field(default="", description="やさしい日本語")

    def in_(self, lang: str) -> str:
        """The text in `lang`, else Japanese."""
        return (self.en if lang == "en" else self.ja) or self.ja


Kind = Literal[
    "tiles3d", "vector_tiles", "raster_tiles", "table",  # what `citymap tiles` makes
    "raster", "vector", "tileset",  # files of the city folder: GeoTIFF, tables, foreign 3D Tiles (or by URL)
    "xyz", "wms", "wmts", "wfs", "oapif",  # asked of another server, through ours
]  # fmt: skip
LOCAL_OVERLAYS = ("raster", "vector", "tileset")
REMOTE_OVERLAYS = ("xyz", "wms", "wmts", "wfs", "oapif")


class Source(_Strict):
    """Where the data lie: a path inside the workspace (`{version}` is the tile version), or a URL."""

    kind: Kind
    path: str = ""
    url: str = ""
    layer: str | None = Field(
        default=None, description="Layer inside vector tiles or of the service"
    )
    style: str = ""
    format: str = "image/png"
    matrix_set: str = Field(default="", description="Tile matrix set of a WMTS")
    column: str = Field(default="", description="Column of a table that the legend speaks of")
    fields: tuple[str, ...] = Field(
        default=(), description="Columns that a click may show; no others go out"
    )
    refresh_h: float = Field(
        default=24.0, gt=0, description="Hours after which a copy is fetched anew"
    )

    @property
    def remote(self) -> bool:
        """Whether another server has the data; a tileset may be here or there."""
        return self.kind in REMOTE_OVERLAYS or (self.kind == "tileset" and not self.path)

    @model_validator(mode="after")
    def _has_a_place(self) -> Source:
        if self.remote:
            if not self.url.startswith(("https://", "http://")):
                raise ValueError("url is missing, or no http(s) address")
        elif not self.path:
            raise ValueError("path is missing")
        return self


class LegendClass(_Strict):
    """One class of a legend: min ≤ value < max, or a category; without either, everything."""

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

    id: str = Field(pattern=r"^[a-z][A-Za-z0-9_.-]{1,80}$")
    group: Text | None = None
    order: int = Field(default=100, description="Drawing order, low below high")
    title: Text
    description: Text | None = None
    source: Source
    legend: Legend | None = None
    audience: tuple[Audience, ...] = Field(min_length=1)
    attribution: Text
    licence: str
    vintage: str = Field(description="Year or edition; `dataset` where the data set says it")
    minzoom: int = Field(default=0, ge=0, le=24)
    maxzoom: int = Field(default=24, ge=0, le=24)
    visible: bool = True
    opacity: float = Field(default=1.0, ge=0, le=1)
    deck: str = Field(
        default="", description="The deck.gl layer class that draws it; none for an overlay"
    )
    provenance: dict[str, str] = Field(default={}, description="File, sha256 and CRS of an import")

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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError, OSError) as e:
        raise BadInputError("bad_layer", place=str(path), reason=e) from e


@cache
def _shipped() -> tuple[Layer, ...]:
    folder = files("citymap.layers").joinpath("definitions")
    return tuple(
        Layer.model_validate(tomllib.loads(entry.read_text(encoding="utf-8")))
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def own(workspace: Workspace) -> tuple[list[Layer], list[BadInputError]]:
    """The definitions in the city's `layers/`, and what is wrong with those that cannot be used."""
    good: dict[str, Layer] = {}
    bad = []
    taken = {layer.id for layer in _shipped()}
    for path in sorted(workspace.layers.glob("*.toml")):
        try:
            layer = read(path)
            if layer.id in taken or layer.id in good:
                raise BadInputError("layer_twice", place=str(path), id=layer.id)
        except BadInputError as error:
            bad.append(error)
        else:
            good[layer.id] = layer
    return list(good.values()), bad


def load(workspace: Workspace | None = None) -> list[Layer]:
    """All definitions in drawing order: ours, then those in the city's `layers/`.

    Raises:
        BadInputError: an id stands twice, or a definition is wrong.
    """
    good, bad = own(workspace) if workspace is not None else ([], [])
    if bad:
        raise bad[0]
    return sorted([*_shipped(), *good], key=lambda layer: (layer.order, layer.id))


def present(workspace: Workspace, *, audience: Audience = "public") -> list[Layer]:
    """The layers whose data are there and that this audience may see."""

    def there(layer: Layer) -> bool:
        if layer.source.remote:
            return True
        path = layer.source.path.split("{version}")[0] or "manifest.json"
        if layer.source.kind in LOCAL_OVERLAYS:
            return (workspace.root / layer.source.path).exists()
        if layer.source.kind == "table":
            return any(workspace.root.glob(path))
        return (workspace.tiles / path).exists() and (workspace.tiles / "manifest.json").is_file()

    listed = sorted([*_shipped(), *own(workspace)[0]], key=lambda layer: (layer.order, layer.id))
    return [layer for layer in listed if audience in layer.audience and there(layer)]
