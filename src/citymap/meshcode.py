"""Standard grid squares of Japan (地域メッシュ, JIS X 0410): 1st to 3rd level and halves."""

from __future__ import annotations


def bounds(code: str) -> tuple[float, float, float, float]:
    """West, south, east, north in degrees of a 4-, 6-, 8- or 9- to 11-digit mesh code.

    Digits after the eighth are quarters (1 = SW, 2 = SE, 3 = NW, 4 = NE).

    Raises:
        ValueError: the code is not a mesh code.
    """
    if not code.isdigit() or len(code) not in (4, 6, 8, 9, 10, 11):
        raise ValueError(f"{code!r} is not a mesh code")
    south, west = int(code[:2]) / 1.5, int(code[2:4]) + 100.0
    height, width = 2 / 3, 1.0
    for size, at in ((8, 4), (10, 6)):
        if len(code) >= at + 2:
            row, col = int(code[at]), int(code[at + 1])
            if row >= size or col >= size:
                raise ValueError(f"{code!r} is not a mesh code")
            height, width = height / size, width / size
            south, west = south + row * height, west + col * width
    for digit in code[8:]:
        quarter = int(digit) - 1
        if quarter not in range(4):
            raise ValueError(f"{code!r} is not a mesh code")
        height, width = height / 2, width / 2
        south, west = south + (quarter // 2) * height, west + (quarter % 2) * width
    return west, south, west + width, south + height


def encode(lon: float, lat: float, digits: int = 8) -> str:
    """The 4-, 6- or 8-digit mesh code that holds a position in degrees."""
    third_row, third_col = int(lat * 120 + 1e-9), int((lon - 100) * 80 + 1e-9)
    code = f"{third_row // 80:02d}{third_col // 80:02d}"
    if digits >= 6:
        code += f"{third_row % 80 // 10}{third_col % 80 // 10}"
    if digits >= 8:
        code += f"{third_row % 10}{third_col % 10}"
    return code
