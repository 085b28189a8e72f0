"""Names of images, as container runtimes read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.registry.names import ImageName, read_name

DIGEST = "sha256:" + "a" * 64
HUB = "https://registry-1.docker.io/v2"

NAMES = {
    "nginx": f"{HUB}/library/nginx/manifests/latest",
    "nginx:1.27": f"{HUB}/library/nginx/manifests/1.27",
    "bitnami/redis": f"{HUB}/bitnami/redis/manifests/latest",
    "docker.io/nginx": f"{HUB}/library/nginx/manifests/latest",
    "ghcr.io/a/b/c:v1": "https://ghcr.io/v2/a/b/c/manifests/v1",
    f"ghcr.io/a/b:v1@{DIGEST}": f"https://ghcr.io/v2/a/b/manifests/{DIGEST}",
    "registry.example.com:5000/shop": "https://registry.example.com:5000/v2/shop/manifests/latest",
    "localhost:5000/shop:1": "http://localhost:5000/v2/shop/manifests/1",
    "127.0.0.1:5000/shop:1": "http://127.0.0.1:5000/v2/shop/manifests/1",
    "[::1]:5000/shop": "http://[::1]:5000/v2/shop/manifests/latest",
    "localhost/shop": "http://localhost/v2/shop/manifests/latest",
}


@pytest.mark.parametrize("name", NAMES)
def test_where_its_manifest_is(name: str) -> None:
    found = read_name(name)
    assert found is not None
    assert found.url == NAMES[name]


@pytest.mark.parametrize(
    "name",
    [
        "",
        ":1",
        "Nginx",
        "nginx:",
        "nginx@sha256:short",
        "nginx@",
        "a b",
        "user:password@evil.example.com/x",
        "evil.example.com#@good.example.com/x",
        "evil.example.com?x=/y",
        "example.com/../../etc",
        "example.com/a//b",
        "example.com/a:b:c",
        "example.com:99999999/a",
        "exam\nple.com/a",
        "https://example.com/a",
        "localhost.example.com\\@x/a",
        "x" * 600,
    ],
)
def test_what_is_none_is_asked_of_nobody(name: str) -> None:
    assert read_name(name) is None


def test_a_host_that_only_begins_like_this_machine_is_not_spoken_to_in_the_open() -> None:
    for host in ("127.0.0.1.example.com", "localhost.example.com", "10.0.0.1:5000"):
        found = read_name(f"{host}/a")
        assert found is not None
        assert found.url.startswith("https://")


@given(st.text(alphabet="aZ0.-_/:@[]# %\n?", max_size=40))
def test_whatever_it_is_the_url_is_that_of_the_registry(text: str) -> None:
    found = read_name(text)
    assert found is None or isinstance(found, ImageName)
    if found is not None:
        assert found.url.partition("//")[2].startswith(
            (f"{found.registry}/v2/", "registry-1.docker.io/v2/")
        )
        assert not set(found.url) & set(" \n#?")
