"""Every outgoing door behind one privacy gate: exports and standards (a later issue fills it)."""
