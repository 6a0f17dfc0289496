"""Validation cases of the evacuation model, one file a case."""
