"""OGC API: the layers of the exchange sources as collections of features, through the gate."""
