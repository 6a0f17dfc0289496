"""Validation cases of the solver, one file a case."""
