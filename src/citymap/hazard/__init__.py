"""Hazards: legends and, later, hazard import and hazard sets."""
