"""Formats of exchange files: one file a format."""
