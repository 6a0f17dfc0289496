"""Evacuation: network, people, movement, leave-by times, stress test, validation."""
