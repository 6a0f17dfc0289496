"""NGSI-LD for the city OS: shelters, Wi-Fi, openings, orders, reports and closures as entities."""

import citymap.share.ngsi.broker
import citymap.share.ngsi.doors  # noqa: F401  (they enter the doors)
