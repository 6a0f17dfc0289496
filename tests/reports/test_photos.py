"""Photos: nothing but the picture is kept, and nothing harmful is taken."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from report_samples import exif, picture

from citymap.reports import photos
from citymap.reports.model import Photo, ReportError
from citymap.reports.strip import NotAPictureError, stripped
from citymap.workspace import Workspace

SECRET = b"himitsu-exif"


def refused(body: bytes) -> str:
    with pytest.raises(ReportError) as caught:
        photos.check(body)
    return caught.value.key


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_metadata_go_and_the_picture_stays(form: str) -> None:
    sent = picture(form, exif=exif(), **({"comment": SECRET} if form == "JPEG" else {}))
    assert SECRET in sent
    kept = photos.check(sent)
    assert SECRET not in kept.body
    assert b"Exif" not in kept.body
    a, b = Image.open(io.BytesIO(sent)), Image.open(io.BytesIO(kept.body))
    assert a.convert("RGB").tobytes() == b.convert("RGB").tobytes()
    assert dict(b.getexif()) == {}


def test_texts_in_a_png_go() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", SECRET.decode())
    info.add_itxt("XML:com.adobe.xmp", "<script>alert(1)</script>")
    kept = photos.check(picture("PNG", pnginfo=info)).body
    assert SECRET not in kept
    assert b"script" not in kept


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_what_follows_the_picture_goes(form: str) -> None:
    """A file that is a picture and a page, an archive or a program at the same time."""
    for tail in (b"<html><script>alert(1)</script>", b"PK\x03\x04evil", SECRET * 1000):
        kept = photos.check(picture(form) + tail).body
        assert not kept.endswith(tail)
        assert tail not in kept


@pytest.mark.parametrize(
    "body",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", b"GIF89a" + bytes(50),
     b"<?xml version='1.0'?><svg/>", b"%PDF-1.7", b"\x00\x00\x00\x18ftypheic", b"BM" + bytes(60),
     b"II*\0" + bytes(60), b"MZ" + bytes(100)],
)  # fmt: skip
def test_other_types_are_refused(body: bytes) -> None:
    assert refused(body) == "photo_type"


def test_a_bomb_is_not_opened() -> None:
    rows = zlib.compress(bytes(30_000 * 4 + 1) * 20)

    def chunk(name: bytes, data: bytes) -> bytes:
        seal = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + seal

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 6, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    assert refused(bomb) == "photo_bomb"
    assert refused(b"\xff\xd8\xff" + bytes(photos.MAX_BYTES)) == "photo_too_large"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_broken_off_picture_is_refused(form: str) -> None:
    whole = picture(form, (200, 200))
    for part in (0.2, 0.5, 0.9):
        assert refused(whole[: int(len(whole) * part)]) in {"photo_broken", "photo_type"}


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 600), st.sampled_from(["JPEG", "PNG", "WEBP"]))
def test_spoiled_bytes_never_crash_the_check(noise: bytes, at: int, form: str) -> None:
    whole = picture(form, (24, 24), exif=exif())
    spoiled = whole[:at] + noise + whole[at + len(noise) :]
    try:
        kept = photos.check(spoiled)
    except ReportError:
        return
    Image.open(io.BytesIO(kept.body)).load()


@given(st.binary(max_size=300), st.sampled_from(["image/jpeg", "image/png", "image/webp"]))
def test_the_stripper_says_what_is_no_picture(noise: bytes, kind: str) -> None:
    with pytest.raises(NotAPictureError):
        stripped(noise[:2] + noise, kind)


def corner(body: bytes) -> tuple[int, ...]:
    return tuple(v // 128 for v in Image.open(io.BytesIO(body)).convert("RGB").getpixel((2, 2)))  # type: ignore[union-attr]


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_the_public_copy_is_upright_small_and_without_metadata(
    orientation: int, tmp_path: object
) -> None:
    """Red top left in the picture as it is seen, whatever way the camera was held."""
    seen = Image.new("RGB", (2000, 1400), "black")
    seen.paste("red", (0, 0, 900, 600))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)
    held = seen if back is None else seen.transpose(Image.Transpose(back))
    out = io.BytesIO()
    held.save(out, "JPEG", quality=95, exif=exif(orientation))
    workspace = Workspace(tmp_path)  # type: ignore[arg-type]
    kept = photos.check(out.getvalue())
    assert kept.photo.orientation == orientation
    photos.keep(workspace, kept)
    name = photos.release(workspace, kept.photo)
    public = photos.public_path(workspace, name).read_bytes()
    assert SECRET not in public
    assert corner(public) == (1, 0, 0)
    assert max(Image.open(io.BytesIO(public)).size) <= photos.PUBLIC_SIDE
    shown = photos.shown(workspace, kept.photo)
    assert shown is not None
    assert corner(shown) == (1, 0, 0)


def test_a_photo_sent_twice_is_kept_once_and_left_overs_go(tmp_path: object) -> None:
    workspace = Workspace(tmp_path)  # type: ignore[arg-type]
    kept = photos.check(picture())
    photos.keep(workspace, kept)
    photos.keep(workspace, kept)
    folder = workspace.root / photos.FOLDER
    (folder / photos.INCOMING / "half").write_bytes(b"x")
    assert list(folder.glob("??/*")) == [photos.path_of(workspace, kept.photo)]
    assert photos.sweep(workspace, frozenset({kept.photo.sha256})) == 0  # young: may be on its way
    assert photos.sweep(workspace, frozenset({kept.photo.sha256}), older_than_s=-1) == 1
    assert photos.sweep(workspace, frozenset(), older_than_s=-1) == 1
    with pytest.raises(ReportError, match="not there"):
        photos.release(workspace, kept.photo)
    assert photos.shown(workspace, Photo("0" * 64, "image/png", 1, 1, 1, 1)) is None
