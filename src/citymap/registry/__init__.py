"""Finds the one-file plug-ins of a package: a new hazard, source or format is one new file."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, TypeVar

T = TypeVar("T")


class Registry(Generic[T]):
    """Plug-ins by id; `load` imports every module of the package once."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._items: dict[str, T] = {}
        self._loaded = False

    def register(self, plugin_id: str) -> Callable[[T], T]:
        """Decorator that enters a plug-in under its id.

        Raises:
            ValueError: the id is taken.
        """

        def enter(item: T) -> T:
            if plugin_id in self._items:
                raise ValueError(f"{self._package}: id {plugin_id!r} is registered twice")
            self._items[plugin_id] = item
            return item

        return enter

    def load(self) -> dict[str, T]:
        """All plug-ins by id, in the order of their modules' names."""
        if not self._loaded:
            package = import_module(self._package)
            for module in sorted(iter_modules(package.__path__), key=lambda m: m.name):
                if not module.name.startswith("_"):
                    import_module(f"{self._package}.{module.name}")
            self._loaded = True
        return dict(self._items)
