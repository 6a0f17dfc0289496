"""What a phone sends: bodies and pictures, with secrets in every corner."""

from __future__ import annotations

import io
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
import small_city
from citymap.reports import incoming
from citymap.reports.categories import catalogue
from citymap.reports.model import NewReport

AT = datetime(2026, 9, 10, 3, 0, tzinfo=UTC)
LON, LAT = small_city.WEST + 0.002, small_city.SOUTH + 0.002
SECRET = "himitsu-exif"  # noqa: S105


def body(**changed: Any) -> dict[str, Any]:
    """What a phone sends as `report`."""
    return {
        "id": str(uuid.uuid4()), "category": "flooded_road", "lon": LON, "lat": LAT,
        "accuracy_m": 12.0, "position_source": "gps", "observed_at": "2026-09-10T11:59:00+09:00",
        "depth_m": 0.3, "text": "橋の下が通れません", "contact": "090-0000-0000", **changed,
    }  # fmt: skip


def checked(data: dict[str, Any], **more: Any) -> NewReport:
    """The report behind `body`."""
    given = {"photos": [], "catalogue": catalogue(None), "bbox": None, "at": AT, **more}
    return incoming.read(data, **given)


def picture(form: str = "JPEG", size: tuple[int, int] = (64, 48), **save: Any) -> bytes:
    """A picture file; with EXIF where asked."""
    out = io.BytesIO()
    image = Image.effect_noise(size, 60).convert("RGB")
    image.save(out, form, **save)
    return out.getvalue()


def exif(orientation: int = 1, secret: str = SECRET) -> Image.Exif:
    """Metadata with a position, a name and a comment."""
    found = Image.Exif()
    found[0x0112] = orientation
    found[0x013B] = secret
    found[0x9286] = secret
    gps = found.get_ifd(0x8825)
    gps.update({1: "N", 2: (36.0, 33.0, 0.0), 3: "E", 4: (139.0, 52.0, 48.0)})
    return found
