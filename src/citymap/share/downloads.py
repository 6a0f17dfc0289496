"""The chosen buildings as a file to take away."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np
import pyarrow.parquet as pq

from citymap.assess.selection_files import Format, chosen_buildings, encoded
from citymap.share.doors import Door, declare
from citymap.share.gate import release_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from citymap.layers.catalogue import Audience
    from citymap.workspace import Workspace


def download(
    workspace: Workspace, rows: NDArray[np.bool_], form: Format, audience: Audience
) -> bytes:
    """The rows of `buildings.parquet` where `rows` is true, as far as the audience may see them."""
    return encoded(release_table("buildings", chosen_buildings(workspace, rows), audience), form)


def _every_format(workspace: Workspace, audience: Audience) -> Iterator[bytes]:
    rows = np.ones(pq.read_metadata(workspace.buildings).num_rows, bool)
    for form in get_args(Format):
        yield download(workspace, rows, form, audience)


declare(Door("download of buildings", kinds=("buildings",), emit=_every_format))
