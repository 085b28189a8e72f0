"""The kubeconfig that the CronJobs mount: by it a Pod is who its service account is."""

from __future__ import annotations

from fake_api import reply

from gitops_dr.cluster.connect import connect
from gitops_dr.manifests.parse import parse_documents
from gitops_dr.resources import shipped

MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount"


def test_a_pod_uses_its_service_account(api, tmp_path, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    file = shipped("templates/deploy/namespace.yaml")
    _, config_map = parse_documents(file.read_bytes(), file.name)
    (tmp_path / "token").write_text("a-token\n")
    (tmp_path / "ca.crt").write_text("")
    text = config_map["data"]["config"].replace(MOUNTED, str(tmp_path))
    config = tmp_path / "config"
    config.write_text(text.replace("https://kubernetes.default.svc", api.url))
    api.on("/version", reply({"gitVersion": "v1.37.2"}))
    connect(config, "in-cluster").json("GET", "/version")
    (asked,) = api.asked("/version")
    assert asked.headers["Authorization"] == "Bearer a-token"
