"""NGSI-LD for the city OS: shelters, Wi-Fi, openings, orders, reports and closures as entities."""

import citymap.share.ngsi.doors  # noqa: F401  (enters them)
