"""Where exported layers come from: one file a sort of layer."""
