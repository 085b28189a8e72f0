"""Comparisons that the tests of the reports write out: an ordinary one, and a hostile one."""

from dataclasses import replace

from gitops_dr.drift.ignore import RuleUse
from gitops_dr.model import (
    ANY,
    Action,
    Difference,
    FieldChange,
    FieldManager,
    Gap,
    Identity,
    Omission,
    Presence,
    Ref,
)
from gitops_dr.results.drift import Against, Drifted, Merge

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BASE = "fedcba9876543210fedcba9876543210fedcba98"
LIVE = Identity("7ce79e00", "v1.37.2", "390")

EDIT = FieldManager("kubectl-edit", "Update", "", "2026-11-24T10:00:00Z")
SCALE = FieldManager("kubectl", "Update", "scale", "2026-11-24T10:05:00Z")
HELM = FieldManager("helm", "Apply", "", "2026-11-23T09:00:00Z")
CONTROLLER = FieldManager("kube-controller-manager", "Update", trusted=True)

WEB = Ref("apps", "Deployment", "shop", "web")
API = Ref("apps", "Deployment", "books", "api")
CONFIG = Ref("", "ConfigMap", "shop", "a")
OLD = Ref("", "ConfigMap", "shop", "old")
DATABASE = Ref("", "Secret", "books", "db")
ROLE = Ref("rbac.authorization.k8s.io", "ClusterRole", "", "operators")
SHOPS = Ref("example.com", "Shop", "", ANY)

MODIFIED = Difference(
    WEB,
    Presence.MODIFIED,
    "namespaces/shop/deployments.apps/web.yaml",
    (
        FieldChange("spec.replicas", "replace", 2, 3, (SCALE,)),
        FieldChange("metadata.labels.team", "add", new="a", managers=(EDIT, HELM)),
        FieldChange("spec.paused", "remove", old=True),
        FieldChange("spec.template.x", "add", new=1, managers=(CONTROLLER,)),
        FieldChange("spec.template.y", "add", new=1, managers=(CONTROLLER,)),
    ),
)
MISSING = Difference(CONFIG, Presence.MISSING, "namespaces/shop/configmaps/a.yaml")
UNMANAGED = Difference(
    OLD, Presence.UNMANAGED, "namespaces/shop/configmaps/old.yaml", managers=(EDIT,)
)
UNKNOWN = Difference(SHOPS, Presence.UNKNOWN, "s.yaml", reason="403 Forbidden")
SECRET = Difference(
    DATABASE,
    Presence.MODIFIED,
    "namespaces/books/secrets/db.yaml",
    (FieldChange("data.password", "replace", "aHVudGVyMg==", "aHVudGVyMw==", (EDIT,)),),
)
LOCAL = Difference(
    API,
    Presence.MODIFIED,
    "namespaces/books/deployments.apps/api.yaml",
    (FieldChange("spec.replicas", "replace", 1, 2, (SCALE,)),),
    compared_locally="the webhook policy.example.com allows no dry run",
)
WIDE = Difference(
    ROLE,
    Presence.MODIFIED,
    "cluster/clusterroles.rbac.authorization.k8s.io/operators.yaml",
    (FieldChange("rules", "replace", [{"verbs": ["get"]}], [{"verbs": ["*"]}], (EDIT,)),),
)
GAP = Gap(SHOPS, "403 Forbidden")

CLEAN = Drifted("prod", COMMIT, LIVE, (), 12, ())
SMALL = replace(CLEAN, differences=(MISSING, MODIFIED, UNMANAGED), equal=1)
FULL = Drifted(
    cluster="prod",
    commit=COMMIT,
    live=LIVE,
    differences=(MISSING, UNMANAGED, SECRET, LOCAL, MODIFIED, UNKNOWN, WIDE),
    equal=100,
    gaps=(GAP,),
    omissions=(
        Omission(Ref("", "Pod", "shop", "web-1"), "generated", "Its owner makes it."),
        Omission(Ref("", "Pod", "shop", "web-2"), "generated", "Its owner makes it."),
    ),
    existing=107,
    ignored=(
        RuleUse("ignore[0] Deployment.apps/*", "The scaler decides.", 4),
        RuleUse("ignore[1] ConfigMap/shpo/*", "Old.", 0, "misspelt: shpo", "did you mean shop?"),
    ),
)
MERGE = Merge(WEB, Action.CONFIGURE, (FieldChange("spec.replicas", "replace", 3, 5),))
SKIPPED = Merge(ROLE, Action.SKIP, reason="its rules are aggregated")
MERGING = replace(FULL, against=Against(BASE, (Merge(CONFIG, Action.CREATE), MERGE, SKIPPED)))

HOSTILE = (
    "a\x1b[2J\r\nGaps:\u202e\u2066x\x00<script>document.title='owned'</script>"
    "<img src=x onerror=\"document.title='owned'\">]]><!--</style></script></title></details>"
    "\n```\n~~~\n# heading\n| cell | `code` **bold** @everybody #1 GH-1 https://example.org"
    '\n::error::x%0A\ud800\ufffe\uffff" onmouseover="document.title=1" \'{{ 7*7 }}{% raw %}'
)
"""What a name or a value does in the worst case, in every format."""


def hostile(text: str = HOSTILE) -> Drifted:
    """A comparison in which everything that may come from a cluster or from Git is ``text``."""
    manager = FieldManager(text, text, text, text)
    ref = Ref(text, text, text, text)
    changes = (
        FieldChange(text, "replace", text, f"{text}x", (manager,)),
        FieldChange(text, "add", None, {text: [text, {text: None}]}, (manager, CONTROLLER)),
        FieldChange(text, "remove", [text]),
        FieldChange(text, "add", None, text, (replace(manager, trusted=True),)),
    )
    return Drifted(
        cluster=text,
        commit=text,
        live=Identity(text, text, text),
        differences=(
            Difference(ref, Presence.MISSING, text),
            Difference(ref, Presence.MODIFIED, text, changes, compared_locally=text),
            Difference(ref, Presence.UNMANAGED, text, managers=(manager,)),
            Difference(ref, Presence.UNKNOWN, text, reason=text),
        ),
        equal=1,
        gaps=(Gap(ref, text),),
        omissions=(Omission(ref, text, text),),
        existing=4,
        ignored=(RuleUse(text, text, 1, text, text),),
        against=Against(
            text, (Merge(ref, Action.CONFIGURE, changes), Merge(ref, Action.SKIP, reason=text))
        ),
    )


def many(number: int) -> Drifted:
    """As many objects that differ, in 50 namespaces and of three kinds."""
    kinds = (("", "ConfigMap"), ("apps", "Deployment"), ("apps", "StatefulSet"))
    change = FieldChange("spec.replicas", "replace", 1, 2, (SCALE,))
    differences = tuple(
        replace(MODIFIED, ref=Ref(*kinds[n % 3], f"ns-{n % 50}", f"object-{n}"), changes=(change,))
        for n in range(number)
    )
    return replace(CLEAN, differences=differences, existing=number + 12)
