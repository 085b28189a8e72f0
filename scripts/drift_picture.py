"""Draws ``docs/pictures/drift-report.png``: the HTML report of a shop that many hands were at.

Run it as ``.venv/bin/python scripts/drift_picture.py`` after a change of the report. It needs
chromium; ``--html FILE`` only writes the page, to be looked at in any browser.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gitops_dr.drift.ignore import RuleUse
from gitops_dr.model import (
    ANY,
    Difference,
    FieldChange,
    FieldManager,
    Identity,
    Omission,
    Presence,
    Ref,
)
from gitops_dr.reports.drift.html import as_html
from gitops_dr.results.drift import Drifted

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "drift-report.png"
SIZE = "1180,1166"

EDIT = FieldManager("kubectl-edit", "Update", "", "2026-11-24T02:47:12Z")
SCALE = FieldManager("kubectl", "Update", "scale", "2026-11-24T02:51:40Z")
HELM = FieldManager("helm", "Update", "", "2026-11-23T16:05:09Z")
CREATE = FieldManager("kubectl-create", "Update", "", "2026-11-24T02:55:31Z")
CONTROLLER = FieldManager(
    "kube-controller-manager", "Update", "", "2026-11-24T02:52:00Z", trusted=True
)

NGINX = """server {
  listen 8080;
  location /books {
    proxy_pass http://api.catalog:80;
    proxy_read_timeout 30s;
  }
}
"""


def sample() -> Drifted:
    """A bookstore at three in the morning."""
    settings = "namespaces/catalog/configmaps/search-synonyms.yaml"
    differences = (
        Difference(Ref("", "ConfigMap", "catalog", "search-synonyms"), Presence.MISSING, settings),
        _modified(
            Ref("", "ConfigMap", "storefront", "web-nginx"),
            FieldChange(
                'data["default.conf"]',
                "replace",
                NGINX,
                NGINX.replace("timeout 30s", "timeout 300s"),
                (EDIT,),
            ),
        ),
        _modified(
            Ref("", "Secret", "orders", "ledger-db"),
            FieldChange("data.password", "replace", "b2xkLWxlZGdlcg==", "bmV3ZXI=", (EDIT,)),
        ),
        Difference(
            Ref("", "Service", "catalog", "api-debug"),
            Presence.UNMANAGED,
            "namespaces/catalog/services/api-debug.yaml",
            managers=(CREATE,),
        ),
        _modified(
            Ref("apps", "Deployment", "catalog", "api"),
            FieldChange("spec.replicas", "replace", 3, 12, (SCALE,)),
            FieldChange(
                "spec.template.spec.containers[name=api].env[name=CACHE_TTL]",
                "add",
                None,
                {"name": "CACHE_TTL", "value": "5s"},
                (EDIT,),
            ),
            FieldChange("spec.template.spec.priorityClassName", "remove", "shop-front"),
            FieldChange('metadata.annotations["note"]', "add", None, "kept", (CONTROLLER,)),
        ),
        _modified(
            Ref("apps", "Deployment", "orders", "worker"),
            FieldChange(
                "spec.template.spec.containers[name=worker].image",
                "replace",
                "registry.example.com/bookstore/orders:4.2.1",
                "registry.example.com/bookstore/orders:4.3.0-rc1",
                (HELM,),
            ),
        ),
        _modified(
            Ref("rbac.authorization.k8s.io", "ClusterRole", "", "bookstore-operators"),
            FieldChange(
                "rules",
                "replace",
                [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}],
                [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"]}],
                (EDIT,),
            ),
        ),
    )
    return Drifted(
        cluster="bookstore",
        commit="4f1c0a9d27be55a1c3d08e6b7a9f42d1508c6e3b",
        live=Identity("7ce79e00-51c2-4a3a-9a54-3c51d1a0f1a4", "v1.37.2", "48211"),
        differences=differences,
        equal=231,
        gaps=(),
        omissions=(
            Omission(Ref("", "Event", "", ANY), "events", "They tell what happened."),
            Omission(Ref("", "Pod", "", ANY), "generated-by-owner", "Its owner makes it."),
        ),
        existing=244,
        ignored=(
            RuleUse("ignore[0] HorizontalPodAutoscaler/*", "The scaler decides.", 4),
            RuleUse(
                "ignore[1] Deployment.apps/storfront/*",
                "The canary writes it.",
                0,
                "misspelt: no namespace storfront",
                "did you mean storefront?",
            ),
        ),
    )


def _modified(ref: Ref, *changes: FieldChange) -> Difference:
    return Difference(ref, Presence.MODIFIED, "", changes)


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page only")
    given = parser.parse_args()
    page = as_html(sample())
    if given.html:
        given.html.write_text(page, encoding="utf-8")
        return 0
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("chromium: not found; it draws the picture", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "drift.html"
        source.write_text(page, encoding="utf-8")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={SIZE}"]
        options += [f"--user-data-dir={folder}/profile", f"--screenshot={PICTURE}"]
        subprocess.run([chromium, *options, source.as_uri()], check=True, capture_output=True)
    print(f"{PICTURE.name}: {PICTURE.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
