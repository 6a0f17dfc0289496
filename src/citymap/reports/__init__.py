"""Damage reports: what was sent, its photos, what was decided about it, and what follows from it."""
