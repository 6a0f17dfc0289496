"""citymap: the open-source safety map that a Japanese city can install this afternoon."""

from citymap import kernel_cache

__version__ = "0.1.0"

kernel_cache.settle()  # before anything loads numba
