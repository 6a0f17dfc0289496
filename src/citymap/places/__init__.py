"""Open-data lists of places: shelters, Wi-Fi, AED, districts, addresses."""

from citymap.places.build import PlacesReport, SkippedRow, import_places
from citymap.places.districts import locate

__all__ = ["PlacesReport", "SkippedRow", "import_places", "locate"]
