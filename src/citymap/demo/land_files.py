"""Files of the land: terrain (udx/dem), roads (udx/tran) and bridges (udx/brid)."""

from __future__ import annotations

from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from citymap.demo import gml
from citymap.demo.building_files import meshes_of
from citymap.demo.ground import Tin
from citymap.demo.streets import Segment
from citymap.progress import Progress

Indices = NDArray[np.intp]
SECTION = {"ground": "1", "bridge": "3", "crossing": "1"}


def write_terrain(folder: Path, tin: Tin, *, seed: int, progress: Progress) -> None:
    """Write udx/dem/{mesh6}_dem_6697_op.gml: a TINRelief for every third-level mesh."""
    xy = np.stack([tin.x, tin.y], axis=-1)
    nj = tin.x.shape[1]
    middle = (xy[:-1, :-1] + xy[1:, 1:]) / 2
    mesh = np.array(meshes_of(middle.reshape(-1, 2)))
    sixes = sorted({m[:6] for m in set(mesh.tolist())})
    for done, six in enumerate(sixes, 1):
        cells = np.flatnonzero(np.char.startswith(mesh, six))
        i, j = cells // (nj - 1), cells % (nj - 1)
        corner = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
        low = min(float(tin.z[c].min()) for c in corner)
        high = max(float(tin.z[c].max()) for c in corner)
        path = folder / "udx" / "dem" / f"{six}_dem_6697_op.gml"
        around = np.concatenate([xy[c] for c in corner])
        with gml.city_model(path, around, (low, high)) as f:
            for m in sorted({v for v in set(mesh.tolist()) if v.startswith(six)}):
                at = np.flatnonzero(mesh == m)
                _relief(f, tin, at // (nj - 1), at % (nj - 1), mesh=m, seed=seed)
        progress.update(done, len(sixes), "dem")


def _relief(f: TextIO, tin: Tin, i_all: Indices, j_all: Indices, *, mesh: str, seed: int) -> None:
    """Write the two triangles of every grid square (i, j) of a mesh."""
    gid = gml.uid("dem", seed, mesh)
    f.write(
        "<core:cityObjectMember>\n"
        f'<dem:ReliefFeature gml:id="{gid}">\n<gml:name>{mesh}</gml:name>\n'
        f"<core:creationDate>{gml.CREATED}</core:creationDate>\n<dem:lod>1</dem:lod>\n"
        f'<dem:reliefComponent><dem:TINRelief gml:id="{gid}_tin">\n<gml:name>{mesh}</gml:name>\n'
        "<dem:lod>1</dem:lod>\n<dem:tin><gml:TriangulatedSurface><gml:trianglePatches>\n"
    )
    head = "<gml:Triangle><gml:exterior><gml:LinearRing><gml:posList>"
    tail = "</gml:posList></gml:LinearRing></gml:exterior></gml:Triangle>\n"
    for start in range(0, len(i_all), 20000):
        i, j = i_all[start : start + 20000], j_all[start : start + 20000]
        texts = []
        for di, dj in ((0, 0), (1, 0), (1, 1), (0, 1)):
            flat = gml.lat_lon_text(np.stack([tin.x[i + di, j + dj], tin.y[i + di, j + dj]], -1))
            up = tin.z[i + di, j + dj].tolist()
            texts.append([f"{p} {h:.2f}" for p, h in zip(flat, up, strict=True)])
        f.write(
            "".join(
                f"{head}{a} {b} {c} {a}{tail}{head}{a} {c} {d} {a}{tail}"
                for a, b, c, d in zip(*texts, strict=True)
            )
        )
    f.write(
        "</gml:trianglePatches></gml:TriangulatedSurface></dem:tin>\n</dem:TINRelief>"
        "</dem:reliefComponent>\n</dem:ReliefFeature>\n</core:cityObjectMember>\n"
    )


def write_roads(folder: Path, segments: list[Segment], *, seed: int, progress: Progress) -> None:
    """Write udx/tran/{mesh}_tran_6697_op.gml: centreline (LOD0) and surface (LOD1)."""
    middle = np.array([s.centre[len(s.centre) // 2] for s in segments])
    mesh = np.array(meshes_of(middle))
    c = gml.code
    meshes = sorted(set(mesh.tolist()))
    for done, m in enumerate(meshes, 1):
        at = np.flatnonzero(mesh == m)
        path = folder / "udx" / "tran" / f"{m}_tran_6697_op.gml"
        around = np.concatenate([segments[k].surface for k in at])
        with gml.city_model(path, around, (0, 0)) as f:
            for k in at.tolist():
                s = segments[k]
                line = " ".join(f"{p} 0" for p in gml.lat_lon_text(s.centre))
                face = gml.polygon([f"{p} 0" for p in gml.lat_lon_text(s.surface)])
                name = f"<gml:name>{s.name}</gml:name>\n" if s.name else ""
                usage = "1" if s.function == "2" else ("2" if s.function == "3" else "4")
                lanes = 4 if s.width_m >= 17 else (2 if s.width_m >= 6 else 1)
                f.write(
                    "<core:cityObjectMember>\n"
                    f'<tran:Road gml:id="{gml.uid("tran", seed, k)}">\n{name}'
                    f"<core:creationDate>{gml.CREATED}</core:creationDate>\n"
                    + c("tran:class", "Road_class", "1040") + "\n"
                    + c("tran:function", "Road_function", s.function) + "\n"
                    + c("tran:usage", "Road_usage", usage) + "\n"
                    + "<tran:lod0Network><gml:CompositeCurve><gml:curveMember><gml:LineString>"
                    f"<gml:posList>{line}</gml:posList></gml:LineString></gml:curveMember>"
                    "</gml:CompositeCurve></tran:lod0Network>\n"
                    f"<tran:lod1MultiSurface>{gml.multi_surface([face])}</tran:lod1MultiSurface>\n"
                    "<uro:roadStructureAttribute><uro:RoadStructureAttribute>"
                    f'<uro:width uom="m">{s.width_m:.1f}</uro:width>'
                    f"<uro:numberOfLanes>{lanes}</uro:numberOfLanes>"
                    + c("uro:sectionType", "RoadStructureAttribute_sectionType", SECTION[s.section])
                    + "</uro:RoadStructureAttribute></uro:roadStructureAttribute>\n"
                    "</tran:Road>\n</core:cityObjectMember>\n"
                )  # fmt: skip
        progress.update(done, len(meshes), "tran")


def write_bridges(folder: Path, segments: list[Segment], tin: Tin, *, seed: int) -> None:
    """Write udx/brid/{mesh}_brid_6697_op.gml: the deck (LOD1), level with the higher bank."""
    found = [(k, s) for k, s in enumerate(segments) if s.section == "bridge"]
    if not found:
        return
    mesh = np.array(meshes_of(np.array([s.centre[len(s.centre) // 2] for _, s in found])))
    for m in sorted(set(mesh.tolist())):
        here = [found[i] for i in np.flatnonzero(mesh == m)]
        height = [max(_ground_at(tin, s.centre[0]), _ground_at(tin, s.centre[-1])) for _, s in here]
        around = np.concatenate([s.surface for _, s in here])
        path = folder / "udx" / "brid" / f"{m}_brid_6697_op.gml"
        with gml.city_model(path, around, (min(height), max(height))) as f:
            for (k, s), z in zip(here, height, strict=True):
                face = gml.polygon([f"{p} {z:.2f}" for p in gml.lat_lon_text(s.surface)])
                name = f"<gml:name>{s.name}</gml:name>\n" if s.name else ""
                f.write(
                    "<core:cityObjectMember>\n"
                    f'<brid:Bridge gml:id="{gml.uid("brid", seed, k)}">\n{name}'
                    f"<core:creationDate>{gml.CREATED}</core:creationDate>\n"
                    f"<brid:lod1MultiSurface>{gml.multi_surface([face])}</brid:lod1MultiSurface>\n"
                    "</brid:Bridge>\n</core:cityObjectMember>\n"
                )


def _ground_at(tin: Tin, at: NDArray[np.float64]) -> float:
    """Height (m T.P.) of the terrain's nearest node."""
    nearest = np.argmin((tin.x - at[0]) ** 2 + (tin.y - at[1]) ** 2)
    return float(tin.z.ravel()[nearest])
