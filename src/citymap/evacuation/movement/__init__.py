"""Movement of people over the links of a network, in continuous time."""
