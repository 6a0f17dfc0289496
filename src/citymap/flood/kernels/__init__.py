"""Compiled loops of the shallow-water solver; arrays in, arrays changed in place.

Water depth `h` and ground `z` are counts of a fixed unit: int32 counts of 2^-k m with float32
discharges, or float64 metres with float64 discharges. What leaves a cell through a face enters its
neighbour as the same count, so that in counts no water is made or lost by rounding, and the water
surface of a lake at rest is exactly level.

Cells are (row, column); `qx[j, i]` is the discharge per width (m²/s) through the face between cells
i − 1 and i of row j, positive to growing columns; `qy[j, i]` that between rows j − 1 and j.
"""
