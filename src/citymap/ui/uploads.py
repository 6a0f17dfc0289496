"""The one way by which a file comes in through a staff page: into quarantine, of a type its content says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import streamlit as st

from citymap import quarantine
from citymap.errors import BadInputError
from citymap.settings import Settings
from citymap.ui.speech import language, say

if TYPE_CHECKING:
    from typing import BinaryIO

    from citymap.quarantine import Upload
    from citymap.ui.city import OpenCity

CHUNK = 1 << 20
LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Received:
    """An upload in quarantine, and what the person calls it (shown, never used as a path)."""

    upload: Upload
    name: str


def choose(city: OpenCity, label: str, *, endings: list[str], key: str) -> list[BinaryIO]:
    """Let a person choose files. `endings` help the browser only: what counts is the content.

    Streamlit's own words in the field are English: `page.css` puts `upload.choose` on its button
    and leaves its limit out, which the label says.
    """
    st.html(f"<style>:root {{ --cm-choose: {_css_string(say('upload.choose'))}; }}</style>")
    said = say("upload.label", label=label, mb=_limit_mb(city))
    return list(st.file_uploader(said, type=endings, accept_multiple_files=True, key=key) or [])


def _css_string(text: str) -> str:
    return '"' + "".join(f"\\{ord(c):x} " for c in text) + '"'


def _limit_mb(city: OpenCity) -> int:
    return Settings(city=city.workspace.root).upload_max_mb


def receive(city: OpenCity, chosen: list[BinaryIO], allowed: frozenset[str]) -> list[Received]:
    """Bring chosen files into the city's quarantine; one that is not allowed is said and left out."""
    limit = _limit_mb(city) * 1_000_000
    taken = []
    for file in chosen:
        name = PurePath(getattr(file, "name", "") or "").name[:LONGEST_NAME]
        try:
            upload = quarantine.receive(
                city.workspace, _chunks(file), allowed=allowed, limit_bytes=limit
            )
        except BadInputError as error:
            st.warning(f"{name}: {error.message(language())}", icon=":material/block:")
            continue
        taken.append(Received(upload, name))
    if chosen and not taken:
        st.error(say("upload.none"), icon=":material/error:")
    return taken


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        yield chunk
