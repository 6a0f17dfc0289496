"""The city a page works on: opened once per process and import, errors said to the person."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any, NoReturn

import streamlit as st

from citymap.assess.building_record import RecordReader
from citymap.assess.search import SearchIndex
from citymap.assess.selection import CityColumns
from citymap.errors import BadInputError, CitymapError
from citymap.layers.view import read_manifest
from citymap.settings import Settings
from citymap.ui.speech import language
from citymap.workspace import City, Workspace


@dataclass(frozen=True, slots=True)
class OpenCity:
    """Everything a page asks; read-only and shared between sessions."""

    workspace: Workspace
    city: City
    root_path: str
    manifest: Mapping[str, Any]
    columns: CityColumns
    search: SearchIndex
    records: RecordReader

    def name(self, lang: str) -> str:
        """The city's name."""
        return self.city.name_en if lang == "en" and self.city.name_en else self.city.name


@st.cache_resource(show_spinner=False, max_entries=2)
def _opened(root: str, root_path: str, stamp: tuple[int, ...]) -> OpenCity:
    del stamp  # part of the cache key: a new import or new tiles open anew
    workspace = Workspace(Path(root))
    manifest = read_manifest(workspace)
    return OpenCity(
        workspace=workspace,
        city=workspace.city(),
        root_path=root_path,
        manifest=manifest,
        columns=CityColumns(workspace, manifest),
        search=SearchIndex.of(workspace),
        records=RecordReader(workspace),
    )


def _of_settings() -> OpenCity:
    settings = Settings()
    if settings.city is None:
        raise BadInputError("no_city")
    workspace = Workspace(settings.city.resolve())
    workspace.city()
    stamped = (workspace.buildings, workspace.tiles / "manifest.json", workspace.city_toml)
    stamp = tuple(p.stat().st_mtime_ns if p.exists() else 0 for p in stamped)
    return _opened(str(workspace.root), settings.root_path, stamp)


def open_city() -> OpenCity:
    """The city of the settings; where there is none the page says so and stops."""
    try:
        return _of_settings()
    except CitymapError as error:
        stop_with(error)


def open_ahead() -> None:
    """Open the city and load what the pages import before the first person asks, in a thread.

    What is wrong with the city is left for the page to say.
    """

    def work() -> None:
        with suppress(CitymapError, OSError):
            _of_settings()
        import_module("citymap.ui.building_card")
        gc.collect()
        gc.freeze()  # Streamlit collects after every run: the city's own objects need no look

    Thread(target=work, name="open-ahead", daemon=True).start()


def stop_with(error: CitymapError) -> NoReturn:
    """Say what happened and what to do, and end the page."""
    said = error.as_dict(language())
    st.error(said["message"] or error.key, icon=":material/error:")
    if said["remedy"] and not said["remedy"].startswith("remedy."):
        st.info(said["remedy"], icon=":material/build:")
    st.stop()
