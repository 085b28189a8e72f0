"""The acts of the demo in which another site takes over, and gives back."""

from __future__ import annotations

from hands import FIRST_PASSWORD, OTHER_PASSWORD, PASSWORD, recipient_of, seal_password
from stage import (
    REPO,
    REPOSITORY,
    gitops_dr,
    reach,
    say,
    show_ledger,
    show_password,
    timed,
    write,
)

from gitops_dr.cluster.connect import connect
from gitops_dr.cluster.discover import identify
from gitops_dr.lab import Lab

STANDBY = "bookstore-standby"

# Two sites are two clusters of one repository: where the shop runs is what is exported.
_CONTEXT = "    # context: my-context\n"
_CLUSTERS = """\
    context: bookstore
  "standby":
    context: bookstore-standby
"""

_SITES = """\
format: 1
cluster: {cluster}
context: {context}
uid: {uid}
strategy: warm
mappings:
  images: {{{images}}}
  hosts: {{{hosts}}}
  storageClasses: {{{classes}}}
patches:
- kind: Deployment
  namespace: catalog
  name: api
  because: {because}
  strategic: {{spec: {{replicas: {replicas}}}}}
- kind: ConfigMap
  namespace: catalog
  name: image-policy
  because: A policy admits images of one registry only, which is another here.
  strategic: {{data: {{registry: {registry}}}}}
"""

_CLASSES = b"""\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standby-directory}
provisioner: directory.csi.gitops-dr.dev
"""


def stand_by(standby: Lab) -> None:
    """A second cluster gets ready to take over."""
    say("A standby: other registry, class of storage, host name, replicas and password")
    here = reach(standby)
    configuration = REPOSITORY / "gitops-dr.yaml"
    configuration.write_text(configuration.read_text().replace(_CONTEXT, _CLUSTERS))
    text = _SITES.format(
        cluster="bookstore",
        context=STANDBY,
        uid=_uid(standby),
        images="registry.example.com/: mirror.example.net/",
        hosts="shop.bookstore.example.com: shop.standby.example.net",
        classes="directory: standby-directory",
        because="The standby has fewer nodes.",
        replicas=2,
        registry="mirror.example.net/",
    )
    print(text.rstrip(), flush=True)
    write("targets/standby/templates/class.yaml", _CLASSES)
    _commit("standby", text, OTHER_PASSWORD, "A standby")
    target = ("--target", "standby", *REPO)
    timed("standby made ready", lambda: gitops_dr(here, "sync", "--yes", *target))
    timed("standby in step", lambda: gitops_dr(here, "sync", "--yes", "--quiet", *target))


def fail_over(primary: Lab, standby: Lab, orders: str) -> None:
    """Everything runs at the standby, with the data of the last recovery point."""
    both, target = reach(primary, standby), ("--target", "standby", *REPO)
    timed("failover", lambda: gitops_dr(both, "failover", "--fenced", "--yes", *target))
    _show(standby, orders, both, target, "a failover")


def go_back(primary: Lab, standby: Lab, orders: str) -> None:
    """The same to the first site, with what was written meanwhile."""
    both = reach(primary, standby)
    text = _SITES.format(
        cluster="standby",
        context=primary.name,
        uid=_uid(primary),
        images="mirror.example.net/: registry.example.com/",
        hosts="shop.standby.example.net: shop.bookstore.example.com",
        classes="standby-directory: directory",
        because="As many as there were.",
        replicas=3,
        registry="registry.example.com/",
    )
    _commit("primary", text, FIRST_PASSWORD, "The way back")
    site = ("--cluster", "standby", *REPO)
    opener = f"bookstore={recipient_of(REPOSITORY)}"
    gitops_dr(both, "secrets", "init", "--recipient", opener, "--quiet", *site)
    gitops_dr(both, "export", "--volumes", "--quiet", *site)
    target = ("--target", "primary", *REPO)
    deed = ("failover", "--fence", "--replace-claims", "--yes", *target)
    timed("back again", lambda: gitops_dr(both, *deed))
    _show(primary, orders, both, target, "the way back")


def _commit(name: str, target: str, password: str, message: str) -> None:
    """Write a target with a password of its own, and commit all."""
    write(f"targets/{name}/target.yaml", target.encode())
    place = "/".join(PASSWORD)
    sealed = seal_password(REPOSITORY, password)
    write(f"targets/{name}/secrets/{place}.yaml", sealed, message)


def _show(site: Lab, orders: str, kubeconfig: str, target: tuple[str, ...], after: str) -> None:
    """Show what a site has that has taken over; it must be what Git says of it."""
    show_ledger(site.name, orders)
    show_password(reach(site))
    if gitops_dr(kubeconfig, "drift", "--quiet", *target):
        raise SystemExit(f"the difference is not empty after {after}")


def _uid(lab: Lab) -> str:
    return identify(connect(lab.kubeconfig, lab.name)).uid
