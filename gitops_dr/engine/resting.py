"""Notes whether a standby is at rest, before anything is made or started there. Writes the cluster.

What a claim of a standby holds besides its snapshot's data is known only as long as nothing runs
there: ``volumes/at_rest.py``.
"""

from __future__ import annotations

from gitops_dr.cluster.connect import ApiError
from gitops_dr.cluster.rest_record import begin_rest, end_rest
from gitops_dr.engine.prepare import Prepared
from gitops_dr.events import Emit, Notice

_NOT_ALLOWED = (401, 403)


def note_rest(prepared: Prepared, emit: Emit) -> None:
    """Note that the target is at rest, or that it is not from now on.

    Who may not does without, and a ``Notice`` says what that costs. Raises ``ApiError``.
    """
    connection, cluster = prepared.connection, prepared.opened.settings.name
    try:
        if prepared.target.at_rest:
            begin_rest(connection, cluster)
        else:
            end_rest(connection, cluster)
    except ApiError as error:
        if error.status not in _NOT_ALLOWED:
            raise
        if prepared.target.at_rest:
            emit(
                Notice(
                    "the claims that are filled now are not replaced by a later sync: that the "
                    f"standby is at rest could not be noted ({error.message})"
                )
            )
