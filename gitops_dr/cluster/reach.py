"""Asks whether an API server answers at all, without the patience of other requests. Reads only."""

from __future__ import annotations

from http.client import HTTPException

from urllib3.exceptions import HTTPError

from gitops_dr.cluster.connect import ApiError, Connection


def why_silent(connection: Connection, timeout: float = 5.0) -> str:
    """Why the server does not answer within ``timeout`` seconds; empty if it does.

    One that answers with a refusal is there: it is for others to say what that means.
    """
    try:
        connection.open_socket(timeout).close()
        connection.request("GET", "/version", read_timeout=timeout)
    except ApiError as error:
        return error.message if not error.status else ""
    except (HTTPError, HTTPException, OSError, ValueError) as error:
        return connection.unanswered("GET", "/version", error).message
    return ""
