"""Tries the changes of a plan without making them: dry runs. Writes nothing.

So a person who is asked knows beforehand what the API server will refuse, such as a field that
cannot be changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from gitops_dr.cluster.connect import Connection
from gitops_dr.engine.act import Act, act
from gitops_dr.engine.aims import Aim
from gitops_dr.engine.asking import AT_ONCE
from gitops_dr.engine.execute import LoadBodies
from gitops_dr.model import Action, Body, Plan, Ref, Resource, Result, Step

_BATCH = 64
"""Objects whose bodies are held at once."""


def changing(plan: Plan) -> dict[Ref, Step]:
    """The steps that change an object that is there, and not just a claim's note."""
    return {
        step.ref: step
        for step in plan.steps
        if step.action is Action.CONFIGURE and step.empty_volume is None
    }


def rehearse(
    connection: Connection,
    plan: Plan,
    load: LoadBodies,
    resources: Mapping[tuple[str, str], Resource],
    aim: Aim,
) -> dict[Ref, str]:
    """Say which of the plan's changes the API server refuses, and why, in its own words.

    Only changes of objects that are there are tried: what is missing may need something else that
    is. The parameters are those of :func:`~gitops_dr.engine.execute.execute`.
    """
    steps = changing(plan)

    def attempt(step: Step, body: Body) -> Act:
        resource = replace(resources[step.ref.group_kind], version=step.version)
        return act(connection, step, resource, body, lambda _owner: None, aim=aim, dry_run=True)

    refused: dict[Ref, str] = {}
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rehearse") as workers:
        for batch in itertools.batched(load(steps), _BATCH):
            tried = workers.map(lambda each: attempt(steps[each[0]], each[1]), batch)
            for each in tried:
                if each.outcome.result is Result.FAILED and not each.too_early:
                    refused[each.outcome.ref] = each.outcome.reason
    return refused
