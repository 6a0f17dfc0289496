"""What holds right now: orders, openings of shelters, water levels and warnings, each with its age."""
