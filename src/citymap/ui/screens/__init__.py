"""One page a file; `main.py` navigates."""
