"""The fake API server and a connection to it."""

from fake_api import api, connection

__all__ = ["api", "connection"]
