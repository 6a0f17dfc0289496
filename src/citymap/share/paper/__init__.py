"""Printed maps: one A3 sheet a district, drawn as vectors from the city's own tables."""
