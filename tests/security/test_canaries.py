"""No secret value leaves: canaries are planted, every command runs, everything written is searched.

On real control planes: what the commands print, the files that they leave, and all Git objects.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from command import Said, git, gitops_dr
from secret_samples import NOW, new_key, place

from gitops_dr import lab as labs
from gitops_dr.cluster.connect import Connection, connect
from gitops_dr.lab import Lab
from gitops_dr.secrets.sops import seal

DRIFT_FORMATS = ("table", "json", "yaml", "markdown", "html", "junit", "annotations")
CORE = "/api/v1/namespaces/shop"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
VAULTS = "/apis/canary.example.org/v1/namespaces/shop/vaults"


def _canary(name: str) -> str:
    return f"c4n4ry-{name}-{secrets.token_hex(12)}"


@dataclass
class World:
    """A cluster with canaries, its repository, another cluster, and all that commands said."""

    lab: Lab
    other: Lab
    repo: Path
    keys: Path
    home: Path
    canaries: dict[str, str] = field(default_factory=dict)
    said: list[tuple[str, Said]] = field(default_factory=list)
    planted: set[str] = field(default_factory=set)
    """Blobs that the test itself put into Git."""

    def plant(self, name: str, value: str = "") -> str:
        self.canaries[name] = value or _canary(name)
        return self.canaries[name]

    def run(
        self, *arguments: str, lab: Lab | None = None, key: str | None = "prod.txt", code: int = -1
    ) -> Said:
        environment = {
            "HOME": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "AWS_SECRET_ACCESS_KEY": self.canaries["process-env"],
            "GITHUB_TOKEN": self.canaries["token"],
            "GIT_AUTHOR_NAME": "Tester",
            "GIT_AUTHOR_EMAIL": "t@localhost",
            "GIT_COMMITTER_NAME": "Tester",
            "GIT_COMMITTER_EMAIL": "t@localhost",
        }
        if key:
            environment["SOPS_AGE_KEY_FILE"] = str(self.keys / key)
        done = gitops_dr(
            *arguments,
            "--repo",
            str(self.repo),
            kubeconfig=(lab or self.lab).kubeconfig,
            environment=environment,
        )
        self.said.append((f"{' '.join(arguments)} [{key}]", done))
        if code >= 0:
            assert done.code == code, done.err + done.out
        assert done.code != 70, done.err
        return done


# -- what is planted ---------------------------------------------------------------------------


def _post(connection: Connection, path: str, body: dict) -> None:
    connection.json("POST", path, body=orjson.dumps(body))


def _secret(name: str, **fields: object) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": "shop"},
        **fields,
    }


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _fill(world: World, connection: Connection) -> None:
    _post(connection, "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    data = {"password": _b64(world.plant("data")), "odd": _b64(world.plant("odd") + '"<&é\n\\')}
    _post(connection, f"{CORE}/secrets", _secret("db", data=data))
    _post(connection, f"{CORE}/secrets", _secret("text", stringData={"p": world.plant("text")}))
    applied = _secret("applied", stringData={"p": world.plant("applied")})
    copied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(applied)}
    applied["metadata"]["annotations"] = copied
    _post(connection, f"{CORE}/secrets", applied)
    registry = {"auths": {"r.example.org": {"auth": _b64(f"me:{world.plant('registry')}")}}}
    _post(
        connection,
        f"{CORE}/secrets",
        _secret(
            "registry",
            type="kubernetes.io/dockerconfigjson",
            stringData={".dockerconfigjson": json.dumps(registry)},
        ),
    )
    inner = _secret("inner", stringData={"p": world.plant("config-map")})
    _post(
        connection,
        f"{CORE}/configmaps",
        {"metadata": {"name": "inner"}, "data": {"manifest.yaml": json.dumps(inner)}},
    )
    _post(
        connection,
        f"{CORE}/configmaps",
        {"metadata": {"name": "open"}, "data": {"url": _database(world.plant("url-in-git"))}},
    )
    _post(connection, "/apis/apps/v1/namespaces/shop/deployments", _deployment(world.plant("env")))
    _custom_resource(world, connection)


def _database(password: str) -> str:
    return f"postgres://shop:{password}@db.example.org/shop"


def _deployment(password: str) -> dict:
    """It has a password where a Secret belongs. That goes into Git, and is never printed."""
    labels = {"app": "web"}
    env = [{"name": "DB_PASSWORD", "value": password}]
    pod = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": "web:1", "env": env}]},
    }
    return {
        "metadata": {"name": "web"},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod},
    }


def _custom_resource(world: World, connection: Connection) -> None:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything}}},
    }
    names = {"plural": "vaults", "kind": "Vault", "singular": "vault", "listKind": "VaultList"}
    crd = {
        "metadata": {"name": "vaults.canary.example.org"},
        "spec": {
            "group": "canary.example.org",
            "scope": "Namespaced",
            "names": names,
            "versions": [version],
        },
    }
    _post(connection, CRDS, crd)
    key = base64.b64encode(world.plant("custom-resource").encode() * 3).decode()
    pem = f"-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"
    vault = {
        "apiVersion": "canary.example.org/v1",
        "kind": "Vault",
        "metadata": {"name": "v", "namespace": "shop"},
        "spec": {"key": pem},
    }
    deadline = time.monotonic() + 60
    while True:
        try:
            _post(connection, VAULTS, vault)
        except Exception:  # noqa: BLE001 - it is not served yet
            assert time.monotonic() < deadline
            time.sleep(0.2)
        else:
            return


def _commit(world: World, path: str, data: bytes) -> None:
    file = world.repo / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    git(world.repo, "add", path)
    # There is a hook against just that.
    git(world.repo, "commit", "--no-verify", "-qm", f"Put {path}")
    world.planted.add(git(world.repo, "rev-parse", f"HEAD:{path}").strip())


def _remove(world: World, path: str) -> None:
    git(world.repo, "rm", "-q", path)
    git(world.repo, "commit", "-qm", f"Remove {path}")


# -- what is run -------------------------------------------------------------------------------


def _first_point(world: World) -> None:
    world.run("secrets", "list")
    init = world.run("secrets", "init", "--key-file", str(world.keys / "prod.txt"), code=0)
    identity = (world.keys / "prod.txt").read_text().splitlines()[-1]
    world.plant("identity", identity)
    assert "prod.txt" in init.out
    world.run("export", "--dry-run", "-o", "json")
    # The ConfigMap and the custom resource are gaps: the guard does not let them into Git.
    exported = world.run("export", "--volumes", code=3)
    assert "inner" in exported.out
    assert (world.repo / place("db")).is_file(), exported.out + exported.err
    world.run("export", "-o", "json", code=3)
    other = new_key(world.keys, "other")
    world.run("secrets", "init", "--recipient", f"other={other.recipient}", code=0)
    for verb in ("list", "check"):
        for form in ("table", "json"):
            world.run("secrets", verb, "-o", form)
            world.run("secrets", verb, "-o", form, key=None)
    world.run("secrets", "rotate", "shop/db", "-o", "json", code=0)
    world.run("secrets", "rotate", code=0)
    for noun in (("points", "list"), ("points", "show")):
        world.run(*noun, "-o", "json", code=0)
    world.run("volumes", "list")


def _drift(world: World, connection: Connection) -> None:
    changed = {"data": {"password": _b64(world.plant("changed")), "new": _b64(world.plant("new"))}}
    connection.json(
        "PATCH",
        f"{CORE}/secrets/db",
        body=orjson.dumps(changed),
        content_type="application/merge-patch+json",
    )
    patch = {
        "data": {"manifest.yaml": json.dumps(_secret("i", stringData={"p": world.plant("m")}))}
    }
    connection.json(
        "PATCH",
        f"{CORE}/configmaps/inner",
        body=orjson.dumps(patch),
        content_type="application/merge-patch+json",
    )
    connection.json(
        "PATCH",
        f"{CORE}/configmaps/open",
        body=orjson.dumps({"data": {"url": _database(world.plant("url-changed"))}}),
        content_type="application/merge-patch+json",
    )
    _post(connection, f"{CORE}/secrets", _secret("more", stringData={"p": world.plant("more")}))
    for key in ("prod.txt", None, "wrong.txt"):
        for form in DRIFT_FORMATS:
            found = world.run("drift", "-o", form, key=key)
            assert found.code in (1, 3), found.err
    world.run("drift", "--server", "-o", "json")
    world.run("plan", "--overwrite")
    world.run("plan", "--overwrite", "-o", "json", key=None)
    for arguments in (("accept", "--dry-run"), ("revert", "--dry-run", "Secret/shop/db")):
        for key in ("prod.txt", "wrong.txt", None):
            world.run(*arguments, key=key)
            world.run(*arguments, "-o", "json", key=key)
    world.run("revert", "--yes", "Secret/shop/db")
    world.run("accept", "--yes", "--commit", "Secret/shop/more")
    world.run("export")


def _bad_files(world: World) -> None:
    """Files that people commit past the guard, and that every command has to name."""
    bad = place("bad")
    broken = (
        f"kind: Secret\napiVersion: v1\nmetadata: {{name: bad}}\ndata: [{world.plant('yaml')}\n"
    )
    unsealed = _secret("bad", data={"p": world.plant("no-base64") + "%%"})
    odd = _secret("bad", stringData={"p": {"deep": world.plant("deep")}})
    mixed = orjson.loads(orjson.dumps(_secret("bad", data={"p": world.plant("mixed")})))
    mixed["sops"] = {"mac": world.plant("mac"), "age": [], "lastmodified": world.plant("time")}
    for data in (broken.encode(), *map(orjson.dumps, (unsealed, odd, mixed))):
        _commit(world, bad, data)
        for arguments in (
            ("drift", "-o", "json"),
            ("plan", "--overwrite"),
            ("secrets", "list"),
            ("secrets", "check"),
            ("export", "--dry-run"),
            ("rebuild", "--yes", "--overwrite", "--ref", "Secret/shop/bad"),
        ):
            world.run(*arguments)
    _remove(world, bad)


def _elsewhere(world: World) -> None:
    """A rebuild into another cluster; the API server refuses one Secret that opens well."""
    recipient = (world.keys / "prod.txt").read_text().split("# public key: ")[1].split()[0]
    refused = {
        "refused": _secret("refused", data={"p": f"%%{world.plant('refused')}"}),
        "json": _secret(
            "json",
            type="kubernetes.io/dockerconfigjson",
            stringData={".dockerconfigjson": f"{{{world.plant('not-json')}"},
        ),
    }
    for name, body in refused.items():
        _commit(world, place(name), seal(body, [recipient], now=NOW))
    world.run("plan", lab=world.other)
    for key in (None, "wrong.txt"):
        world.run("rebuild", "--yes", lab=world.other, key=key)
    found = world.run("rebuild", "--yes", "-o", "json", "--timeout", "20", lab=world.other)
    assert found.code == 3, found.err + found.out
    assert "Secret/shop/refused" in found.out + found.err or "refused" in found.out
    world.run("drift", "-o", "html", lab=world.other)
    for name in refused:
        _remove(world, place(name))


STANDBY = "targets/standby"
TARGET = """\
format: 1
context: elsewhere
mappings:
  namespaces: {shop: shop-b}
patches:
- kind: Secret
  namespace: shop
  name: text
  because: The standby has a token of its own.
  strategic: {stringData: {p: "${secrets.patched}"}}
"""
OWN = """\
apiVersion: v1
kind: Secret
metadata: {name: own, namespace: shop-b}
data: {p: {{ secrets.templated | b64encode }}}
"""
OPENLY = OWN.replace("Secret", "ConfigMap").replace(" | b64encode", "")
PATCHED_OPENLY = (
    TARGET.replace("kind: Secret", "kind: ConfigMap")
    .replace("name: text", "name: open")
    .replace("stringData", "data")
)


def _target(world: World) -> None:
    """A standby with values and Secrets of its own, and what people do wrong with them."""
    recipient = (world.keys / "prod.txt").read_text().split("# public key: ")[1].split()[0]
    namespace = {"metadata": {"name": "db", "namespace": "shop-b"}}
    own = _secret("db", stringData={"password": world.plant("target-own")}) | namespace
    values = _secret(
        "values",
        stringData={name: world.plant(f"target-{name}") for name in ("patched", "templated")},
    )
    _commit(world, f"{STANDBY}/target.yaml", TARGET.encode())
    _commit(world, f"{STANDBY}/templates/own.yaml.j2", OWN.encode())
    _commit(world, f"{STANDBY}/secrets/db.yaml", seal(own, [recipient], now=NOW))
    _commit(world, f"{STANDBY}/secret-values.yaml", seal(values, [recipient], now=NOW))
    target = ("--target", "standby")
    for key in ("prod.txt", "wrong.txt", None):
        for command in (
            ("render",),
            ("render", "--diff", "-o", "json"),
            ("plan", "-o", "json"),
            ("plan", "--checks-only"),
        ):
            world.run(*command, *target, lab=world.other, key=key)
    for key in ("wrong.txt", None):
        assert world.run("sync", *target, "--yes", lab=world.other, key=key).code not in (0, 1)
    world.run("sync", *target, lab=world.other)
    world.run("sync", *target, "--yes", "-o", "json", "--timeout", "20", lab=world.other)
    connection = connect(world.other.kubeconfig, None)
    for name in ("db", "text", "own"):
        changed = {"data": {"p": _b64(world.plant(f"target-changed-{name}"))}}
        connection.json(
            "PATCH",
            f"/api/v1/namespaces/shop-b/secrets/{name}",
            body=orjson.dumps(changed),
            content_type="application/merge-patch+json",
        )
    for form in DRIFT_FORMATS:
        world.run("drift", *target, "-o", form, lab=world.other)
    for key in ("wrong.txt", None):
        world.run("drift", *target, "-o", "json", lab=world.other, key=key)
    for path, text in (
        (f"{STANDBY}/templates/open.yaml.j2", OPENLY),
        (f"{STANDBY}/templates/open.yaml.j2", "{{ secrets.templated }}: ["),
        (f"{STANDBY}/templates/open.yaml.j2", "{{ secrets.templated / 0 }}"),
        (f"{STANDBY}/templates/open.yaml.j2", "{{ secrets[secrets.templated] }}"),
        (f"{STANDBY}/target.yaml", PATCHED_OPENLY),
        (
            f"{STANDBY}/secrets/bad.yaml",
            json.dumps(_secret("bad", stringData={"p": world.plant("target-plain")})),
        ),
    ):
        _commit(world, path, text.encode())
        for command in (("render",), ("drift",), ("sync", "--yes", "-o", "json")):
            found = world.run(*command, *target, lab=world.other)
            assert found.code not in (0, 1) or command == ("render",), found.out
        if path.endswith("target.yaml"):
            _commit(world, path, TARGET.encode())
        else:
            _remove(world, path)
    # What leaves Git is shown before it goes.
    _remove(world, f"{STANDBY}/templates/own.yaml.j2")
    world.run("sync", *target, lab=world.other)
    world.run("sync", *target, "--yes", "--timeout", "20", lab=world.other)


def _failover(world: World) -> None:
    target = ("--target", "standby")
    failover = ("failover", *target, "--fenced", "--no-last-point", "--timeout", "20")
    for key in ("wrong.txt", None):
        world.run(*failover, "--yes", lab=world.other, key=key)
    world.run(*failover, lab=world.other)
    world.run(*failover, "--yes", "-o", "json", lab=world.other)


def _remotes(world: World) -> None:
    password = world.plant("url")
    url = f"http://me:{quote(password)}@127.0.0.1:1/repo.git"
    git(world.repo, "remote", "add", "origin", url)
    git(world.repo, "config", "branch.main.remote", "origin")
    git(world.repo, "config", "branch.main.merge", "refs/heads/main")
    world.run("export", "--push")
    world.run("export", "--push-to", url)
    world.run("drift", "--post", "github")
    git(world.repo, "remote", "remove", "origin")


@pytest.fixture(scope="module")
def world(lab_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("canaries")
    home, keys = folder / "home", folder / "keys"
    for place_of_files in (home / "tmp", keys):
        place_of_files.mkdir(parents=True)
    with labs.running("canary") as one, labs.running("elsewhere") as other:
        made = World(one, other, folder / "repo", keys, home)
        for name in ("process-env", "token"):
            made.plant(name)
        new_key(keys, "wrong")
        gitops_dr("init", str(made.repo), "--cluster", "prod")
        connection = connect(one.kubeconfig, None)
        _fill(made, connection)
        _first_point(made)
        _drift(made, connection)
        _bad_files(made)
        _elsewhere(made)
        _target(made)
        _remotes(made)
        _failover(made)
        yield made


# -- where it is searched ----------------------------------------------------------------------


def _forms(canary: str) -> dict[str, bytes]:
    raw = canary.encode()
    found = {
        "as it is": raw,
        "reversed": raw[::-1],
        "in hex": raw.hex().encode(),
        "percent-encoded": "".join(f"%{byte:02x}" for byte in raw).encode(),
        "in JSON escapes": "".join(f"\\u{byte:04x}" for byte in raw).encode(),
        "in UTF-16": canary.encode("utf-16-le"),
    }
    for shift in range(3):
        inner = base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4]
        found[f"in base64, {shift}"] = inner
        found[f"in base64 of base64, {shift}"] = base64.b64encode(inner[: len(inner) // 3 * 3])
    return found


def _leaks(world: World, text: bytes, *, allowed: tuple[str, ...] = ()) -> list[str]:
    folded = text.lower()
    return [
        f"{name} {form}"
        for name, canary in world.canaries.items()
        if name not in allowed
        for form, data in _forms(canary).items()
        if data in text or (form == "as it is" and data.lower() in folded)
    ]


def test_the_search_finds_what_there_is(world: World) -> None:
    canary = world.canaries["data"]
    for text in (
        canary.upper(),
        canary[::-1],
        quote(canary),
        _b64(canary),
        _b64("x" + canary),
        _b64("xy" + canary + "z"),
        _b64(_b64(canary)),
        json.dumps({"v": canary}),
    ):
        assert _leaks(world, b"before " + text.encode() + b" after"), text


def test_the_commands_came_to_where_values_are(world: World) -> None:
    """Otherwise they would have kept quiet for another reason."""

    def said(command: str) -> str:
        return "".join(one.out + one.err for name, one in world.said if name.startswith(command))

    for form in DRIFT_FORMATS:
        for key in ("prod.txt", None, "wrong.txt"):
            assert "***" in said(f"drift -o {form} [{key}]")
    for command in ("revert --dry-run", "plan --overwrite", "accept --yes"):
        assert "Secret/shop/" in said(command)
    assert "1 done" in said("revert --yes")
    bad = said("rebuild --yes --overwrite --ref Secret/shop/bad")
    for answer in ("illegal base64", "cannot unmarshal object", "sops has no recipients"):
        assert answer in bad
    rebuilt = next(one for name, one in world.said if name.startswith("rebuild --yes -o json"))
    outcomes = rebuilt.json["outcomes"]
    failed = {one["ref"]["name"] for one in outcomes if one["result"] == "failed"}
    assert failed == {"refused", "json"}
    assert "127.0.0.1" in said("export --push [")
    assert "***" in said("render --target standby [prod.txt]")
    assert '"own"' in said("plan -o json --target standby [prod.txt]")
    for form in DRIFT_FORMATS:
        assert "***" in said(f"drift --target standby -o {form} [prod.txt]")
    (*_, last) = [one for name, one in world.said if name.startswith("sync --target standby --yes")]
    assert "1 object left Git" in last.out
    assert "Secret/shop-b/own" in said("sync --target standby [prod.txt]")
    assert "execute done" in said("failover --target standby --fenced")
    assert "DB_PASSWORD" in said("secrets check -o table [prod.txt]")


def test_nothing_that_was_printed(world: World) -> None:
    leaks = {
        f"{command}, {stream}": found
        for command, said in world.said
        for stream, text in (("stdout", said.out), ("stderr", said.err))
        if (found := _leaks(world, text.encode(), allowed=_openly(command)))
    }
    assert len(world.said) > 80
    assert not leaks


OPEN = ("env", "url-in-git", "url-changed")
"""What stands in the open in the cluster is in Git as well; `secrets check` finds it."""


def _openly(command: str) -> tuple[str, ...]:
    """Manifests of a target are printed as they stand in Git, but for Secrets."""
    return OPEN if command.startswith("render --target standby [") else ()


def test_nothing_in_git(world: World) -> None:
    leaks = {}
    for name, data in _objects(world.repo):
        if name not in world.planted and (found := _leaks(world, data, allowed=OPEN)):
            leaks[name] = found
    assert not leaks


def test_nothing_in_any_file(world: World) -> None:
    leaks = {}
    for folder in (world.repo, world.home, world.keys.parent):
        for path in filter(Path.is_file, folder.rglob("*")):
            # Objects are searched unpacked; the key file is the one that has a key.
            if ".git/objects" in path.as_posix() or path.parent == world.keys:
                continue
            in_the_open = OPEN if path.parent.name in ("configmaps", "deployments.apps") else ()
            if found := _leaks(world, path.read_bytes(), allowed=in_the_open):
                leaks[str(path)] = found
    assert not leaks
    assert not list((world.home / "tmp").iterdir()), "what was temporary is gone"


def test_only_the_key_file_has_the_key(world: World) -> None:
    (file,) = world.keys.glob("prod*")
    assert _leaks(world, file.read_bytes()) == ["identity as it is"]
    assert file.stat().st_mode & 0o077 == 0


def _objects(repo: Path) -> Iterator[tuple[str, bytes]]:
    """Every object that Git has, reachable or not, unpacked."""
    names: Callable[[], list[str]] = lambda: git(  # noqa: E731
        repo, "cat-file", "--batch-all-objects", "--batch-check=%(objectname) %(objecttype)"
    ).splitlines()
    for line in names():
        name, kind = line.split()
        yield name, git(repo, "cat-file", kind, name).encode()
