"""citymap: the open-source safety map that a Japanese city can install this afternoon."""

__version__ = "0.1.0"
