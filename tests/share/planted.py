"""A city with secrets in every field and file that nobody described."""

from __future__ import annotations

import gzip
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
from rasterio.transform import from_origin

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "reports")]
import report_samples

import small_city
from citymap.live import leave_by
from citymap.progress import Quiet
from citymap.reports import closures, desk, photos, receive
from citymap.reports.model import Sender
from citymap.store import shared_store
from citymap.tiles import build
from citymap.workspace import Workspace

SECRET = "himitsu-7f3a"  # noqa: S105  (what no audience may see)
# Also the exact place of a report (no door to the public gives more than four places of these).
HIDDEN = (SECRET.encode(), b"139.88123456", b"36.55123456")
PRIVATE_TABLES = (
    "people.parquet",
    "places/vulnerable_residents.parquet",
    "scenarios/a/people.parquet",
)


def plant_column(path: Path, name: str, secret: str = SECRET) -> None:
    """A further text column with the secret in every row."""
    table = pq.read_table(path)
    column = pa.array([f"{secret} {i}" for i in range(table.num_rows)])
    if name in table.column_names:
        table = table.set_column(table.column_names.index(name), name, column)
    else:
        table = table.append_column(name, column)
    pq.write_table(table, path)


def plant_in_risks(path: Path, name: str, secret: str = SECRET) -> None:
    """A further member in every risk."""
    table = pq.read_table(path)
    risks = [
        [
            {k: None if str(v) == "nan" else v for k, v in r.items()} | {name: secret}
            for r in row or []
        ]
        for row in table["risks"].to_pylist()
    ]
    at = table.column_names.index("risks")
    pq.write_table(table.set_column(at, "risks", pa.array(risks)), path)


def plant_attribute(path: Path, name: str, secret: str = SECRET) -> None:
    """A free name/value row for every building, as a city's own generic attribute."""
    table = pq.read_table(path)
    rows = [{"gml_id": i, "group": "bldg:Building", "item": 9, "name": name, "value": secret, "code": secret}
            for i in dict.fromkeys(table["gml_id"].to_pylist())]  # fmt: skip
    more = pa.Table.from_pylist(rows, schema=table.schema)
    pq.write_table(pa.concat_tables([table, more]), path)


def plant_grid(workspace: Workspace) -> None:
    """A depth grid with the secret in its tags."""
    workspace.hazards.mkdir(exist_ok=True)
    with rasterio.open(
        workspace.hazards / "grid.tif", "w", driver="GTiff", width=8, height=8, count=1, dtype="float32",
        crs="EPSG:6677", transform=from_origin(4178, 61250, 30, 30), nodata=np.nan,
    ) as out:  # fmt: skip
        out.write(np.full((8, 8), 0.7, np.float32), 1)
        out.update_tags(TIFFTAG_ARTIST=SECRET, owner=SECRET)
        out.set_band_description(1, SECRET)
    (workspace.hazards / "grid.toml").write_text(
        f'id = "grid"\nset = "grid"\nquantity = "depth"\nlegend = "depth"\nowner = "{SECRET}"\n'
    )


def make(root: Path, *, tiles: bool = True) -> Workspace:
    """The small city, secrets planted, tiles really built."""
    workspace = small_city.make(root, 8)
    (workspace.root / "places").mkdir(exist_ok=True)
    listed = [{"place_id": "1", "kind": "shelters", "name": "中央公民館", "lon": small_city.WEST,
               "lat": small_city.SOUTH, "raw": f"電話 {SECRET}"}]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(listed), workspace.places / "shelters.parquet")
    plant_grid(workspace)
    for path in [*sorted(workspace.root.glob("*.parquet")), workspace.places / "shelters.parquet"]:
        for name in ("owner", "contact", "Name", "所有者"):
            plant_column(path, name)
    plant_in_risks(workspace.buildings, "owner")
    plant_attribute(workspace.building_attributes, "gen:owner")
    for name in PRIVATE_TABLES:
        path = workspace.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"name": f"{SECRET} 町 bldg", "lon": small_city.WEST, "lat": small_city.SOUTH}]
        pq.write_table(pa.Table.from_pylist(rows), path)
    for name in ("photos/a.jpg", "notes.txt", "layers/own.txt"):
        (workspace.root / name).parent.mkdir(exist_ok=True)
        (workspace.root / name).write_bytes(SECRET.encode())
    plant_reports(workspace)
    plant_leave_by(workspace)
    if tiles:
        build(workspace, progress=Quiet(), workers=1)
        version = json.loads((workspace.tiles / "manifest.json").read_text())["version"]
        plant_in_tiles(workspace, version)
    return workspace


def plant_leave_by(workspace: Workspace) -> None:
    """A released result with a secret column and a secret name of who released it."""
    path = workspace.root / "scenarios" / "a" / "leave_by.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = pq.read_table(workspace.buildings, columns=["building_id"])["building_id"].to_pylist()
    rows = [
        {"building_id": b, "mobility": "adult", "leave_by_h": 1.0 + i, "shelter_id": "1",
         "route_length_m": 10.0, "resident": SECRET}
        for i, b in enumerate(ids)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)
    leave_by.release(
        workspace, shared_store(workspace), "a", start=datetime.now(UTC), margin_min=10,
        scenario="決壊", by=SECRET,
    )  # fmt: skip


def plant_reports(workspace: Workspace) -> None:
    """Reports in every state, each with secrets in all that its writer gave; two are published."""
    store = shared_store(workspace)
    for number in range(6):
        picture = photos.check(
            report_samples.picture(exif=report_samples.exif(secret=SECRET), comment=SECRET.encode())
            + SECRET.encode()
        )
        data = report_samples.body(
            text=f"{SECRET} です", contact=SECRET, lon=139.88123456, lat=36.55123456
        )
        report = report_samples.checked(data, photos=[picture.sent_sha256])
        sender = Sender(f"{SECRET}-sender", "field")
        receive.accept(store, workspace, report, [picture], sender=sender, at=report_samples.AT)
        desk.note(store, report.id, SECRET, by=f"{SECRET}-staff")
        desk.assign(store, [report.id], f"{SECRET}-staff", by=f"{SECRET}-staff")
        if number < 4:
            desk.move(store, [report.id], "confirmed", by=SECRET, note=SECRET)
        if number < 3:
            desk.publish(store, [report.id], by=SECRET, text="通れません")
            desk.release_photo(store, workspace, report.id, 0, by=SECRET)
        if number == 2:
            desk.redact(store, workspace, report.id, by=SECRET, why=SECRET)
    closures.refresh(store, workspace)


def plant_in_tiles(workspace: Workspace, version: str) -> None:
    """Secrets where an older or a foreign builder could have left them."""
    manifest = workspace.tiles / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "operator": SECRET}))
    for path in (workspace.tiles / version / "cards").glob("*.json.gz"):
        cards = json.loads(gzip.decompress(path.read_bytes()))
        path.write_bytes(
            gzip.compress(json.dumps([{**c, "tenant": SECRET} for c in cards]).encode())
        )
    for name in ("people.json", f"{version}/people/0.json", f"{version}/cards/notes.txt",
                 f"{version}/attributes/owner.json", "backup.parquet"):  # fmt: skip
        path = workspace.tiles / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(SECRET))


def readings(body: bytes, folder: Path) -> list[bytes]:
    """The bytes of an answer and whatever they hold once unpacked."""
    found = [body]
    if body[:2] == b"\x1f\x8b":
        found += readings(gzip.decompress(body), folder)
    if body[:4] == b"PAR1":
        path = folder / "answer.parquet"
        path.write_bytes(body)
        table = pq.read_table(path)
        found += [repr(table.to_pylist()).encode(), str(table.schema).encode()]
    if body[:15] == b"SQLite format 3":
        import sqlite3

        path = folder / "answer.sqlite"
        path.write_bytes(body)
        with sqlite3.connect(path) as database:
            found.append("\n".join(database.iterdump()).encode(errors="replace"))
        database.close()
    if body[:4] == b"PK\x03\x04":
        import io
        import zipfile

        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for name in archive.namelist():
                found += [name.encode(), *readings(archive.read(name), folder)]
    return found
