"""The layer catalogue and the description of the view that draws it."""

from citymap.layers.catalogue import Layer, load, present
from citymap.layers.view import deck_spec, default_view

__all__ = ["Layer", "deck_spec", "default_view", "load", "present"]
