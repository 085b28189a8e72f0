"""Tells an answer that is a matter of time from one that is final. Pure; rows with reasons."""

from __future__ import annotations

from dataclasses import dataclass

from gitops_dr.cluster.connect import ApiError


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is a matter of time: the same request may succeed a little later."""

    status: int
    contains: str
    because: str
    link: str
    unless: tuple[str, ...] = ()
    """What the message holds where time does not help."""
    perhaps_done: bool = False
    """A write that is answered so may have been carried out all the same."""
    unserved: bool = False
    """The kind is not served: an operator that is not running yet may define it."""


_GOING = "object is being deleted"

# The first attempt at these comes too early; everything else is final.
TOO_EARLY = (
    Refusal(
        404,
        "could not find the requested resource",
        "A CRD is established a moment before the API server serves its kind.",
        "https://github.com/kubernetes/kubernetes/issues/117467",
        unserved=True,
    ),
    Refusal(
        404,
        "404 page not found",
        "The same, answered in plain text.",
        "https://github.com/kubernetes/kubernetes/issues/117467",
        unserved=True,
    ),
    Refusal(
        403,
        "error looking up service account",
        "The default ServiceAccount of a new namespace is made by a controller.",
        "https://github.com/kubernetes/kubernetes/issues/66689",
    ),
    Refusal(
        403,
        "status unknown for quota",
        "A quota counts only once its controller has filled in the status.",
        "https://github.com/kubernetes/kubernetes/issues/93955",
    ),
    Refusal(
        409,
        _GOING,
        "One of the same name is on its way out; its finalizers take their time.",
        "https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/",
    ),
    Refusal(
        409,
        "Operation cannot be fulfilled on",
        "Somebody else wrote at the same time, to the object or to the quota that counts it.",
        "https://github.com/kubernetes/kubernetes/issues/67761",
    ),
    Refusal(
        0,
        "",
        "No answer: the API server restarts or the network fails.",
        "https://kubernetes.io/docs/reference/using-api/api-concepts/",
        perhaps_done=True,
    ),
    Refusal(
        500,
        "",
        "etcd changes its leader, or a webhook's backend is not up yet.",
        "https://github.com/carvel-dev/kapp/blob/develop/pkg/kapp/resources/resources.go",
        unless=("already allocated", "should not be set"),
        perhaps_done=True,
    ),
    Refusal(
        429,
        "",
        "The API server has too much to do.",
        "https://kubernetes.io/docs/concepts/cluster-administration/flow-control/",
    ),
    Refusal(
        502,
        "",
        "The load balancer found no API server that runs.",
        "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/high-availability/",
        perhaps_done=True,
    ),
    Refusal(
        503,
        "",
        "The API server or an aggregated one restarts.",
        "https://kubernetes.io/docs/reference/using-api/api-concepts/",
        perhaps_done=True,
    ),
    Refusal(
        504,
        "",
        "The API server, or the load balancer before it, waited for too long.",
        "https://kubernetes.io/docs/reference/using-api/api-concepts/",
        perhaps_done=True,
    ),
)


def too_early(error: ApiError) -> bool:
    """Whether the same request may succeed a little later."""
    return _row(error) is not None


def perhaps_done(error: ApiError) -> bool:
    """Whether a write that was answered so may have been carried out all the same.

    Before it is sent again one has to look: a second Service is refused for the node port of the
    first, a second object for the quota that the first has used up:
    https://github.com/kubernetes/kubernetes/issues/106842
    """
    row = _row(error)
    return row is not None and row.perhaps_done


def unserved(error: ApiError) -> bool:
    """Whether it was refused because its kind is not served."""
    row = _row(error)
    return row is not None and row.unserved


def is_going(error: ApiError) -> bool:
    """Whether it was refused because one of the same name is being deleted."""
    row = _row(error)
    return row is not None and row.contains == _GOING


def _row(error: ApiError) -> Refusal | None:
    for refusal in TOO_EARLY:
        if (
            error.status == refusal.status
            and refusal.contains in error.message
            and not any(text in error.message for text in refusal.unless)
        ):
            return refusal
    return None
