"""Every outgoing door behind one privacy gate."""
