"""Starlette's test client; its notice that httpx has a successor is not our tests' concern."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

__all__ = ["TestClient"]
