"""Taking everything out of a picture file that is not the picture, without decoding it.

What follows the end of the picture goes too, so that a file that is a picture and something else
(a polyglot) is only a picture afterwards. Positions, names, thumbnails and comments are in the
parts that go; the orientation is read first.
"""

from __future__ import annotations

import struct

_KEPT_JPEG = frozenset({0xE0, 0xEE})  # JFIF, and Adobe's colour transform
_KEPT_PNG = frozenset(
    {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT"}
)
_KEPT_WEBP = frozenset({b"VP8 ", b"VP8L", b"ALPH"})


class NotAPictureError(ValueError):
    """The file is broken off or put together wrongly."""


def stripped(body: bytes, media_type: str) -> bytes:
    """The picture alone.

    Raises:
        NotAPictureError: its parts do not fit.
    """
    try:
        return {"image/jpeg": _jpeg, "image/png": _png, "image/webp": _webp}[media_type](body)
    except (IndexError, struct.error, KeyError) as e:
        raise NotAPictureError(media_type) from e


def _jpeg(body: bytes) -> bytes:
    out = [b"\xff\xd8"]
    at, scanned = 2, False
    while True:
        if body[at] != 0xFF:
            raise NotAPictureError("a marker is missing")
        while body[at] == 0xFF:  # fill bytes
            at += 1
        marker = body[at]
        at += 1
        if marker == 0xD9:
            if not scanned:
                raise NotAPictureError("no scan")
            out.append(b"\xff\xd9")
            return b"".join(out)
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            raise NotAPictureError("a marker out of place")
        length = int.from_bytes(body[at : at + 2], "big")
        if length < 2 or at + length > len(body):
            raise NotAPictureError("a part is broken off")
        named = 0xE0 <= marker <= 0xEF or marker == 0xFE
        if not named or (marker in _KEPT_JPEG and length <= 64):
            out.append(b"\xff" + bytes([marker]) + body[at : at + length])
        at += length
        if marker == 0xDA:
            end = _end_of_scan(body, at)
            out.append(body[at:end])
            at, scanned = end, True


def _end_of_scan(body: bytes, at: int) -> int:
    """Where the next real marker stands (not a stuffed byte, not a restart)."""
    while True:
        at = body.find(b"\xff", at)
        if at < 0 or at + 1 >= len(body):
            raise NotAPictureError("the scan does not end")
        following = body[at + 1]
        if following == 0 or 0xD0 <= following <= 0xD7:
            at += 2
        elif following == 0xFF:
            at += 1
        else:
            return at


def _png(body: bytes) -> bytes:
    out, at, data = [body[:8]], 8, False
    while True:
        length = int.from_bytes(body[at : at + 4], "big")
        name = body[at + 4 : at + 8]
        end = at + 12 + length
        if len(name) < 4 or end > len(body):
            raise NotAPictureError("a part is broken off")
        if (at == 8) != (name == b"IHDR"):
            raise NotAPictureError("the head is not first")
        if name in _KEPT_PNG:
            out.append(body[at:end])
        elif not name[0] & 0x20:
            raise NotAPictureError("an unknown part that matters")
        data = data or name == b"IDAT"
        at = end
        if name == b"IEND":
            if not data:
                raise NotAPictureError("no data")
            return b"".join(out)


def _webp(body: bytes) -> bytes:
    size = int.from_bytes(body[4:8], "little") + 8
    if size > len(body):
        raise NotAPictureError("broken off")
    parts: list[bytes] = []
    at, alpha, pixels = 12, False, 0
    while at + 8 <= size:
        name = body[at : at + 4]
        length = int.from_bytes(body[at + 4 : at + 8], "little")
        end = at + 8 + length
        if end > size:
            raise NotAPictureError("a part is broken off")
        if name == b"VP8X":
            head = bytearray(body[at:end])
            head[8] &= 0x10  # alpha stays; ICC, EXIF, XMP and animation go
            parts.append(bytes(head))
        elif name in _KEPT_WEBP:
            parts.append(body[at : end + (length & 1)])
            alpha = alpha or name == b"ALPH"
            pixels += name != b"ALPH"
        at = end + (length & 1)
    if pixels != 1:
        raise NotAPictureError("no picture, or more than one")
    inner = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(inner)) + inner
