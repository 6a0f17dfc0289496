"""Uploads: told by their content, private, bounded; and GDAL opens only with a named driver."""

from __future__ import annotations

import ast
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citymap import quarantine
from citymap.errors import BadInputError
from citymap.quarantine import PHOTOS, media_type, pixels, receive
from citymap.workspace import Workspace

SOURCE = Path(__file__).resolve().parent.parent / "src" / "citymap"


def png(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def test_a_photo_lies_private_under_a_random_name(tmp_path: Path) -> None:
    got = receive(Workspace(tmp_path), [png(10, 10)], allowed=PHOTOS, limit_bytes=1000)
    assert got.media_type == "image/png"
    assert got.path.parent == tmp_path / "quarantine"
    assert got.path.stat().st_mode & 0o077 == 0
    assert got.path.suffix == ""
    quarantine.release(got, tmp_path / "photos" / "1.png")
    assert (tmp_path / "photos" / "1.png").is_file()
    assert not got.path.exists()


@pytest.mark.parametrize(
    ("body", "key"),
    [(png(20_000, 20_000), "upload_pixels"), (b"", "upload_type"), (b"MZ\x90\0" * 9, "upload_type"),
     (b"<VRTDataset><SourceFilename>/etc/passwd</SourceFilename></VRTDataset>", "upload_type"),
     (b"<!doctype html><script>1</script>", "upload_type"), (b"<svg/>", "upload_type"),
     (png(1, 1) + b"x" * 2000, "upload_too_large"), (b"\xff\xd8\xff\xe0nothing", "upload_pixels")],
)  # fmt: skip
def test_what_is_refused_leaves_nothing(tmp_path: Path, body: bytes, key: str) -> None:
    with pytest.raises(BadInputError) as caught:
        receive(Workspace(tmp_path), [body[:50], body[50:]], allowed=PHOTOS, limit_bytes=1000)
    assert caught.value.key == key
    assert list((tmp_path / "quarantine").iterdir()) == []


@given(st.binary(max_size=200))
def test_any_bytes_have_a_known_type_or_none(head: bytes) -> None:
    kind = media_type(head)
    assert kind is None or "/" in kind
    for photo in PHOTOS:
        count = pixels(head, photo)
        assert count is None or count >= 0


def test_a_document_type_declaration_is_no_citygml() -> None:
    assert media_type(b'<?xml version="1.0"?><core:CityModel>') == "application/gml+xml"
    assert media_type(b'<?xml version="1.0"?><!DOCTYPE x><core:CityModel>') is None


def test_every_upload_of_a_page_goes_through_quarantine() -> None:
    """`citymap.ui.uploads` alone may take a file from a browser."""
    widgets = {"file_uploader", "camera_input", "audio_input", "chat_input"}
    found = [
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in widgets
    ]
    assert found == ["ui/uploads.py"]


def test_rasters_are_opened_with_a_named_driver_only() -> None:
    """A VRT under another name makes GDAL read any file of the server, or connect."""
    loose = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and (node.func.value.id, node.func.attr) == ("rasterio", "open")
                and not any(k.arg in {"driver", None} for k in node.keywords)
            ):
                loose.append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert loose == []
