"""``volumes:`` of gitops-dr.yaml: what is meant by it, and what a person who mistypes is told."""

import json
import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.config import FILE, cluster_settings
from gitops_dr.errors import ManifestError, UsageError
from gitops_dr.manifests.selector import ObjectSelector, equal_labels, parse_labels
from gitops_dr.model import Ref
from gitops_dr.volumes.policy import (
    Hook,
    Keep,
    OnError,
    VolumePolicy,
    VolumeSettings,
    WithoutData,
    policy_for,
)

HEAD = "format: 1\nclusters: {shop: , bank: }\n"
SEE = "docs/configuration.md"
WHOLE = """\
volumes:
  snapshotClasses: {ebs.csi.aws.com: fast, nfs.csi.k8s.io: slow}
  survives: {rbd.csi.ceph.com: zone}
  keep: {last: 3, hourly: 24, daily: 7, weekly: 4, monthly: 12}
  maxAge: 1d2h
  policies:
  - namespace: shop
    name: cache-*
    labels: tier in (cache,scratch)
    capture: false
    restore: empty
  - labels: {app: db}
    snapshotClass: fast
    restore: required
    pre: {command: [fsfreeze, --freeze, /data], container: db, timeout: 1m30s, onError: continue}
    post: {command: thaw}
  - cluster: bank
    restore: skip
"""


def settle(text: str, cluster: str = "shop") -> VolumeSettings:
    found = cluster_settings((HEAD + text).encode(), cluster=cluster, context=None, environment={})
    return found.volumes


def refusal(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        settle(text)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def test_everything_is_read() -> None:
    found = settle(WHOLE)
    assert found.snapshot_classes == {"ebs.csi.aws.com": "fast", "nfs.csi.k8s.io": "slow"}
    assert found.survives == {"rbd.csi.ceph.com": "zone"}
    assert found.keep == Keep(3, 24, 7, 4, 12)
    assert found.max_age == timedelta(hours=26)
    assert found.policies == (
        VolumePolicy(
            selector=ObjectSelector(
                namespace="shop", name="cache-*", labels=parse_labels("tier in (cache,scratch)")
            ),
            capture=False,
            without_data=WithoutData.EMPTY,
        ),
        VolumePolicy(
            selector=ObjectSelector(labels=equal_labels({"app": "db"})),
            snapshot_class="fast",
            without_data=WithoutData.REQUIRED,
            pre=Hook(("fsfreeze", "--freeze", "/data"), "db", 90.0, OnError.CONTINUE),
            post=Hook(("thaw",)),
        ),
    )


def test_a_policy_of_one_cluster_is_none_of_another() -> None:
    assert len(settle(WHOLE).policies) == 2
    assert settle(WHOLE, "bank").policies[-1] == VolumePolicy(without_data=WithoutData.SKIP)


def test_the_first_policy_that_matches_counts() -> None:
    policies = settle(WHOLE).policies

    def claim(name: str, **labels: str) -> VolumePolicy:
        return policy_for(Ref("", "PersistentVolumeClaim", "shop", name), labels, policies)

    assert claim("cache-1", tier="cache", app="db") is policies[0]
    assert claim("data", tier="cache", app="db") is policies[1]
    assert claim("data") == VolumePolicy()


@pytest.mark.parametrize("text", ["", "volumes:\n", "volumes: {}\n", "volumes: {keep: }\n"])
def test_without_the_section_nothing_is_wished(text) -> None:
    assert settle(text) == VolumeSettings()


def test_without_a_file_nothing_is_wished() -> None:
    found = cluster_settings(None, cluster="shop", context=None, environment={})
    assert found.volumes == VolumeSettings()


@pytest.mark.parametrize(
    ("section", "message", "hint"),
    [
        ("[]", "volumes: Input should be a valid dictionary", SEE),
        ("{polices: []}", "volumes.polices: unknown key", "'policies'?"),
        ("{snapshotClass: {}}", "volumes.snapshotClass: unknown key", "'snapshotClasses'?"),
        ("{snapshotClasses: {d: 5}}", "volumes.snapshotClasses.d: ", SEE),
        ("{snapshotClasses: {d: ''}}", "volumes.snapshotClasses.d: names no", SEE),
        ("{survives: {d: regoin}}", "volumes.survives.d: 'regoin' is none of volume,", "'region'?"),
        ("{survives: {d: }}", "volumes.survives.d: ", SEE),
        ("{keep: {lst: 3}}", "volumes.keep.lst: unknown key", "'last'?"),
        ("{keep: {last: -1}}", "volumes.keep.last: Input should be greater than or equal", SEE),
        ("{keep: {last: many}}", "volumes.keep.last: Input should be a valid integer", SEE),
        ("{keep: {last: true}}", "volumes.keep.last: Input should be a valid integer", SEE),
        ("{keep: {}}", "volumes.keep: keeps nothing", "a number"),
        ("{keep: {last: 0}}", "volumes.keep: keeps nothing", "a number"),
        ("{maxAge: 5}", "volumes.maxAge: Input should be a valid string", SEE),
        ("{maxAge: 5x}", "volumes.maxAge: '5x' is no age such as 26h", SEE),
        ("{maxAge: ''}", "volumes.maxAge: '' is no age", SEE),
        ("{maxAge: 0h}", "volumes.maxAge: '0h' is not more than nothing", SEE),
        ("{maxAge: 99999d}", "volumes.maxAge: '99999d' is not more than nothing and at most", SEE),
        ("{policies: {}}", "volumes.policies: Input should be a valid list", SEE),
    ],
)
def test_a_section_that_does_not_fit_is_refused_with_the_place(section, message, hint) -> None:
    error = refusal(f"volumes: {section}\n")
    assert error.message.startswith(f"{FILE}: {message}")
    assert hint in error.hint


@pytest.mark.parametrize(
    ("policy", "message", "hint"),
    [
        ("x", ": ", SEE),
        ("{}", ": says nothing of the claims", "capture, snapshotClass, restore, pre, post"),
        ("{namespace: shop}", ": says nothing of the claims", "capture"),
        ("{capture: }", ": says nothing of the claims", "capture"),
        ("{capture: no way}", ".capture: Input should be a valid boolean", SEE),
        ("{captur: false}", ".captur: unknown key", "'capture'?"),
        ("{kind: Pod, capture: false}", ".kind: unknown key", SEE),
        ("{namespace: '', capture: false}", ".namespace: ", SEE),
        ("{name: '', capture: false}", ".name: ", SEE),
        ("{labels: a=b=c, capture: false}", ".labels: 'a=b=c' is no label", SEE),
        ("{labels: 5, capture: false}", ".labels: neither", SEE),
        ("{cluster: shpo, capture: false}", ".cluster: no cluster 'shpo'", "'shop'"),
        ("{snapshotClass: ''}", ".snapshotClass: ", SEE),
        ("{capture: false, snapshotClass: a}", ".snapshotClass: is of no use", SEE),
        ("{capture: false, pre: {command: a}}", ".pre: is of no use", SEE),
        ("{restore: requierd}", ".restore: 'requierd' is none of required, empty", "'required'?"),
        ("{pre: {}}", ".pre.command: Field required", SEE),
        ("{pre: freeze}", ".pre: ", SEE),
        ("{pre: {command: }}", ".pre.command: is neither a list of words nor one word", SEE),
        ("{pre: {command: []}}", ".pre.command: is empty", SEE),
        ("{post: {command: fsfreeze -u}}", ".post.command: is more than one word", SEE),
        ("{pre: {comand: a}}", ".pre.comand: unknown key", "'command'?"),
        ("{post: {command: a, onerror: fail}}", ".post.onerror: unknown key", "'onError'?"),
        ("{pre: {command: a, timeout: 30}}", ".pre.timeout: Input should be a valid string", SEE),
        ("{pre: {command: a, timeout: '30'}}", ".pre.timeout: '30' is no duration", SEE),
        ("{pre: {command: a, onError: Fail}}", ".pre.onError: 'Fail' is none of fail,", "'fail'?"),
        ("{pre: {command: a, container: ''}}", ".pre.container: ", SEE),
    ],
)
def test_a_policy_that_does_not_fit_is_refused_with_the_place(policy, message, hint) -> None:
    error = refusal(f"volumes:\n  policies:\n  - capture: false\n  - {policy}\n")
    assert error.message.startswith(f"{FILE}: volumes.policies[1]{message}")
    assert hint in error.hint


def test_what_the_documentation_shows_can_be_read() -> None:
    text = Path(__file__).parents[2].joinpath("docs/configuration.md").read_text()
    blocks = re.findall(r"^```yaml\n(volumes:.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        assert settle(block).policies


WORDS = [
    "policies",
    "keep",
    "maxAge",
    "last",
    "pre",
    "command",
    "timeout",
    "capture",
    "survives",
    "labels",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "30s", "fail", "a\nb", "a"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=4))
def test_any_section_is_settings_or_a_plain_error(section: Any) -> None:
    text = HEAD + f"volumes: {json.dumps(section)}\n"
    with suppress(UsageError, ManifestError):
        settle(text.removeprefix(HEAD))
