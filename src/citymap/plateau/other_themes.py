"""Everything that is not a building: terrain, roads, base map, hazards, open data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from citymap.plateau.codelist import Codelists
from citymap.progress import Progress
from citymap.workspace import Workspace

if TYPE_CHECKING:
    from citymap.plateau.archive import SourceFile
    from citymap.plateau.importer import ImportOptions, ImportRecord


def import_others(
    workspace: Workspace, files: list[SourceFile], *, codelists: Codelists, options: ImportOptions,
    record: ImportRecord, progress: Progress,
) -> None:  # fmt: skip
    """Import the files that are not buildings."""
    del workspace, files, codelists, options, record, progress
