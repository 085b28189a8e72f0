"""Recipients are added to the files that people keep, and nothing else of them changes."""

from contextlib import suppress

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gitops_dr.errors import GitOpsDRError, ManifestError, RefusedError
from gitops_dr.secrets.creation_rules import read_creation_rules
from gitops_dr.secrets.named_recipients import with_names
from gitops_dr.secrets.sops_config import extended

PREFIX = "clusters/shop"
RULE = {
    "path_regex": "^clusters/shop/",
    "age": "age1new",
    "encrypted_regex": "^(data|stringData)$",
    "mac_only_encrypted": True,
}

PEOPLES = b"""\
# Who may read what.
creation_rules:
  # databases first
  - path_regex: ^clusters/shop/namespaces/db/   # keep
    age: age1db
  # everything else
  - path_regex: clusters/.*
    age: >-
      age1ops,
      age1boss
stores:
    yaml: {indent: 2}
"""


def rules(text: bytes) -> list:
    return yaml.safe_load(text)["creation_rules"]


def test_a_rule_goes_before_a_more_general_one_and_behind_a_narrower_one():
    made = extended(PEOPLES, PREFIX, ["age1new"])
    before = rules(PEOPLES)
    theirs = {**RULE, "age": "age1ops, age1boss, age1new"}
    assert rules(made.data) == [before[0], theirs, before[1]]
    assert made.recipients == ("age1ops", "age1boss", "age1new")
    assert made.notes == ()
    kept = [line for line in made.data.splitlines() if line in PEOPLES.splitlines()]
    assert kept == PEOPLES.splitlines(), "nothing of theirs is touched"


@pytest.mark.parametrize(
    ("age", "after"),
    [
        ("age1a", "age1a, age1new"),
        ("age1a,age1b", "age1a, age1b, age1new"),
        (["age1a"], ["age1a", "age1new"]),
        ("", "age1new"),
        ("age1new", "age1new"),
        (["age1new"], ["age1new"]),
    ],
)
@pytest.mark.parametrize("pattern", ["^clusters/shop/", r"^clusters/shop/.*\.yaml$"])
def test_a_rule_for_this_cluster_is_extended_as_it_is_written(age, after, pattern):
    other = {"path_regex": "^clusters/other/", "age": "age1other"}
    text = yaml.safe_dump({"creation_rules": [other, {"path_regex": pattern, "age": age}]})
    made = extended(text.encode(), PREFIX, ["age1new"])
    assert rules(made.data) == [other, {"path_regex": pattern, "age": after}]
    assert extended(made.data, PREFIX, ["age1new"]).data == made.data


def test_a_folded_list_of_recipients_stays_one_a_line():
    text = (
        b"creation_rules:\n- path_regex: ^clusters/shop/\n  age: >-\n    age1aaaa,\n    age1bbbb\n"
    )
    made = extended(text, PREFIX, ["age1cccc"])
    assert made.data == text.replace(b"age1bbbb\n", b"age1bbbb,\n    age1cccc\n")


@pytest.mark.parametrize("text", [b"creation_rules: []\n", b"stores: {}\n", b"creation_rules:\n"])
def test_a_file_without_rules_gets_one(text):
    assert rules(extended(text, PREFIX, ["age1new"]).data) == [RULE]


def test_a_rule_without_a_path_takes_everything_in():
    made = extended(b"creation_rules:\n- age: age1ops\n", PREFIX, ["age1new"])
    assert rules(made.data) == [{**RULE, "age": "age1ops, age1new"}, {"age": "age1ops"}]


def test_keys_of_a_general_rule_that_are_no_age_keys_are_named():
    made = extended(b"creation_rules:\n- kms: arn:aws:kms:x\n  pgp: ABC\n", PREFIX, ["age1new"])
    assert rules(made.data)[0] == RULE
    assert made.notes == (
        ".sops.yaml: creation_rules[0]: kms, pgp cannot open what is encrypted for clusters/shop",
    )


def test_only_a_person_can_say_which_group_a_recipient_belongs_to():
    text = b"creation_rules:\n- path_regex: ^clusters/shop/\n  key_groups: [{age: [age1a]}]\n"
    with pytest.raises(
        RefusedError, match=r"^\.sops\.yaml: creation_rules\[0\]: .* has key_groups"
    ):
        extended(text, PREFIX, ["age1new"])


@pytest.mark.parametrize(
    "text",
    [
        b"[]\n",
        b"",
        b"creation_rules: 7\n",
        b"creation_rules: [a]\n",
        b"creation_rules: [{path_regex: '('}]\n",
        b"creation_rules: [{age: 3}]\n",
        b"creation_rules: [{age: [3]}]\n",
        b"a: 1\na: 2\n",
    ],
)
def test_what_is_no_such_file_is_refused(text):
    with pytest.raises(ManifestError, match=r"^\.sops\.yaml"):
        extended(text, PREFIX, ["age1new"])


# -- whatever people wrote ---------------------------------------------------------------------

RECIPIENTS = ("age1" + "q" * 58, "age1" + "w" * 58)
REGEXES = (
    "",
    ".*",
    "^clusters/",
    "^clusters/shop/",
    "clusters/shop/.*[.]yaml$",
    "^clusters/shop/namespaces/db/",
    "^clusters/other/",
    "^docs/",
    "(shop|other)",
)
PATHS = (
    "clusters/shop/namespaces/web/secrets/a.yaml",
    "clusters/shop/namespaces/db/secrets/a.yaml",
    "clusters/other/namespaces/web/secrets/a.yaml",
    "docs/a.yaml",
    "a.yaml",
)
written_rules = st.lists(
    st.fixed_dictionaries(
        {"age": st.sampled_from(["age1ops", "age1ops, age1boss", ["age1ops"], ["age1ops,age1x"]])},
        optional={"path_regex": st.sampled_from(REGEXES), "kms": st.just("arn:aws:kms:x")},
    ),
    max_size=4,
)


@given(written_rules)
def test_whoever_could_read_still_can_and_nothing_else_changes(rules):
    text = yaml.safe_dump({"creation_rules": rules, "stores": {"yaml": {"indent": 2}}}).encode()
    made = extended(text, PREFIX, RECIPIENTS)
    before, after = (read_creation_rules(data, ".sops.yaml") for data in (text, made.data))

    def ages(rules, path):
        rule = rules.rule(path)
        return rule.age if rule else ()

    web, db, *others = PATHS
    assert set(ages(after, web)) == {*ages(before, web), *RECIPIENTS}
    assert set(ages(after, db)) >= set(ages(before, db))
    for path in others:
        assert ages(after, path) == ages(before, path)
    assert yaml.safe_load(made.data)["stores"] == {"yaml": {"indent": 2}}
    assert extended(made.data, PREFIX, RECIPIENTS).data == made.data


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_bytes_give_a_result_or_our_own_error(data):
    with suppress(GitOpsDRError):
        extended(data, PREFIX, RECIPIENTS)
    with suppress(GitOpsDRError):
        with_names(data, {"standby": RECIPIENTS[0]}, "shop", "gitops-dr.yaml")


documents = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["a", "age1x", "shop", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "creation_rules",
                    "age",
                    "path_regex",
                    "key_groups",
                    "secrets",
                    "recipients",
                    "name",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(documents)
def test_any_document_gives_a_result_or_our_own_error(document):
    data = yaml.safe_dump(document).encode()
    with suppress(GitOpsDRError):
        extended(data, PREFIX, RECIPIENTS)
    with suppress(GitOpsDRError):
        with_names(data, {"standby": RECIPIENTS[0]}, "shop", "gitops-dr.yaml")


# -- names in gitops-dr.yaml -------------------------------------------------------------------

CONFIG = b"""\
format: 1
# The clusters.
clusters:
  shop:  # in Berlin
secrets:
  # Who can open them.
  recipients:
  - {name: ops, age: age1ops}   # on call
  - name: standby
    age: age1there
    cluster: other
  policies: []
ignore: []
"""


def test_names_are_added_and_the_rest_keeps_its_bytes():
    made = with_names(CONFIG, {"shop": "age1a", "standby": "age1b"}, "shop", "x")
    lines = iter(made.splitlines())
    assert all(line in lines for line in CONFIG.splitlines()), "all are there, in their order"
    assert yaml.safe_load(made)["secrets"]["recipients"][2:] == [
        {"name": "shop", "age": "age1a", "cluster": "shop"},
        {"name": "standby", "age": "age1b", "cluster": "shop"},
    ]
    assert with_names(made, {"shop": "age1a", "ops": "age1ops"}, "shop", "x") == made


@pytest.mark.parametrize("text", [b"format: 1\n", b"secrets:\n", b"secrets: {recipients: }\n"])
def test_a_section_that_is_not_there_is_made(text):
    made = yaml.safe_load(with_names(text, {"a": "age1a"}, "shop", "x"))
    assert made["secrets"] == {"recipients": [{"name": "a", "age": "age1a", "cluster": "shop"}]}


def test_a_name_that_has_another_key_is_refused():
    with pytest.raises(RefusedError, match=r"^x: .* another key for 'ops' of cluster shop$"):
        with_names(CONFIG, {"ops": "age1other"}, "shop", "x")
