"""Shallow-water flood simulation: solver, forcing, results, validation."""
