"""The store of a city: accounts and sessions, jobs, audit, in SQLite or PostgreSQL."""

from citymap.store.engine import Store, StoreError, open_store, shared_store

__all__ = ["Store", "StoreError", "open_store", "shared_store"]
