"""What the API server is asked, when, how often, and what is said where it does not answer."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from fake_api import Answer, Request, broken, refusal, reply, silence

from gitops_dr.cluster.discover import identify
from gitops_dr.desired.pending import PENDING, Held, write_pending
from gitops_dr.desired.recovery import COVERAGE, Coverage, write_coverage
from gitops_dr.engine.difference import Examined, examine
from gitops_dr.engine.recorded import read_tree
from gitops_dr.events import Advanced
from gitops_dr.manifests.emit import canonical
from gitops_dr.model import FieldChange, Presence, Ref
from gitops_dr.repository.commit import commit
from gitops_dr.repository.history import files_digest
from gitops_dr.repository.repository import head
from gitops_dr.repository.tree import blobs

PREFIX = "clusters/prod"
UID = "5ca1ab1e-0000-4000-8000-000000000000"
LEFT_OUT = "Git leaves out what the API server or an admission webhook may fill in"


def config_map(name: str, kind: str = "ConfigMap", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}


def path(name: str) -> str:
    return f"namespaces/shop/configmaps/{name}.yaml"


def at(name: str, plural: str = "configmaps") -> str:
    return f"/api/v1/namespaces/shop/{plural}/{name}"


def stored(name: str, version: str = "7", **data: str) -> dict[str, Any]:
    """As the API server has it."""
    body = config_map(name, **data)
    return {**body, "metadata": {**body["metadata"], "uid": "u", "resourceVersion": version}}


@pytest.fixture
def compare(repo: Any, save: Any, connection: Any) -> Callable[..., Examined]:
    """Commit the files and examine the cluster."""

    def run(files: dict[str, Any], **options: Any) -> Examined:
        commit = save({f"{PREFIX}/{where}": data for where, data in files.items()})
        tree = read_tree(repo, commit, PREFIX)
        return examine(connection, identify(connection), tree, **options)

    return run


@pytest.fixture
def filled(cluster: Any, make_live: Any, api: Any) -> Callable[..., None]:
    """Objects to which the cluster has something that Git left out: ``data.b``."""

    def serve(*names: str, kind: str = "ConfigMap") -> None:
        live = [make_live(name, "shop", data={"a": "1", "b": "2"}) for name in names]
        cluster.serve("v1", kind, *live)
        for name in names:
            body = {**stored(name, a="1", b="2"), "kind": kind}
            api.on(at(name, f"{kind.lower()}s"), reply(body))
            api.on(at(name, f"{kind.lower()}s"), reply(body), method="PATCH")

    return serve


def in_git(*names: str, kind: str = "ConfigMap") -> dict[str, bytes]:
    return {
        f"{kind.lower()}-{name}.yaml": canonical(config_map(name, kind, a="1")) for name in names
    }


def changes(found: Examined) -> list[tuple[str, str, str]]:
    return [(d.ref.name, c.op, c.path) for d in found.differences for c in d.changes]


B_IS_THERE = [("x", "add", "data.b")]


def test_what_the_server_would_fill_in_is_no_difference(
    compare: Any, filled: Any, api: Any
) -> None:
    filled("x")
    events: list[Any] = []
    found = compare(in_git("x"), emit=events.append)
    assert (found.differences, found.equal) == ((), 1)
    (asked,) = api.asked(at("x"), "PATCH")
    assert asked.query == {
        "dryRun": "All", "fieldManager": "gitops-dr", "fieldValidation": "Strict",
    }  # fmt: skip
    assert asked.headers["Content-Type"] == "application/json-patch+json"
    # It is asked what a revert would do, of just this object as it was looked at.
    assert asked.json == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "remove", "path": "/data/b"},
    ]
    assert [e.subject for e in events if isinstance(e, Advanced) and e.phase == "compare"] == [
        "ConfigMap/shop/x"
    ]


def test_what_the_server_would_take_away_is_one(compare: Any, filled: Any, api: Any) -> None:
    filled("x")
    api.on(at("x"), reply(stored("x", a="1")), method="PATCH")
    found = compare(in_git("x"))
    (difference,) = found.differences
    assert difference.changes == (FieldChange("data.b", "add", new="2"),)
    assert difference.compared_locally == ""
    assert found.equal == 0


def test_what_the_server_changes_besides_is_none_of_git_s(
    compare: Any, filled: Any, api: Any
) -> None:
    filled("x")
    predicted = stored("x", a="1", b="2", written="just now")
    api.on(at("x"), reply(predicted), method="PATCH")
    assert compare(in_git("x")).differences == ()


def test_who_has_since_made_them_equal_is_believed(compare: Any, filled: Any, api: Any) -> None:
    filled("x")
    api.on(at("x"), reply(stored("x", "8", a="1")))
    assert compare(in_git("x")).differences == ()
    assert api.asked(at("x"), "PATCH") == []


def test_a_change_that_is_one_in_any_case_is_not_asked_about(
    compare: Any, cluster: Any, make_live: Any, api: Any
) -> None:
    cluster.serve("v1", "ConfigMap", make_live("x", "shop", data={"a": "2"}))
    api.on(at("x"), reply(stored("x", a="2")))
    api.on(at("x"), reply(stored("x", a="1")), method="PATCH")
    found = compare(in_git("x"))
    assert changes(found) == [("x", "replace", "data.a")]
    assert api.asked(at("x")) == []
    # ... unless somebody wants to have every one asked about.
    assert changes(compare(in_git("x"), server=True)) == [("x", "replace", "data.a")]
    assert len(api.asked(at("x"), "PATCH")) == 1


@pytest.mark.parametrize("where", ["entry", "gap", "left out"])
def test_where_admission_may_change_what_is_written_every_change_is_asked_about(
    compare: Any, cluster: Any, make_live: Any, api: Any, where: str
) -> None:
    cluster.serve("v1", "ConfigMap", make_live("x", "shop", data={"a": "2"}))
    api.on(at("x"), reply(stored("x", a="2")))
    api.on(at("x"), reply(stored("x", a="2")), method="PATCH")
    held = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if where == "left out" else {}
    hook = make_live("hook", webhooks=[], metadata=held)
    cluster.serve(
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        hook,
        namespaced=False,
        **({"answer": refusal(403, "Forbidden", "not you")} if where == "gap" else {}),
    )
    found = compare(in_git("x"))
    assert [d for d in found.differences if d.presence is Presence.MODIFIED] == []


@pytest.mark.parametrize("server", [False, True])
def test_what_the_server_drops_without_a_word_is_told(
    compare: Any, filled: Any, api: Any, server: bool
) -> None:
    """As one does that has a feature switched off."""
    filled("x")
    body = config_map("x", a="1", feature="on")
    found = compare({"x.yaml": canonical(body)}, server=server)
    assert changes(found) == [("x", "remove", "data.feature")]
    assert len(api.asked(at("x"), "PATCH")) == 1


@pytest.mark.parametrize("by_hand", [True, False])
def test_an_empty_value_may_say_nothing_unless_an_export_wrote_it(
    compare: Any, cluster: Any, make_live: Any, api: Any, by_hand: bool
) -> None:
    cluster.schemas["ConfigMap"] = {"properties": {"immutable": {"type": "boolean"}}}
    cluster.serve("v1", "ConfigMap", make_live("x", "shop", data={"a": "1"}))
    api.on(at("x"), reply(stored("x", a="1")))
    api.on(at("x"), reply(stored("x", a="1")), method="PATCH")
    file = canonical(config_map("x", a="1") | {"immutable": False})
    found = compare({"x.yaml": b"# mine\n" + file if by_hand else file}, server=True)
    assert changes(found) == ([] if by_hand else [("x", "remove", "immutable")])


# -- how often --------------------------------------------------------------------------------

MANY = [f"x{number:02}" for number in range(20)]


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refusal(403, "Forbidden", "you may not"), "refused: you may not"),
        (refusal(500, "InternalError", "failed calling webhook"), "failed calling webhook"),
        (refusal(415, "UnsupportedMediaType", "no such patch"), "no such patch"),
        (broken(), "got no answer"),
    ],
    ids=["forbidden", "webhook", "unsupported", "broken"],
)
def test_what_is_refused_for_all_of_a_kind_is_asked_for_once(
    compare: Any, filled: Any, api: Any, method: str, answer: Answer, says: str
) -> None:
    filled(*MANY)
    filled(*MANY, kind="Other")
    for name in MANY:
        for plural in ("configmaps", "others"):
            api.on(at(name, plural), answer, method=method)
    found = compare(in_git(*MANY) | in_git(*MANY, kind="Other"))
    assert len(found.differences) == 2 * len(MANY)
    for difference in found.differences:
        assert difference.compared_locally.startswith(f"{LEFT_OUT}; ")
        assert says in difference.compared_locally
    for plural in ("configmaps", "others"):
        tried = {r.path for r in api.requests if f"/{plural}/" in r.path and r.method == method}
        assert len(tried) == 1


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refusal(400, "BadRequest", 'webhook "a" does not support dry run'), "does not support"),
        (refusal(422, "Invalid", "x is immutable\n- a\n+ b"), "a dry run was refused: x is immu"),
        (reply({"kind": "Odd"}), "the answer is not an object"),
    ],
    ids=["no dry run", "immutable", "odd"],
)
def test_what_is_refused_for_one_object_says_nothing_of_the_others(
    compare: Any, filled: Any, api: Any, answer: Answer, says: str
) -> None:
    filled("x", "y")
    api.on(at("x"), answer, method="PATCH")
    found = compare(in_git("x", "y"))
    if says == "the answer is not an object":
        assert len(found.differences) == 2
    else:
        assert changes(found) == B_IS_THERE
    first = found.differences[0]
    assert says in first.compared_locally
    assert "\n" not in first.compared_locally


def test_several_are_asked_about_at_once_but_not_too_many(
    compare: Any, filled: Any, api: Any
) -> None:
    """The first of a kind goes alone; of the others eight wait for one another, and for a ninth."""
    filled(*MANY)
    together = threading.Barrier(8, timeout=30)
    a_ninth = threading.Event()
    in_flight: list[int] = [0]
    most: list[int] = [0]
    lock = threading.Lock()

    def patched(name: str) -> Callable[[Request], Answer]:
        def answer(_request: Request) -> Answer:
            with lock:
                in_flight[0] += 1
                most[0] = max(most[0], in_flight[0])
                if in_flight[0] > 8:
                    a_ninth.set()
            if name in MANY[1:9]:
                together.wait()
                # It has a moment to come, and must not.
                a_ninth.wait(0.2)
            with lock:
                in_flight[0] -= 1
            return reply(stored(name, a="1", b="2"))

        return answer

    for name in MANY:
        api.on(at(name), patched(name), method="PATCH")
    assert compare(in_git(*MANY)).differences == ()
    assert most == [8]


def test_schemas_are_read_once_and_only_where_something_differs(
    compare: Any, filled: Any, api: Any, cluster: Any, make_live: Any
) -> None:
    filled(*MANY)
    cluster.serve("apps/v1", "Deployment", make_live("same", "shop", data={"a": "1"}))
    same = {**config_map("same", "Deployment", a="1"), "apiVersion": "apps/v1"}
    compare(in_git(*MANY) | {"same.yaml": canonical(same)})
    assert len(api.asked("/openapi/v3/api/v1")) == 1
    assert api.asked("/openapi/v3/apis/apps/v1") == []


# -- faults -----------------------------------------------------------------------------------


def test_who_is_faster_is_looked_at_again(compare: Any, filled: Any, api: Any) -> None:
    filled("x")
    versions = [reply(stored("x", v, a="1", b="2")) for v in ("7", "8", "8")]
    api.on(at("x"), *versions)
    conflict = refusal(409, "Conflict", "it has been modified")
    api.on(at("x"), conflict, reply(stored("x", a="1")), method="PATCH")
    found = compare(in_git("x"))
    assert changes(found) == B_IS_THERE
    assert found.differences[0].compared_locally == ""
    guards = [request.json[0]["value"] for request in api.asked(at("x"), "PATCH")]
    assert guards == ["7", "8"]


def test_who_is_always_faster_is_left_alone(compare: Any, filled: Any, api: Any) -> None:
    filled("x")
    versions = iter(range(100))
    api.on(at("x"), lambda _: reply(stored("x", str(next(versions)), a="1", b="2")))
    api.on(at("x"), refusal(409, "Conflict", "it has been modified"), method="PATCH")
    found = compare(in_git("x"))
    assert changes(found) == B_IS_THERE
    assert "somebody else writes to it all the time" in found.differences[0].compared_locally
    assert len(api.asked(at("x"), "PATCH")) == 3


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_what_is_gone_meanwhile(compare: Any, filled: Any, api: Any, method: str) -> None:
    filled("x")
    api.on(at("x"), refusal(404, "NotFound", 'configmaps "x" not found'), method=method)
    found = compare(in_git("x"))
    assert changes(found) == B_IS_THERE
    assert found.differences[0].compared_locally == f"{LEFT_OUT}; it was deleted meanwhile"


def test_an_api_without_resource_versions_is_not_asked(compare: Any, filled: Any, api: Any) -> None:
    filled("x")
    body = stored("x", a="1", b="2")
    del body["metadata"]["resourceVersion"]
    api.on(at("x"), reply(body))
    found = compare(in_git("x"))
    assert found.differences[0].compared_locally.endswith("its API gives no resourceVersion")
    assert api.asked(at("x"), "PATCH") == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (refusal(403, "Forbidden", "not you"), "its schema could not be read: not you"),
        (refusal(404), "the API server has no schema of it"),
        (reply({"components": {"schemas": {}}}), "the API server has no schema of it"),
        (reply({"components": None}), "the API server has no schema of it"),
        (broken(), "its schema could not be read: "),
    ],
    ids=["forbidden", "none", "of another kind", "empty", "broken"],
)
@pytest.mark.parametrize("data", [{"a": "2"}, {"a": "1", "b": "2"}], ids=["changed", "added"])
def test_without_a_schema_the_server_is_asked_or_the_result_says_so(
    compare: Any,
    cluster: Any,
    make_live: Any,
    api: Any,
    answer: Answer,
    says: str,
    data: dict[str, str],
) -> None:
    cluster.serve("v1", "ConfigMap", make_live("x", "shop", data=data))
    api.on("/openapi/v3/api/v1", answer)
    api.on(at("x"), reply(stored("x", **data)))
    api.on(at("x"), refusal(403, "Forbidden", "not you"), method="PATCH")
    (difference,) = compare(in_git("x")).differences
    assert difference.compared_locally.startswith(says)
    assert difference.compared_locally.endswith("; a dry run was refused: not you")
    api.on(at("x"), reply(stored("x", a="1")), method="PATCH")
    (difference,) = compare(in_git("x")).differences
    assert difference.compared_locally == ""
    api.on(at("x"), reply(stored("x", **data)), method="PATCH")
    assert compare(in_git("x")).differences == ()


def test_a_server_that_hangs_does_not_hang_us_for_each_object(
    compare: Any, filled: Any, api: Any, monkeypatch: Any
) -> None:
    from gitops_dr.cluster.connect import Connection

    real = Connection.request
    monkeypatch.setattr(
        Connection, "request", lambda self, *a, **o: real(self, *a, **{**o, "read_timeout": 0.3})
    )
    filled(*MANY)
    for name in MANY:
        api.on(at(name), silence(), method="PATCH")
    found = compare(in_git(*MANY))
    assert all("got no answer" in d.compared_locally for d in found.differences)
    assert len({r.path for r in api.requests if r.method == "PATCH"}) == 1


# -- what cannot be changed -------------------------------------------------------------------

IMMUTABLE = refusal(422, "Invalid", "field is immutable")
COLLECTION = "/api/v1/namespaces/shop/configmaps"


def test_what_cannot_be_changed_is_made_anew_in_thought(
    compare: Any, filled: Any, api: Any
) -> None:
    filled("x")
    api.on(at("x"), reply(stored("x", a="1", b="2", called="x", c="3")))
    api.on(at("x"), IMMUTABLE, method="PATCH")

    def made(request: Request) -> Answer:
        metadata = {**request.json["metadata"], "name": "x-abcde", "uid": "other"}
        data = {**request.json["data"], "b": "2", "called": "x-abcde"}
        return reply({**request.json, "metadata": metadata, "data": data}, 201)

    api.on(COLLECTION, made, method="POST")
    found = compare(in_git("x"))
    assert changes(found) == [("x", "add", "data.c")]
    assert found.differences[0].compared_locally == ""
    (asked,) = api.asked(COLLECTION, "POST")
    assert asked.query["dryRun"] == "All"
    assert asked.json["metadata"] == {"generateName": "x-", "namespace": "shop"}


def test_where_that_cannot_be_either_the_first_answer_counts(
    compare: Any, filled: Any, api: Any
) -> None:
    filled("x")
    api.on(at("x"), IMMUTABLE, method="PATCH")
    api.on(COLLECTION, refusal(403, "Forbidden", "not you"), method="POST")
    found = compare(in_git("x"))
    assert changes(found) == B_IS_THERE
    assert found.differences[0].compared_locally.endswith("refused: field is immutable")


def test_owners_have_no_uid_in_git_and_are_never_sent(compare: Any, filled: Any, api: Any) -> None:
    filled("x")
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o"}
    body = config_map("x", a="1")
    body["metadata"]["ownerReferences"] = [owner]
    found = compare({"x.yaml": canonical(body)})
    assert changes(found) == [("x", "remove", "metadata.ownerReferences")]
    sent = b"".join(request.body for request in api.asked(at("x"), "PATCH"))
    assert b"owner" not in sent


# -- what an export made ----------------------------------------------------------------------


@pytest.fixture
def exported(repo: Any) -> Callable[..., str]:
    """Commit files as an export does."""

    def run(
        files: dict[str, bytes], *, uid: str = UID, version: str = "v1.37.2", cluster: str = "prod"
    ) -> str:
        account = write_coverage(Coverage(uid, version, ()))
        files = {COVERAGE: account, **files}
        before = head(repo)
        there = blobs(repo, before, PREFIX) if before else {}
        digest = files_digest(there | {p: repo.blob_id(data) for p, data in files.items()})
        return commit(
            repo,
            changes={f"{PREFIX}/{p}": data for p, data in files.items()},
            message="Export",
            trailers={"Cluster": cluster, "Cluster-Files": digest},
            guard=lambda _path, _data: None,
            expected=before,
        ).id

    return run


@pytest.fixture
def look(repo: Any, connection: Any) -> Callable[..., Examined]:
    def run(**options: Any) -> Examined:
        tree = read_tree(repo, head(repo), PREFIX)
        return examine(connection, identify(connection), tree, **options)

    return run


def test_an_export_left_nothing_out_so_nobody_is_asked(
    exported: Any, look: Any, filled: Any, api: Any
) -> None:
    filled("x")
    exported(in_git("x"))
    assert changes(look()) == B_IS_THERE
    assert api.asked(at("x")) == []
    assert changes(look(server=True)) == []
    assert len(api.asked(at("x"), "PATCH")) == 1


def test_edits_of_other_files_change_nothing_about_that(
    exported: Any, look: Any, filled: Any, api: Any, save: Any
) -> None:
    filled("x", "y")
    exported(in_git("x", "y"))
    changed = canonical(config_map("y", a="1", b="3"))
    save({f"{PREFIX}/configmap-y.yaml": changed})
    assert changes(look()) == [*B_IS_THERE, ("y", "replace", "data.b")]
    assert api.asked(at("x")) == []


@pytest.mark.parametrize(
    "options",
    [{"uid": "another"}, {"version": "v1.36.0"}],
    ids=["of another cluster", "of another version"],
)
def test_what_was_exported_of_something_else_is_asked_about(
    exported: Any, look: Any, filled: Any, options: Any
) -> None:
    filled("x")
    exported(in_git("x"), **options)
    assert changes(look()) == []


@pytest.mark.parametrize("damaged", [False, True])
def test_what_the_export_held_back_is_asked_about(
    exported: Any, look: Any, filled: Any, damaged: bool
) -> None:
    filled("x")
    held = write_pending({Ref("", "ConfigMap", "shop", "x"): Held("1" * 40, "configmap-x.yaml")})
    assert held is not None
    exported(in_git("x") | {PENDING: b"damaged" if damaged else held})
    assert changes(look()) == []


# -- autoscalers ------------------------------------------------------------------------------

SCALER = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}}


@pytest.mark.parametrize("recorded", ["the same", "another", "none"])
@pytest.mark.parametrize(("target", "scaled"), [("x", True), ("y", False)])
def test_replicas_are_an_autoscaler_s_where_the_cluster_has_one(
    compare: Any, cluster: Any, make_live: Any, api: Any, recorded: str, target: str, scaled: bool
) -> None:
    def deployment(replicas: int) -> dict[str, Any]:
        return {"spec": {"replicas": replicas, "paused": replicas == 5}}

    def scaler(name: str) -> dict[str, Any]:
        return {"spec": {"scaleTargetRef": {**SCALER["scaleTargetRef"], "name": name}}}

    cluster.serve("apps/v1", "Deployment", make_live("x", "shop", **deployment(5)))
    cluster.serve(
        "autoscaling/v2", "HorizontalPodAutoscaler", make_live("h", "shop", **scaler(target))
    )
    place = {"namespace": "shop"}
    files = {
        "x.yaml": canonical(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", **place}}
            | deployment(2)
        )
    }
    if recorded != "none":
        name = target if recorded == "the same" else "z"
        files["h.yaml"] = canonical(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "h", **place},
            }
            | scaler(name)
        )
    found = [change for change in changes(compare(files)) if change[0] == "x"]
    expected = [("x", "replace", "spec.paused")]
    assert found == expected + ([] if scaled else [("x", "replace", "spec.replicas")])


def test_that_autoscalers_could_not_be_listed_makes_no_drift(
    compare: Any, cluster: Any, make_live: Any
) -> None:
    spec = {"replicas": 5, "paused": True}
    cluster.serve("apps/v1", "Deployment", make_live("x", "shop", spec=spec))
    cluster.serve(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        answer=refusal(403, "Forbidden", "not you"),
    )
    body = {"apiVersion": "apps/v1", "kind": "Deployment"}
    body |= {"metadata": {"name": "x", "namespace": "shop"}, "spec": {"replicas": 2}}
    found = [c for c in changes(compare({"x.yaml": canonical(body)})) if c[0] == "x"]
    assert found == [("x", "add", "spec.paused")]


def test_nor_is_a_revert_in_thought_about_replicas_then(
    compare: Any, cluster: Any, make_live: Any, api: Any
) -> None:
    spec = {"replicas": 5, "custom": True}
    cluster.serve("apps/v1", "Deployment", make_live("x", "shop", spec=spec))
    forbidden = refusal(403, "Forbidden", "not you")
    cluster.serve("autoscaling/v2", "HorizontalPodAutoscaler", answer=forbidden)
    body = {"apiVersion": "apps/v1", "kind": "Deployment"}
    body |= {"metadata": {"name": "x", "namespace": "shop"}, "spec": {"replicas": 2}}
    live = {**body, "spec": spec, "metadata": {**body["metadata"], "resourceVersion": "7"}}
    place = "/apis/apps/v1/namespaces/shop/deployments/x"
    api.on(place, reply(live))
    api.on(place, reply(live), method="PATCH")
    assert [c for c in changes(compare({"x.yaml": canonical(body)})) if c[0] == "x"] == []
    (asked,) = api.asked(place, "PATCH")
    assert [operation["path"] for operation in asked.json[1:]] == ["/spec/custom"]
