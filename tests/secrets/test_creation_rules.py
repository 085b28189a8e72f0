"""``.sops.yaml``: the rule that ``sops`` takes is the rule that we take."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from real_sops import Key, RealSops

from gitops_dr.errors import GitOpsDRError, ManifestError, RefusedError, UsageError
from gitops_dr.secrets.creation_rules import CreationRules, read_creation_rules

A, B, C = Key(), Key(), Key()


def rules(*creation_rules: Any) -> CreationRules:
    return read_creation_rules(
        yaml.safe_dump({"creation_rules": [*creation_rules]}).encode(), ".sops.yaml"
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"stores: {}\n",
        b"creation_rules: []\n",
        b"creation_rules:\n",
        b"creation_rules: null",
    ],
)
def test_no_rules(text: bytes) -> None:
    found = read_creation_rules(text, ".sops.yaml")
    assert not found
    assert found.recipients("a.yaml") == ()
    assert found.other_keys("a.yaml") == ()


def test_the_first_rule_that_fits_counts() -> None:
    found = rules(
        {"path_regex": "^clusters/prod/", "age": A.recipient},
        {"path_regex": r"\.yaml$", "age": B.recipient},
        {"age": C.recipient},
    )
    assert found
    assert found.recipients("clusters/prod/a.yaml") == (A.recipient,)
    assert found.recipients("x/clusters/prod/a.yaml") == (B.recipient,)
    assert found.recipients("x/clusters/prod/a.json") == (C.recipient,)


def test_no_rule_fits() -> None:
    assert rules({"path_regex": "^a", "age": A.recipient}).recipients("b") == ()


@pytest.mark.parametrize(
    "age",
    [
        f"{A.recipient},{B.recipient}",
        f" {A.recipient} , {B.recipient},\n",
        [A.recipient, B.recipient],
        [f"{A.recipient},{B.recipient}"],
        [A.recipient, B.recipient, A.recipient],
    ],
)
def test_recipients_are_a_text_or_a_list(age: Any) -> None:
    assert rules({"age": age}).recipients("x") == (A.recipient, B.recipient)
    assert rules({"key_groups": [{"age": age}]}).recipients("x") == (A.recipient, B.recipient)


def test_a_key_group_that_merges_others() -> None:
    group = {
        "merge": [{"age": [B.recipient], "pgp": ["f"]}, {"merge": [{"age": [C.recipient]}]}],
        "age": [A.recipient],
    }
    found = rules({"key_groups": [group]})
    assert set(found.recipients("x")) == {A.recipient, B.recipient, C.recipient}
    assert found.other_keys("x") == ("pgp",)


def test_anchors() -> None:
    text = f"team: &team\n- {A.recipient}\ncreation_rules:\n- age: *team\n".encode()
    assert read_creation_rules(text, "x").recipients("y") == (A.recipient,)


def test_other_keys_are_named() -> None:
    found = rules({"age": A.recipient, "pgp": "F", "kms": "arn", "azure_keyvault": ""})
    assert found.recipients("x") == (A.recipient,)
    assert found.other_keys("x") == ("kms", "pgp")


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ({"pgp": "F"}, "names no age recipient but pgp"),
        ({}, "names no age recipient"),
        ({"key_groups": [{"age": [A.recipient]}, {"pgp": ["F"]}]}, "2 key groups"),
    ],
)
def test_what_only_sops_could_follow_is_refused(rule: Any, problem: str) -> None:
    found = rules({"path_regex": "^never", "age": A.recipient}, rule)
    assert found.recipients("never/a") == (A.recipient,)
    with pytest.raises(RefusedError, match=problem) as caught:
        found.recipients("a")
    assert caught.value.message.startswith(".sops.yaml: creation_rules[1]: ")
    assert caught.value.hint


def test_what_is_no_recipient_is_refused_when_its_rule_is_used() -> None:
    found = rules({"path_regex": "^a", "age": "age1nonsense"}, {"age": B.recipient})
    assert found.recipients("b") == (B.recipient,)
    with pytest.raises(UsageError, match=r"\.sops\.yaml: creation_rules\[0\]: age1nonsense"):
        found.recipients("a")


def test_a_private_key_in_a_rule_is_not_quoted() -> None:
    with pytest.raises(UsageError) as caught:
        rules({"age": A.text}).recipients("a")
    assert A.text not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"[]", "not a mapping"),
        (b"creation_rules: {}\n", "creation_rules is no list"),
        (b"creation_rules: [a]\n", "creation_rules[0] is no mapping"),
        (b"creation_rules:\n- path_regex: 5\n", "creation_rules[0].path_regex is no string"),
        (
            b"creation_rules:\n- path_regex: '('\n",
            "creation_rules[0].path_regex: '(' is no regular",
        ),
        (b"creation_rules:\n- age: 5\n", "creation_rules[0].age is neither"),
        (b"creation_rules:\n- age: [5]\n", "creation_rules[0].age is neither"),
        (b"creation_rules:\n- key_groups: {a: b}\n", "key_groups is no list"),
        (b"creation_rules:\n- key_groups: [a]\n", "key_groups is no list"),
        (b"creation_rules:\n- key_groups: [{merge: 5}]\n", "merge is no list"),
        (b"creation_rules: [\n", ""),
        (b"a: &a\n  b: *a\n", ""),
    ],
)
def test_what_is_no_such_file_is_refused(text: bytes, problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_creation_rules(text, ".sops.yaml")
    assert caught.value.message.startswith(".sops.yaml")
    assert problem in caught.value.message


def test_groups_that_merge_without_end() -> None:
    group: dict[str, Any] = {"age": [A.recipient]}
    for _ in range(30):
        group = {"merge": [group]}
    with pytest.raises(ManifestError, match="more than 20 deep"):
        rules({"key_groups": [group]})


PATHS = [
    "clusters/a/x.yaml",
    "clusters/b/x.yaml",
    "x.yaml",
    "a/clusters/a/x.yaml",
    "targets/a/secrets/x.yaml",
]
REGEXES = [
    None,
    "",
    "^clusters/a/",
    "clusters/",
    r"x\.yaml$",
    "^x",
    "(a|b)/x",
    "^targets/.*/secrets/",
]


@pytest.mark.parametrize("path", PATHS)
def test_sops_takes_the_same_rule(tmp_path: Path, path: str) -> None:
    keys = [Key() for _ in REGEXES]
    written = [
        {"age": key.recipient, **({} if regex is None else {"path_regex": regex})}
        for key, regex in zip(keys, reversed(REGEXES), strict=True)
    ]
    (tmp_path / ".sops.yaml").write_text(yaml.safe_dump({"creation_rules": written}))
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a: b\n")
    done = RealSops(tmp_path, A).run("encrypt", path)
    assert done.returncode == 0, done.stderr
    theirs = [entry["recipient"] for entry in yaml.safe_load(done.stdout)["sops"]["age"]]
    assert list(rules(*written).recipients(path)) == theirs


THINGS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from([A.recipient, "^a", "("]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["creation_rules", "path_regex", "age", "key_groups", "merge", "pgp"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(THINGS)
def test_any_document_gives_rules_or_our_own_error(document: Any) -> None:
    for one in (
        document,
        {"creation_rules": document},
        {"creation_rules": [{"key_groups": document}]},
    ):
        try:
            read_creation_rules(yaml.safe_dump(one).encode(), "x").recipients("a/b")
        except GitOpsDRError as error:
            shown = error.message
            assert "\n" not in shown
