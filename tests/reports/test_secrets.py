"""The reports about Secrets: who can open what, and never a value or its size."""

import json

import pytest

from gitops_dr.errors import ExitCode
from gitops_dr.model import ANY, Gap, Ref
from gitops_dr.reports import secrets, secrets_changed
from gitops_dr.secrets.standing import (
    Exposure,
    History,
    NotInGit,
    Resealed,
    Rotated,
    SecretFile,
    SecretsChecked,
    SecretsListed,
    SecretsReady,
    Unread,
)

ONE, TWO, OLD = "age1" + "q" * 58, "age1" + "w" * 58, "age1" + "z" * 58
NAMES = {ONE: "prod", TWO: "standby"}
DB = Ref("", "Secret", "shop", "db")
PATH = "clusters/prod/namespaces/shop/secrets/db.yaml"
COMMIT = "0123456789abcdef" * 2


def file(**changes):
    facts = {"path": PATH, "ref": DB, "policy": "encrypt", "because": "", "sealed": True}
    return SecretFile(**(facts | {"recipients": (ONE, TWO)} | changes))


def listed(*files, **changes):
    facts = {"cluster": "prod", "commit": COMMIT, "elsewhere": (), "unread": (), "names": NAMES}
    return SecretsListed(**(facts | {"files": files} | changes))


def checked(*files, **changes):
    history = changes.pop("history", History(7, (), ()))
    facts = {"opened": len(files), "failed": (), "untried": 0, "identities": 1, "searched": ()}
    unread = changes.pop("unread", ())
    notes = changes.pop("notes", ())
    return SecretsChecked(
        listed=listed(*files, unread=unread, notes=notes), history=history, **(facts | changes)
    )


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "ok"),
        ({"missing": (TWO,)}, "missing standby"),
        ({"stale": (OLD,)}, "stale age1zzzzzzzzzz…"),
        ({"missing": (ONE, TWO), "stale": (OLD,)}, "missing prod, standby; stale age1zzzzzzzzzz…"),
        ({"sealed": False}, "has no values"),
        ({"sealed": False, "plain": True}, "in plain text"),
        ({"no_rule": "no rule of .sops.yaml takes it in"}, "no rule of .sops.yaml takes it in"),
    ],
)
def test_the_state_of_a_file(changes, state):
    assert secrets.state(file(**changes), NAMES) == state
    assert secrets.list_as_table(listed(file(**changes))).endswith(state)


def test_list_for_a_person():
    text = secrets.list_as_table(
        listed(
            file(),
            file(recipients=(OLD,), other_keys=("kms",), ref=Ref("example.org", "Vault", "", "v")),
            elsewhere=(
                NotInGit(Ref("", "Secret", "shop", "ext"), "external", "In Vault.", ("a", "b")),
                NotInGit(Ref("", "Secret", "", ANY), "generated", "A token."),
            ),
            unread=(Unread("x.yaml", "no MAC", "restore it"), Unread("y.yaml", "cut off")),
            notes=("something",),
        )
    )
    rows = [line.split() for line in text.splitlines()]
    assert ["shop/db", "encrypt", "prod,", "standby", "ok"] in rows
    assert ["Vault.example.org/v", "encrypt", "age1zzzzzzzzzz…,", "kms", "ok"] in rows
    assert "  x.yaml: no MAC (restore it)" in text
    assert "  y.yaml: cut off" in text
    assert "  Secret/shop/ext: external (keys a, b): In Vault." in text
    assert "  Secret/*: generated: A token." in text
    assert text.endswith("Notes:\n  something")


def test_list_of_nothing():
    assert secrets.list_as_table(listed()) == "prod: no Secret in Git"
    assert secrets.list_exit_code(listed()) == ExitCode.DONE
    assert secrets.list_exit_code(listed(unread=(Unread("x", "y"),))) == ExitCode.PARTIAL


def test_list_for_a_program():
    found = json.loads(secrets.list_as_json(listed(file(stale=(OLD,), missing=(TWO,)))))
    assert found["cluster"] == "prod"
    assert found["commit"] == COMMIT
    (one,) = found["files"]
    assert one["ref"] == {"group": "", "kind": "Secret", "namespace": "shop", "name": "db"}
    assert one["recipients"] == [{"name": "prod", "key": ONE}, {"name": "standby", "key": TWO}]
    assert one["stale"] == [{"name": None, "key": OLD}]
    assert one["missing"] == [{"name": "standby", "key": TWO}]
    assert (one["encrypted"], one["policy"], one["path"]) == (True, "encrypt", PATH)
    assert json.loads(secrets.list_as_json(listed(commit="")))["commit"] is None


EXPOSED = Exposure("notes/x.yaml", "is a Secret", "b" * 40, COMMIT, in_tree=False)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (checked(file()), ExitCode.DONE),
        (checked(file(), opened=0, untried=1, identities=0), ExitCode.DONE),
        (checked(file(missing=(TWO,))), ExitCode.DIFFERENCES),
        (checked(file(stale=(OLD,))), ExitCode.DIFFERENCES),
        (checked(file(no_rule="none")), ExitCode.DIFFERENCES),
        (checked(file(), failed=(Unread(PATH, "MAC"),)), ExitCode.DIFFERENCES),
        (checked(history=History(1, (EXPOSED,), ())), ExitCode.DIFFERENCES),
        (checked(unread=(Unread(PATH, "cut"),)), ExitCode.PARTIAL),
        (checked(history=History(1, (EXPOSED,), (Gap(DB, "large"),))), ExitCode.PARTIAL),
    ],
)
def test_the_exit_code_of_a_check(found, code):
    assert secrets.check_exit_code(found) == code
    assert json.loads(secrets.check_as_json(found))["clean"] is (code == ExitCode.DONE)


def test_check_for_a_person():
    found = checked(
        file(stale=(OLD,), missing=(TWO,)),
        file(),
        opened=1,
        failed=(Unread(PATH, "MAC mismatch", "restore it"),),
        history=History(
            4312,
            (
                Exposure("a.yaml", "is a Secret", "b" * 40, COMMIT, in_tree=True),
                EXPOSED,
                Exposure("t", "holds a private key", "c" * 40, "", in_tree=False),
            ),
            (Gap(Ref("", "File", "", "big"), "too large"),),
        ),
    )
    text = secrets.check_as_table(found)
    assert text.startswith(
        "prod: 2 encrypted files, 1 opened, 1 did not open\n"
        "history: 4312 blobs, 3 in plain text that must not be, 1 of them still in the tree\n"
    )
    assert f"  {PATH}: missing standby; stale age1zzzzzzzzzz…" in text
    assert f"  {PATH}: MAC mismatch (restore it)" in text
    assert "  a.yaml: is a Secret (since 0123456789ab, still in the tree)" in text
    assert "  notes/x.yaml: is a Secret (since 0123456789ab, no longer in the tree)" in text
    assert "  t: holds a private key (no longer in the tree)" in text
    assert "  big: too large" in text
    assert "change the values that it names" in text
    assert "delete the file, or encrypt it, and commit" in text


def test_check_says_what_was_not_tried():
    text = secrets.check_as_table(
        checked(file(), opened=0, untried=1, identities=0, searched=("SOPS_AGE_KEY", "~/keys"))
    )
    assert "1 not tried (no private key here)" in text
    assert "looked at: SOPS_AGE_KEY, ~/keys" in text
    kms = secrets.check_as_table(checked(file(), opened=0, untried=1))
    assert "1 not tried (no key for them here)" in kms
    well = secrets.check_as_table(checked(file(), notes=("a note",)))
    assert well.splitlines()[-2:] == ["What to do:", "  a note"]
    assert secrets.check_as_table(checked()).startswith("prod: 0 encrypted files, so nothing")


def rotated(**changes):
    facts = {"cluster": "prod", "commit": COMMIT, "dry_run": False, "gaps": (), "names": NAMES}
    files = (Resealed(PATH, DB, ("password", "user")),)
    return Rotated(**(facts | {"files": files, "recipients": (ONE, TWO)} | changes))


def test_rotation_names_the_values_to_change():
    text = secrets_changed.rotated_as_table(rotated())
    head = "prod: 1 Secret encrypted anew for prod, standby, commit 0123456789ab\n"
    assert text.startswith(head)
    assert text.endswith("  Secret/shop/db: password, user")
    dry = secrets_changed.rotated_as_table(rotated(commit=None, dry_run=True))
    assert dry.startswith("prod: 1 Secret would be encrypted anew for prod, standby\n")
    found = json.loads(secrets_changed.rotated_as_json(rotated()))
    assert found["rotated"][0]["valuesToChange"] == ["password", "user"]
    assert found["commit"] == COMMIT


def test_rotation_of_nothing_and_of_what_does_not_open():
    nothing = rotated(files=(), commit=None, recipients=())
    assert secrets_changed.rotated_as_table(nothing) == "prod: no encrypted Secret is meant"
    assert secrets_changed.rotated_exit_code(nothing) == ExitCode.DONE
    some = rotated(gaps=(Gap(DB, "MAC mismatch"),), left=("x.yaml",))
    assert "  Secret/shop/db: MAC mismatch" in secrets_changed.rotated_as_table(some)
    assert "  x.yaml" in secrets_changed.rotated_as_table(some)
    assert secrets_changed.rotated_exit_code(some) == ExitCode.PARTIAL


def ready(**changes):
    facts = {
        "cluster": "prod",
        "key_file": "/keys/prod.txt",
        "recipients": (ONE, TWO),
        "names": NAMES,
        "written": (".sops.yaml",),
        "rewrapped": 0,
        "commit": COMMIT,
    }
    return SecretsReady(**(facts | changes))


def test_init_says_what_to_do_next():
    text = secrets_changed.ready_as_table(ready())
    assert text.startswith("prod: Secrets are encrypted for prod, standby\n")
    assert "export SOPS_AGE_KEY_FILE=/keys/prod.txt" in text
    assert "one more recipient" not in text
    assert "one more recipient" in secrets_changed.ready_as_table(ready(recipients=(ONE,)))
    added = secrets_changed.ready_as_table(ready(key_file="", rewrapped=3))
    assert "SOPS_AGE_KEY_FILE" not in added
    assert "commit 0123456789ab, 3 files opened to them" in added
    same = secrets_changed.ready_as_table(ready(commit=None, key_file=""))
    assert "nothing to commit" in same
    gaps = ready(gaps=(Gap(DB, "no key"),))
    assert "  Secret/shop/db: no key" in secrets_changed.ready_as_table(gaps)
    assert secrets_changed.ready_exit_code(gaps) == ExitCode.PARTIAL
    assert secrets_changed.ready_exit_code(ready()) == ExitCode.DONE
    assert json.loads(secrets_changed.ready_as_json(gaps))["gaps"][0]["reason"] == "no key"


def test_hostile_names_do_not_reach_a_terminal():
    hostile = "\x1b[31m\u202e"
    ref = Ref("", "Secret", "shop", hostile)
    texts = [
        secrets.list_as_table(
            listed(
                file(ref=ref),
                elsewhere=(NotInGit(ref, "external", hostile, (hostile,)),),
                unread=(Unread(hostile, hostile, hostile),),
                names={ONE: hostile},
                notes=(hostile,),
            )
        ),
        secrets.check_as_table(
            checked(
                file(path=hostile, missing=(ONE,)),
                history=History(1, (Exposure(hostile, hostile, "", "", in_tree=True),), ()),
                failed=(Unread(hostile, hostile),),
            )
        ),
        secrets_changed.rotated_as_table(
            rotated(
                files=(Resealed(hostile, ref, (hostile,)),),
                gaps=(Gap(ref, hostile),),
                names={ONE: hostile},
                left=(hostile,),
            )
        ),
        secrets_changed.ready_as_table(
            ready(key_file=hostile, names={ONE: hostile}, notes=(hostile,), left=(hostile,))
        ),
    ]
    for text in texts:
        assert "\x1b" not in text
        assert "\u202e" not in text
