"""The demo city: a fictional town written as a PLATEAU-conformant source data set."""

from __future__ import annotations

from citymap.demo.city import generate

__all__ = ["generate"]
