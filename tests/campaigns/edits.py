"""The ways in which people and programs edit a cluster by kubectl. Each tells what it did."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable

from campaigns.independent import Body, key_of
from campaigns.kubectl import Hand, Recorded, Refused
from campaigns.told import Author, Edit, Where, at

_OURS = "edits.example.com"
_POD: Where = ("spec", "template", "spec")

Way = Callable[[Hand, Recorded], Edit]


def by(manager: str, operation: str = "Update", subresource: str = "") -> Author:
    """A field manager as it is noted."""
    return manager, operation, subresource


# -- metadata ----------------------------------------------------------------------------------


def add_note(verb: str, notes: str) -> Way:
    def way(hand: Hand, one: Recorded) -> Edit:
        key, manager = f"{_OURS}/{hand.word()}", f"kubectl-{verb}"
        named: tuple[str, ...] = ()
        if hand.chance.random() < 0.3:
            manager = hand.name()
            named = ("--field-manager", manager)
        hand.run(one, verb, one.kind, one.key[3], f"{key}={hand.word()}", *named)
        return Edit(verb, one.key, "added", ("metadata", notes, key), by(manager))

    return way


def change_note(verb: str, notes: str) -> Way:
    def way(hand: Hand, one: Recorded) -> Edit:
        key = hand.any(_notes(one, notes))
        hand.run(one, verb, "--overwrite", one.kind, one.key[3], f"{key}={hand.word()}")
        return Edit(verb, one.key, "changed", ("metadata", notes, key), by(f"kubectl-{verb}"))

    return way


def remove_note(verb: str, notes: str) -> Way:
    def way(hand: Hand, one: Recorded) -> Edit:
        key = hand.any(_notes(one, notes))
        hand.run(one, verb, one.kind, one.key[3], f"{key}-")
        return Edit(verb, one.key, "removed", ("metadata", notes, key))

    return way


def _notes(one: Recorded, notes: str) -> list[str]:
    """Labels or annotations that mean nothing to Kubernetes itself."""
    return [
        key
        for key in sorted(one.body["metadata"].get(notes) or {})
        if key.startswith("app.kubernetes.io/") or not re.search(r"(kubernetes|k8s)\.io/", key)
    ]


def add_finalizer(hand: Hand, one: Recorded) -> Edit:
    held = one.body["metadata"].get("finalizers") or []
    if held != (hand.live(one)["metadata"].get("finalizers") or []):
        raise Refused("a rule takes some of them out")
    value = [*held, f"{_OURS}/{hand.word()}"]
    manager = hand.name()
    change = [{"op": "add", "path": "/metadata/finalizers", "value": value}]
    hand.patch(one, change, "--type=json", "--field-manager", manager)
    where = ("metadata", "finalizers", len(held))
    return Edit("patch json", one.key, "added", where, by(manager))


# -- workloads ---------------------------------------------------------------------------------


def scale(hand: Hand, one: Recorded) -> Edit:
    others = {1, 2, 3, 4} - {one.body["spec"]["replicas"]}
    hand.run(one, "scale", one.kind, one.key[3], f"--replicas={hand.any(sorted(others))}")
    author = by("kubectl", subresource="scale")
    return Edit("scale", one.key, "changed", ("spec", "replicas"), author)


def add_variable(hand: Hand, one: Recorded) -> Edit:
    name = hand.word().upper()
    return _variable(
        hand, one, hand.any(_containers(one))["name"], name, f"={hand.word()}", "added"
    )


def change_variable(hand: Hand, one: Recorded) -> Edit:
    container, name = hand.any(_variables(one))
    return _variable(hand, one, container, name, f"={hand.word()}", "changed", "value")


def remove_variable(hand: Hand, one: Recorded) -> Edit:
    container, name = hand.any(_variables(one))
    return _variable(hand, one, container, name, "-", "removed")


def _variable(
    hand: Hand, one: Recorded, container: str, name: str, deed: str, what: str, *leaf: str
) -> Edit:
    hand.run(one, "set", "env", f"{one.kind}/{one.key[3]}", "-c", container, f"{name}{deed}")
    where = (*_POD, "containers", ("name", container), "env", ("name", name), *leaf)
    author = None if what == "removed" else by("kubectl-set")
    return Edit("set env", one.key, what, where, author)


def _containers(one: Recorded) -> list[Body]:
    return at(one.body, (*_POD, "containers")) or []


def _variables(one: Recorded) -> list[tuple[str, str]]:
    """Container and name of each that has a plain value."""
    return [
        (container["name"], variable["name"])
        for container in _containers(one)
        for variable in container.get("env") or ()
        if variable.get("value")
    ]


def change_image(hand: Hand, one: Recorded) -> Edit:
    name = hand.any(_containers(one))["name"]
    image = f"registry.example.com/{hand.word()}:1"
    hand.run(one, "set", "image", f"{one.kind}/{one.key[3]}", f"{name}={image}")
    where = (*_POD, "containers", ("name", name), "image")
    return Edit("set image", one.key, "changed", where, by("kubectl-set"))


def add_request(hand: Hand, one: Recorded) -> Edit:
    container = hand.any(_containers(one))
    if "ephemeral-storage" in (at(container, ("resources", "requests")) or {}):
        raise Refused("it has one")
    what = ("-c", container["name"], "--requests=ephemeral-storage=1024Mi")
    hand.run(one, "set", "resources", f"{one.kind}/{one.key[3]}", *what)
    place = ("containers", ("name", container["name"]), "resources", "requests")
    where = (*_POD, *place, "ephemeral-storage")
    return Edit("set resources", one.key, "added", where, by("kubectl-set"))


def restart(hand: Hand, one: Recorded) -> Edit:
    hand.run(one, "rollout", "restart", f"{one.kind}/{one.key[3]}")
    note = "kubectl.kubernetes.io/restartedAt"
    where = ("spec", "template", "metadata", "annotations", note)
    return Edit("rollout restart", one.key, "added", where, by("kubectl-rollout"))


def pause(hand: Hand, one: Recorded) -> Edit:
    hand.run(one, "rollout", "pause", f"{one.kind}/{one.key[3]}")
    where = ("spec", "paused")
    return Edit("rollout pause", one.key, "added", where, by("kubectl-rollout"))


def add_volume(hand: Hand, one: Recorded) -> Edit:
    return _merge_item(hand, one, "volumes", {"emptyDir": {"sizeLimit": "1Gi"}})


def add_container(hand: Hand, one: Recorded) -> Edit:
    item = {"image": "registry.example.com/side:1", "env": [{"name": "A", "value": "b"}]}
    return _merge_item(hand, one, "containers", item)


def _merge_item(hand: Hand, one: Recorded, part: str, item: Body) -> Edit:
    """As a strategic merge, which adds an item that has a name of its own."""
    name, manager = hand.word(), hand.name()
    change = {"spec": {"template": {"spec": {part: [{"name": name, **item}]}}}}
    hand.patch(one, change, "--field-manager", manager)
    where = (*_POD, part, ("name", name))
    return Edit("patch strategic", one.key, "added", where, by(manager))


def add_toleration(hand: Hand, one: Recorded) -> Edit:
    item = {"key": f"{_OURS}/{hand.word()}", "operator": "Exists"}
    return _add_item(hand, one, (*_POD, "tolerations"), item, "key")


# -- other kinds -------------------------------------------------------------------------------


def add_port(hand: Hand, one: Recorded) -> Edit:
    if not all(port.get("name") for port in one.body["spec"]["ports"]):
        raise Refused("of several ports each needs a name")
    port, manager = hand.chance.randint(20_000, 29_999), hand.name()
    change = [{"op": "add", "path": "/spec/ports/-", "value": {"name": hand.word(), "port": port}}]
    hand.patch(one, change, "--type=json", "--field-manager", manager)
    where = ("spec", "ports", ("port", str(port), "protocol", "TCP"))
    return Edit("patch json", one.key, "added", where, by(manager))


def add_rule(hand: Hand, one: Recorded) -> Edit:
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "watch"]}
    return _add_item(hand, one, ("rules",), rule)


def add_subject(hand: Hand, one: Recorded) -> Edit:
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": hand.word()}
    return _add_item(hand, one, ("subjects",), user, "name")


def _add_item(hand: Hand, one: Recorded, where: Where, item: Body, told_by: str = "") -> Edit:
    """Add to a list that is one value to the API server: its items are told by a key, if at all.

    Where they are not, the list as a whole is what has changed.
    """
    held = at(one.body, where) or []
    names = [each.get(told_by) for each in held]
    alone = bool(told_by) and all(names) and len({*names}) == len(names)
    manager = hand.name()
    change = [{"op": "add", "path": pointer(where), "value": [*held, item]}]
    hand.patch(one, change, "--type=json", "--field-manager", manager)
    deed = "added" if alone or not held else "changed"
    where = (*where, (told_by, item[told_by])) if alone else where
    return Edit("patch json", one.key, deed, where, by(manager))


def add_entry(hand: Hand, one: Recorded) -> Edit:
    word, manager = hand.word(), hand.name()
    change = {"data": {f"{word}.conf": f"a: {word}\nb: [1]\n"}}
    hand.patch(one, change, "--type=merge", "--field-manager", manager)
    return Edit("patch merge", one.key, "added", ("data", f"{word}.conf"), by(manager))


def change_entry(hand: Hand, one: Recorded) -> Edit:
    key, manager = hand.any(sorted(one.body["data"])), hand.name()
    change = {"data": {key: hand.word()}}
    hand.patch(one, change, "--type=merge", "--field-manager", manager)
    return Edit("patch merge", one.key, "changed", ("data", key), by(manager))


def remove_entry(hand: Hand, one: Recorded) -> Edit:
    key = hand.any(sorted(one.body["data"]))
    hand.patch(one, {"data": {key: None}}, "--type=merge")
    return Edit("patch merge", one.key, "removed", ("data", key))


# -- server-side apply -------------------------------------------------------------------------


def apply_label(hand: Hand, one: Recorded) -> Edit:
    key = f"{_OURS}/{hand.word()}"
    manager = _apply(hand, one, {"metadata": {"labels": {key: hand.word()}}})
    where = ("metadata", "labels", key)
    return Edit("apply --server-side", one.key, "added", where, by(manager, "Apply"))


def apply_entry(hand: Hand, one: Recorded) -> Edit:
    key = hand.any(sorted(one.body["data"]))
    manager = _apply(hand, one, {"data": {key: hand.word()}})
    return Edit("apply --server-side", one.key, "changed", ("data", key), by(manager, "Apply"))


def apply_variable(hand: Hand, one: Recorded) -> Edit:
    container, name = hand.any(_containers(one))["name"], hand.word().upper()
    containers = [{"name": container, "env": [{"name": name, "value": "x"}]}]
    manager = _apply(hand, one, {"spec": {"template": {"spec": {"containers": containers}}}})
    where = (*_POD, "containers", ("name", container), "env", ("name", name))
    return Edit("apply --server-side", one.key, "added", where, by(manager, "Apply"))


def _apply(hand: Hand, one: Recorded, parts: Body) -> str:
    """Apply these parts of the object; gives the manager."""
    body = {name: one.body[name] for name in ("apiVersion", "kind")} | parts
    named = {name: one.body["metadata"][name] for name in ("name",)}
    named |= {"namespace": one.key[2]} if one.key[2] else {}
    body["metadata"] = {**named, **parts.get("metadata", {})}
    manager = hand.name()
    flags = ("--server-side", "--force-conflicts", "--field-manager", manager)
    hand.run(one, "apply", *flags, "-f", "-", given=body)
    return manager


# -- whole objects -----------------------------------------------------------------------------


def delete(hand: Hand, one: Recorded) -> Edit:
    if hand.live(one)["metadata"].get("finalizers") or one.key[3] == "default":
        raise Refused("it would stay, or come back")
    if ("", "Endpoints", *one.key[2:]) in hand.objects:
        raise Refused("what people wrote into its Endpoints would go with it")
    hand.run(one, "delete", "--now", one.kind, one.key[3])
    return Edit("delete", one.key, "deleted")


def create(hand: Hand, one: Recorded) -> Edit:
    """One of several kinds, in the namespace of the one that was chosen."""
    name = hand.word()
    image = f"--image=example.com/{name}:1"
    group, kind, command = hand.any(
        [
            ("", "ConfigMap", ("create", "configmap", name, "--from-literal=a=1")),
            ("", "Pod", ("run", name, image)),
            ("", "ServiceAccount", ("create", "serviceaccount", name)),
            ("apps", "Deployment", ("create", "deployment", name, image)),
            ("batch", "CronJob", ("create", "cronjob", name, image, "--schedule=0 5 31 2 *")),
            (
                *("rbac.authorization.k8s.io", "Role"),
                ("create", "role", name, "--verb=get", "--resource=pods"),
            ),
        ]
    )
    hand.run(one, *command)
    author = by(f"kubectl-{command[0]}")
    return Edit(command[0], (group, kind, one.key[2], name), "created", author=author)


def create_namespace(hand: Hand, one: Recorded) -> Edit:
    name = hand.word()
    hand.run(one, "create", "namespace", name)
    key = ("", "Namespace", "", name)
    return Edit("create", key, "created", author=by("kubectl-create"))


def expose(hand: Hand, one: Recorded) -> Edit:
    name = hand.word()
    hand.run(one, "expose", f"{one.kind}/{one.key[3]}", "--name", name, "--port=1234")
    key = ("", "Service", one.key[2], name)
    return Edit("expose", key, "created", author=by("kubectl-expose"))


def autoscale(hand: Hand, one: Recorded) -> Edit:
    """Who has an autoscaler has it decide, so that the target does not differ."""
    replicas = one.body["spec"]["replicas"]
    limits = (f"--min={replicas}", f"--max={replicas + 1}")
    hand.run(one, "autoscale", f"{one.kind}/{one.key[3]}", *limits)
    hand.autoscaled.add((one.key[2], one.key[3]))
    key = ("autoscaling", "HorizontalPodAutoscaler", *one.key[2:])
    return Edit("autoscale", key, "created", author=by("kubectl-autoscale"))


def create_copy(hand: Hand, one: Recorded) -> Edit:
    body = _copy(hand, one)
    hand.run(one, "create", "-f", "-", given=body)
    return Edit("create", key_of(body), "created", author=by("kubectl-create"))


def apply_copy(hand: Hand, one: Recorded) -> Edit:
    body, manager = _copy(hand, one), hand.name()
    hand.run(one, "apply", "--server-side", "--field-manager", manager, "-f", "-", given=body)
    author = by(manager, "Apply")
    return Edit("apply --server-side", key_of(body), "created", author=author)


def _copy(hand: Hand, one: Recorded) -> Body:
    """The same again under another name."""
    body = copy.deepcopy(one.body)
    body["metadata"] = {"name": f"{one.key[3][:40].rstrip('-.')}-{hand.word()}"}
    body["metadata"] |= {"namespace": one.key[2]} if one.key[2] else {}
    return body


# -- bodies ------------------------------------------------------------------------------------


def has_notes(notes: str) -> Callable[[Recorded], bool]:
    """Whether an object has labels or annotations that may be changed."""
    return lambda one: bool(_notes(one, notes))


def has_variables(one: Recorded) -> bool:
    """Whether a container of its pods has one with a plain value."""
    return bool(_variables(one))


def pointer(path: Where) -> str:
    """A path of keys and places as a JSON Pointer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
