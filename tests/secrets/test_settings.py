"""``secrets:`` of gitops-dr.yaml: what is meant by it, and what a person who mistypes is told."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyrage
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.config import FILE, cluster_settings
from gitops_dr.errors import ManifestError, UsageError
from gitops_dr.manifests.selector import ObjectSelector, equal_labels, parse_labels
from gitops_dr.secrets.policy import Policy, SecretPolicy, SecretSettings

HEAD = "format: 1\nclusters: {shop: , bank: }\n"
SEE = "docs/configuration.md"
SHOP = "age1g03eg69lszvdpewypu7sk7s9km2zuuwv6g79eed9mhcdu3kgkuvsqne75j"
BANK = "age19gwv953akh4hcgvs4kqasl2z6vw44zs5svnc6meczm0aed4z83tqaesu9m"
ESCROW = "age10ek8t6fww2d95e240cue7dhvl3pl8dyx5yy8cddxrqhhj7ffpy2qrc5aav"
OPS = "age1rf9agxmrypzdx799lz2t993430gx7nge33cheysx9ym365ygxs2smntf2w"
MISSPELT = SHOP[:-1] + "k"
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB a@b"
WHOLE = f"""\
secrets:
  recipients:
  - {{name: cluster, age: {SHOP}, cluster: shop}}
  - {{name: cluster, age: {BANK}, cluster: bank}}
  - {{name: escrow, age: {ESCROW}}}
  - {{name: ops, age: {OPS}, required: false}}
  policies:
  - namespace: shop
    name: db-*
    labels: tier in (db,cache)
    policy: external
    because: " The vault has it. "
  - type: helm.sh/release.v1
    labels: {{status: superseded}}
    policy: omit
    because: Nobody rolls back so far.
  - cluster: bank
    policy: per-cluster
"""


def settle(text: str, cluster: str = "shop") -> SecretSettings:
    found = cluster_settings((HEAD + text).encode(), cluster=cluster, context=None, environment={})
    return found.secrets


def refusal(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        settle(text)
    assert "\n" not in caught.value.message
    assert caught.value.hint
    return caught.value


def test_everything_is_read() -> None:
    assert settle(WHOLE) == SecretSettings(
        policies=(
            SecretPolicy(
                "secrets.policies[0]",
                Policy.EXTERNAL,
                "The vault has it.",
                ObjectSelector(
                    namespace="shop", name="db-*", labels=parse_labels("tier in (db,cache)")
                ),
            ),
            SecretPolicy(
                "secrets.policies[1]",
                Policy.OMIT,
                "Nobody rolls back so far.",
                ObjectSelector(labels=equal_labels({"status": "superseded"})),
                "helm.sh/release.v1",
            ),
        ),
        recipients=(SHOP, ESCROW, OPS),
        required_recipients={"cluster": SHOP, "escrow": ESCROW},
    )


def test_what_is_about_one_cluster_is_about_no_other() -> None:
    bank = settle(WHOLE, "bank")
    assert bank.policies[-1] == SecretPolicy("secrets.policies[2]", Policy.PER_CLUSTER)
    assert bank.recipients == (BANK, ESCROW, OPS)
    assert bank.required_recipients == {"cluster": BANK, "escrow": ESCROW}


def test_one_key_under_two_names_is_one_recipient() -> None:
    found = settle(
        f"secrets: {{recipients: [{{name: a, age: {SHOP}}}, {{name: b, age: {SHOP}}}]}}\n"
    )
    assert found.recipients == (SHOP,)
    assert found.required_recipients == {"a": SHOP, "b": SHOP}


@pytest.mark.parametrize("text", ["", "secrets:\n", "secrets: {}\n", "secrets: {policies: }\n"])
def test_without_the_section_nothing_is_wished(text: str) -> None:
    assert settle(text) == SecretSettings()


def test_without_a_file_nothing_is_wished() -> None:
    found = cluster_settings(None, cluster="shop", context=None, environment={})
    assert found.secrets == SecretSettings()


@pytest.mark.parametrize(
    ("section", "message", "hint"),
    [
        ("[]", "secrets: Input should be a valid dictionary", SEE),
        ("{polices: []}", "secrets.polices: unknown key", "'policies'?"),
        ("{policies: {}}", "secrets.policies: Input should be a valid list", SEE),
        ("{recipients: {}}", "secrets.recipients: Input should be a valid list", SEE),
        (f"{{recipients: [{SHOP}]}}", "secrets.recipients[0]: ", SEE),
    ],
)
def test_a_section_that_does_not_fit_is_refused_with_the_place(section, message, hint) -> None:
    error = refusal(f"secrets: {section}\n")
    assert error.message.startswith(f"{FILE}: {message}")
    assert hint in error.hint


@pytest.mark.parametrize(
    ("policy", "message", "hint"),
    [
        ("x", ": ", SEE),
        ("{}", ".policy: Field required", SEE),
        ("{policy: }", ".policy: ", SEE),
        ("{policy: true}", ".policy: Input should be a valid string", SEE),
        ("{policy: encrpyt}", ".policy: 'encrpyt' is none of encrypt, external,", "'encrypt'?"),
        ("{policy: Encrypt}", ".policy: 'Encrypt' is none of", "'encrypt'?"),
        ("{policy: omit}", ": omit without because", "say why"),
        ("{policy: external}", ": external without because", "say why"),
        ("{policy: omit, because: ' '}", ": omit without because", "say why"),
        ("{policy: omit, because: 5}", ".because: Input should be a valid string", SEE),
        ("{policy: encrypt, kind: Secret}", ".kind: unknown key", SEE),
        ("{policy: encrypt, typ: Opaque}", ".typ: unknown key", "'type'?"),
        ("{policy: encrypt, type: ''}", ".type: ", SEE),
        ("{policy: encrypt, namespace: ''}", ".namespace: ", SEE),
        ("{policy: encrypt, name: ''}", ".name: ", SEE),
        ("{policy: encrypt, labels: a=b=c}", ".labels: 'a=b=c' is no label", SEE),
        ("{policy: encrypt, labels: 5}", ".labels: neither", SEE),
        ("{policy: encrypt, cluster: shpo}", ".cluster: no cluster 'shpo'", "'shop'"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused_with_the_place(policy, message, hint) -> None:
    error = refusal(f"secrets:\n  policies:\n  - policy: encrypt\n  - {policy}\n")
    assert error.message.startswith(f"{FILE}: secrets.policies[1]{message}")
    assert hint in error.hint


@pytest.mark.parametrize(
    ("recipient", "message", "hint"),
    [
        ("{name: a}", ".age: Field required", SEE),
        ("{age: x}", ".name: Field required", SEE),
        ("{name: '', age: x}", ".name: ", SEE),
        ("{name: a, age: ''}", ".age: ", SEE),
        ("{name: a, age: 5}", ".age: Input should be a valid string", SEE),
        ("{name: a, age: age1abc}", ".age: age1abc", "begins with age1"),
        (f"{{name: a, age: {MISSPELT}}}", ".age: age1", "begins with age1"),
        ("{name: a, age: hello}", ".age: 'hello' is no age recipient", "begins with age1"),
        (f"{{name: a, key: {SHOP}}}", ".key: unknown key", SEE),
        (f"{{name: a, age: {SHOP}, requird: false}}", ".requird: unknown key", "'required'?"),
        (f"{{name: a, age: {SHOP}, required: never}}", ".required: Input should be a valid b", SEE),
        (f"{{name: a, age: {SHOP}, cluster: x}}", ".cluster: no cluster 'x'", SEE),
        (f"{{name: escrow, age: {SHOP}}}", ".name: a second 'escrow' for one cluster", SEE),
        (f"{{name: escrow, age: {SHOP}, cluster: shop}}", ".name: a second 'escrow'", SEE),
    ],
)
def test_a_recipient_that_does_not_fit_is_refused_with_the_place(recipient, message, hint) -> None:
    error = refusal(
        f"secrets:\n  recipients:\n  - {{name: escrow, age: {ESCROW}}}\n  - {recipient}\n"
    )
    assert error.message.startswith(f"{FILE}: secrets.recipients[1]{message}")
    assert hint in error.hint


@pytest.mark.parametrize("change", [str, str.lower, lambda text: f"  {text} "])
def test_an_identity_in_a_recipients_place_is_refused_and_not_repeated(change) -> None:
    identity = str(pyrage.x25519.Identity.generate())
    text = json.dumps(change(identity))
    error = refusal(f"secrets: {{recipients: [{{name: a, age: {text}}}]}}\n")
    assert error.message == (
        f"{FILE}: secrets.recipients[0].age: a private key where a public one belongs"
    )
    secret = identity.removeprefix("AGE-SECRET-KEY-1")[:12].lower()
    seen = repr([error, error.hint, error.__cause__, error.__context__]).lower()
    assert secret not in seen


def test_a_public_key_of_ssh_is_a_recipient() -> None:
    assert settle(f"secrets: {{recipients: [{{name: a, age: {SSH}}}]}}\n").recipients == (SSH,)


def test_what_the_documentation_shows_can_be_read() -> None:
    docs = Path(__file__).parents[2] / "docs"
    for name in ("configuration.md", "secrets-policies.md"):
        text = (docs / name).read_text(encoding="utf-8")
        blocks = re.findall(r"^```yaml\n(secrets:.*?)^```", text, re.DOTALL | re.MULTILINE)
        assert blocks, name
        for block in blocks:
            assert settle(block).policies


WORDS = ["policies", "recipients", "policy", "labels", "because", "name", "age", "cluster", "type"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["", "omit", "encrypt", "shop", "a\nb", "a=b", SHOP]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=4))
def test_any_section_is_settings_or_a_plain_error(section: Any) -> None:
    with suppress(UsageError, ManifestError):
        settle(f"secrets: {json.dumps(section)}\n")
