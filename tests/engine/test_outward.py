"""What is held, by what differs: only what is not there, or what we have held ourselves."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from gitops_dr.cluster.connect import FIELD_MANAGER
from gitops_dr.desired.outward import shipped_rows
from gitops_dr.desired.target import IDENTITY, Target
from gitops_dr.engine import outward
from gitops_dr.engine.outward import outwards, refuse_release, with_hold, with_words
from gitops_dr.errors import UsageError
from gitops_dr.model import Body, Difference, FieldChange, FieldManager, Presence, Ref
from gitops_dr.planning.selection import EVERYTHING, Intent, Release, Selection

SOURCE = "uid-of-the-source"


def job(name: str) -> Ref:
    return Ref("batch", "CronJob", "shop", name)


ISSUER = Ref("cert-manager.io", "ClusterIssuer", "", "le")
CONFIG = Ref("", "ConfigMap", "shop", "a")


def held(name: str, manager: str) -> Difference:
    by = FieldManager(manager, "Update")
    change = FieldChange("spec.suspend", "replace", False, True, (by,))
    return Difference(job(name), Presence.MODIFIED, "x", (change,))


def missing(ref: Ref) -> Difference:
    return Difference(ref, Presence.MISSING, "x")


DIFFERENCES = (
    missing(job("absent")),
    missing(ISSUER),
    missing(CONFIG),
    held("ours", FIELD_MANAGER),
    held("theirs", "kubectl"),
    Difference(
        job("edited"),
        Presence.MODIFIED,
        "x",
        (FieldChange("spec.schedule", "replace", "a", "b", (FieldManager(FIELD_MANAGER, ""),)),),
    ),
    Difference(job("beyond"), Presence.UNMANAGED, "x"),
)


def body_of(ref: Ref) -> Body:
    metadata = {"name": ref.name, "namespace": ref.namespace, "labels": {"of": ref.name}}
    spec = {"acme": {}} if ref == ISSUER else {}
    version = f"{ref.group}/v1" if ref.group else "v1"
    return {"apiVersion": version, "kind": ref.kind, "metadata": metadata, "spec": spec}


@dataclass(frozen=True)
class FakeExamined:
    recorded: Any
    observation: Any
    differences: Any


def examined(uid: str, differences: Any = DIFFERENCES, held: Any = None) -> Any:
    recorded = SimpleNamespace(
        tree=SimpleNamespace(coverage=SimpleNamespace(uid=SOURCE), commit="c0ffee" * 6 + "abcd"),
        sources={},
        bodies=lambda refs: ((ref, body_of(ref)) for ref in refs),
        rewriter=SimpleNamespace(held=held or {}),
        state=SimpleNamespace(entries={ref: None for ref in held or {} if ref != ISSUER}),
    )
    observation = SimpleNamespace(identity=SimpleNamespace(uid=uid))
    return FakeExamined(recorded, observation, differences)


OPENED: Any = SimpleNamespace(
    settings=SimpleNamespace(outward=shipped_rows(), trusted_managers=frozenset(), name="prod"),
    head="c0ffee" * 6 + "abcd",
)


def hold(uid: str, target: Target, patch: pytest.MonkeyPatch) -> frozenset[Ref] | None:
    """Which objects are held; None if the comparison stays what it was."""
    patch.setattr(outward, "held_against", lambda *_, **__: "another comparison")
    found = examined(uid)
    aimed, again = with_hold(OPENED, None, found, target)  # type: ignore[arg-type]
    if again is found:
        assert aimed is target
        return None
    assert again == "another comparison"
    return aimed.hold.only


def test_in_another_cluster_what_is_made_and_what_we_have_held(monkeypatch) -> None:
    expected = {job("absent"), job("ours"), ISSUER}
    assert hold("another", IDENTITY, monkeypatch) == expected
    assert hold(SOURCE, Target("standby", active=True), monkeypatch) == expected


def test_in_the_sources_own_cluster_nothing_is_held(monkeypatch) -> None:
    assert hold(SOURCE, IDENTITY, monkeypatch) is None


def test_a_target_that_was_not_failed_over_to_says_it_itself(monkeypatch) -> None:
    assert hold("another", Target("standby"), monkeypatch) is None


def told(uid: str) -> dict[str, str]:
    found = with_words(OPENED, examined(uid))
    return {d.ref.name: d.held for d in found.differences if d.held}


def test_drift_says_of_a_hold_of_ours_what_it_is_and_what_releases_it() -> None:
    elsewhere = told("another")
    assert elsewhere.keys() == {"ours", "le"}
    assert elsewhere["ours"] == (
        "held by spec.suspend: What it does would be done twice, here and at the source. "
        "Release with gitops-dr rebuild --release --at c0ffeec0ffee"
    )
    assert elsewhere["le"].startswith("not made yet: ")
    # There, what is missing was deleted by somebody.
    assert told(SOURCE).keys() == {"ours"}


ROWS = {row.place: row for row in shipped_rows()}
HELD = {job("a"): ROWS["cron-jobs"], job("b"): ROWS["cron-jobs"], ISSUER: ROWS["acme-issuers"]}
CERTIFICATE = Ref("cert-manager.io", "Certificate", "shop", "site")


@pytest.mark.parametrize(
    ("release", "target", "stays", "command"),
    [
        (Release.IF_NEWEST, IDENTITY, "", ""),
        (Release.ALWAYS, IDENTITY, "", ""),
        (
            Release.NEVER,
            IDENTITY,
            "--no-release was said",
            "gitops-dr rebuild --release --at c0ffeec0ffee",
        ),
        (
            Release.IF_NEWEST,
            Target("standby"),
            "target standby was not failed over to",
            "gitops-dr failover --target standby",
        ),
        (Release.IF_NEWEST, Target("standby", active=True), "", ""),
    ],
)
def test_whether_it_is_released_in_the_end(
    release: Release, target: Target, stays: str, command: str
) -> None:
    found = outwards(
        OPENED, examined("another", held=HELD), target, Intent(release=release), frozenset()
    )
    assert [each.ref for each in found.held] == sorted(HELD)
    assert (found.stays, found.command) == (stays, command)
    assert found.is_released is not bool(stays)


def test_nothing_held_is_nothing_to_say() -> None:
    found = outwards(OPENED, examined("another"), Target("standby"), EVERYTHING, frozenset())
    assert found == outward.Outwards()


@pytest.mark.parametrize(
    ("selection", "chosen", "expected"),
    [
        (Selection(refs=frozenset({job("a")})), (), {job("a")}),
        (Selection(refs=frozenset({ISSUER})), (), {ISSUER}),
        (Selection(labels=(("of", "b"),)), (), {job("b")}),
        (Selection(namespaces=frozenset({"shop"})), (), {job("a"), job("b")}),
        (Selection(namespaces=frozenset({"other"})), (job("b"),), {job("b")}),
    ],
    ids=["by name", "the issuer", "by label", "a namespace", "what another needs"],
)
def test_of_a_part_only_that_is_released(selection: Any, chosen: Any, expected: set[Ref]) -> None:
    found = examined("another", held=HELD)
    assert outward.releasable(found, Intent(selection), frozenset(chosen)) == expected


def test_with_a_certificate_comes_its_issuer() -> None:
    found = examined("another", held={**HELD, CERTIFICATE: ROWS["acme-certificates"]})
    reference = {"issuerRef": {"name": "le", "kind": "ClusterIssuer"}}
    made = {**body_of(CERTIFICATE), "spec": reference}

    def bodies(refs: Any) -> Any:
        return ((ref, made if ref == CERTIFICATE else body_of(ref)) for ref in refs)

    found.recorded.bodies = bodies
    part = Intent(Selection(refs=frozenset({CERTIFICATE})))
    assert outward.releasable(found, part, frozenset()) == {CERTIFICATE, ISSUER}


def test_what_a_standby_holds_is_not_released_by_a_rebuild() -> None:
    always = Intent(release=Release.ALWAYS)
    with pytest.raises(UsageError, match="--release: target standby was not failed over to"):
        refuse_release(Target("standby"), always)
    refuse_release(Target("standby", active=True), always)
    refuse_release(IDENTITY, always)
    refuse_release(Target("standby"), EVERYTHING)
