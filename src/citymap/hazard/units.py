"""Units of hazard values and what they are in metres or hours."""

from __future__ import annotations

import unicodedata

FOOT_M = 0.3048
_LENGTHS = {
    "m": 1.0, "meter": 1.0, "meters": 1.0, "metre": 1.0, "metres": 1.0, "メートル": 1.0,
    "cm": 0.01, "centimetre": 0.01, "centimeter": 0.01, "センチメートル": 0.01, "mm": 0.001,
    "ft": FOOT_M, "feet": FOOT_M, "foot": FOOT_M, "international foot": FOOT_M,
    "us survey foot": 1200 / 3937, "ftus": 1200 / 3937, "us-ft": 1200 / 3937,
}  # fmt: skip
_TIMES = {
    "h": 1.0, "hr": 1.0, "hour": 1.0, "hours": 1.0, "時間": 1.0, "min": 1 / 60, "minute": 1 / 60,
    "minutes": 1 / 60, "分": 1 / 60, "s": 1 / 3600, "sec": 1 / 3600, "second": 1 / 3600,
    "seconds": 1 / 3600, "秒": 1 / 3600, "d": 24.0, "day": 24.0, "days": 24.0, "日": 24.0,
}  # fmt: skip
UNIT_OF = {"depth": "m", "duration": "h", "arrival": "h"}


def factor(quantity: str, unit: str) -> float | None:
    """What a value in `unit` is to be multiplied by for metres (depth) or hours; None: not known.

    >>> factor("depth", "feet"), factor("duration", "分"), factor("depth", "h")
    (0.3048, 0.016666666666666666, None)
    """
    plain = unicodedata.normalize("NFKC", unit).strip().lower()
    known = _LENGTHS if UNIT_OF.get(quantity) == "m" else _TIMES
    return known.get(plain)
