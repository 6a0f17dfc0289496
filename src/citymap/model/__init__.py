"""Frozen values that cross package borders; no I/O."""
