"""Stress test of the shelters: who finds a place, who is turned away, and what helps most."""
