"""`python -m citymap.cli`."""

from citymap.cli import main

main()
