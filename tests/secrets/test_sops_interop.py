"""What the real ``sops`` writes we read, what we write it reads, and both refuse the same."""

import base64
import copy
import gzip
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from corpus import corpus
from real_sops import Key, RealSops, SopsRefusedError

from gitops_dr.errors import ManifestError, SecretError
from gitops_dr.manifests.edit import Edited
from gitops_dr.secrets import sops_document
from gitops_dr.secrets.identities import Identities, parse_identities
from gitops_dr.secrets.sops import (
    is_sealed,
    open_sealed,
    read_sealed,
    rewrap,
    rotate,
    seal,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY, OTHER = Key(), Key()

THEIRS = """\
# top comment
apiVersion: v1
kind: Secret
metadata:
    name: db
    namespace: shop
    labels: {app: web}
# before type
type: Opaque
data:
    # about the password
    password: aHVudGVyMg==
    user: eA== # behind the user
    empty: ""
    "2024-01-01": eA==
stringData:
    url: |
        line 1
        line 2 ünï
"""

BODY = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "db", "namespace": "shop", "labels": {"app": "web"}},
    "type": "Opaque",
    "data": {
        "password": "aHVudGVyMg==",
        "user": "eA==",
        "empty": "",
        "2024-01-01": "eA==",
    },
    "stringData": {"url": "line 1\nline 2 ünï\n"},
}


@pytest.fixture
def sops(tmp_path: Path) -> RealSops:
    return RealSops(tmp_path, KEY)


def opened(data: bytes, identities: Identities = KEY.identities) -> Any:
    return open_sealed(read_sealed(data, "db.yaml"), identities)


def sealed_again(previous: bytes, body: Any, *recipients: str) -> bytes:
    return seal(
        body,
        recipients or (KEY.recipient,),
        previous=previous,
        identities=KEY.identities,
        now=NOW,
    )


# -- theirs read by us --------------------------------------------------------------------------


def test_what_sops_wrote_is_read(sops: RealSops) -> None:
    data = sops.encrypt(THEIRS, KEY.recipient)
    sealed = read_sealed(data, "db.yaml")
    assert is_sealed(data)
    assert sealed.recipients == (KEY.recipient,)
    assert sealed.other_keys == ()
    assert "type:comment" in data.decode()
    assert open_sealed(sealed, KEY.identities) == BODY


def test_an_unchanged_file_of_sops_keeps_every_byte(sops: RealSops) -> None:
    data = sops.encrypt(THEIRS, KEY.recipient)
    assert sealed_again(data, BODY) == data


def test_a_changed_value_changes_its_line_and_no_other(sops: RealSops) -> None:
    data = sops.encrypt(THEIRS, KEY.recipient)
    body = copy.deepcopy(BODY)
    body["data"]["password"] = "bmV3"
    body["data"]["added"] = "bmV3"
    new = sealed_again(data, body)
    before, after = data.decode().splitlines(), new.decode().splitlines()
    changed = {line.split(":")[0].strip() for line in after if line not in before}
    assert changed == {"password", "added", "mac", "lastmodified"}
    assert [line for line in before if line in after] == [line for line in after if line in before]
    assert sops.decrypt(new) == body
    assert opened(new) == body


RULES: list[dict[str, Any]] = [
    {"unencrypted_suffix": "_unencrypted"},
    {"unencrypted_suffix": "_plain"},
    {"encrypted_suffix": "ata"},
    {"unencrypted_regex": "^(metadata|kind)$"},
    {"encrypted_regex": "^(data|stringData|immutable|metadata)$"},
    {"encrypted_regex": "^(data|numbers)$"},
    {"encrypted_regex": "(?i)^DATA.*$", "mac_only_encrypted": True},
    {"encrypted_regex": "^(data|numbers|name)$", "mac_only_encrypted": True},
]

TYPED = """\
apiVersion: v1
kind: Secret
immutable: true
metadata:
  name: db
  creationTimestamp: 2024-01-01T00:00:00Z
  annotations: {}
numbers: {half: 1.5, thousand: 1e3, big: 1e300, small: 1e-7, none: null, octal: 0o17, minus: -5}
list: [1, true, a, "", {k: v}, [2]]
data:
  p: aHVudGVyMg==
  e: ""
"""

TYPED_BODY = {
    "apiVersion": "v1",
    "kind": "Secret",
    "immutable": True,
    "metadata": {
        "name": "db",
        "creationTimestamp": "2024-01-01T00:00:00Z",
        "annotations": {},
    },
    "numbers": {
        "half": 1.5,
        "thousand": 1000,
        "big": 1e300,
        "small": 1e-7,
        "none": None,
        "octal": 15,
        "minus": -5,
    },
    "list": [1, True, "a", "", {"k": "v"}, [2]],
    "data": {"p": "aHVudGVyMg==", "e": ""},
}


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_other_rules_and_types_are_read_and_kept(sops: RealSops, rule: dict[str, Any]) -> None:
    data = sops.encrypt(TYPED, KEY.recipient, **rule)
    body = opened(data)
    assert body == TYPED_BODY
    assert type(body["immutable"]) is bool
    assert type(body["numbers"]["thousand"]) is int
    assert sealed_again(data, body) == data
    changed = copy.deepcopy(body)
    changed["data"]["p"] = "bmV3"
    changed["numbers"]["more"] = 7
    changed["list"].append("z")
    new = sealed_again(data, changed)
    assert opened(new) == changed
    assert sops.decrypt(new) == changed
    anew = rotate(read_sealed(new, "x"), [KEY.recipient], KEY.identities, NOW)
    assert sops.decrypt(anew) == changed


@pytest.mark.parametrize(
    "rule",
    [{"encrypted_comment_regex": "hide"}, {"unencrypted_comment_regex": "show"}],
    ids=str,
)
def test_rules_by_comments_are_read_and_end_when_values_change(
    sops: RealSops, rule: dict[str, Any]
) -> None:
    text = THEIRS.replace("    password", "    # hide\n    password").replace("behind", "hide")
    text = text.replace('    "2024', '    # hide\n    "2024').replace(
        "    url", "    # hide\n    url"
    )
    data = sops.encrypt(text, KEY.recipient, **rule)
    assert opened(data) == BODY
    assert sealed_again(data, BODY) == data
    assert (
        sops.decrypt(rotate(read_sealed(data, "x"), [KEY.recipient], KEY.identities, NOW)) == BODY
    )
    body = copy.deepcopy(BODY)
    body["data"]["token"] = "bmV3"
    new = sealed_again(data, body)
    assert b"encrypted_regex: ^(data|stringData)$" in new
    assert b"bmV3" not in new
    assert sops.decrypt(new) == body


def test_a_new_label_where_comments_decide(sops: RealSops) -> None:
    text = THEIRS.replace("    password", "    # show\n    password").replace("aHVudGVyMg==", '""')
    data = sops.encrypt(text, KEY.recipient, unencrypted_comment_regex="show")
    body = copy.deepcopy(opened(data))
    body["metadata"]["labels"]["new"] = "label"
    assert sops.decrypt(sealed_again(data, body)) == body


@pytest.mark.parametrize("time", ["2026-01-02T03:04:05+00:00", "2026-01-02T03:04:05-00:00"])
def test_a_time_that_is_written_in_another_way(sops: RealSops, time: str) -> None:
    data = seal(BODY, [KEY.recipient], now=NOW).replace(b"2026-01-02T03:04:05Z", time.encode())
    assert sops.decrypt(data) == BODY
    assert opened(data) == BODY


def test_binary_values_of_yaml_are_refused(sops: RealSops) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {a: !!binary AP8=}\n"
    data = sops.encrypt(text, KEY.recipient)
    with pytest.raises(SecretError, match=r"data\.a: binary data"):
        opened(data)


def test_a_new_key_that_the_files_rule_would_leave_plain_is_encrypted(sops: RealSops) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: db}\ndata: {password: aHVudGVyMg==}\n"
    data = sops.encrypt(text, KEY.recipient, encrypted_regex="^password$")
    body = {**opened(data), "data": {"password": "aHVudGVyMg==", "token": "bmV3"}}
    new = sealed_again(data, body)
    assert b"bmV3" not in new
    assert sops.decrypt(new) == body


def test_ssh_recipients(sops: RealSops, tmp_path: Path) -> None:
    if not shutil.which("ssh-keygen"):
        pytest.skip("ssh-keygen is not there")
    file = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    public = file.with_suffix(".pub").read_text().strip()
    identities = parse_identities(file.read_text(), str(file))
    environment = {"SOPS_AGE_KEY": "", "SOPS_AGE_SSH_PRIVATE_KEY_FILE": str(file)}

    theirs = sops.encrypt(THEIRS, f"{KEY.recipient},{public}")
    assert opened(theirs, identities) == BODY
    assert set(read_sealed(theirs, "x").recipients) == {KEY.recipient, public}

    ours = seal(BODY, [KEY.recipient, public], now=NOW)
    assert sops.decrypt(ours, **environment) == BODY
    assert opened(ours, identities) == BODY
    assert opened(ours) == BODY

    with pytest.raises(SecretError) as caught:
        opened(ours, OTHER.identities)
    assert "ssh-ed25519 ..." in caught.value.hint
    assert public not in caught.value.hint


# -- ours read by them --------------------------------------------------------------------------

VALUES = {
    "text": "aHVudGVyMg==",
    "binary": base64.b64encode(bytes(range(256))).decode(),
    "empty": "",
    "0123": "MQ==",
    "1e3": "MQ==",
    "2024-01-01": "MQ==",
    "yes": "MQ==",
    "null": "MQ==",
    "~": "MQ==",
    "a.b-c_d": "MQ==",
    "a10": "MQ==",
    "a2": "MQ==",
    "Z": "MQ==",
    "large": base64.b64encode(b"x" * 100_000).decode(),
}

TEXTS = {
    "number": "0123",
    "date": "2024-01-01",
    "word": "yes",
    "spaces": " a ",
    "lines": "a\n\nb\n",
    "unicode": "ünï 🔑 \u2028",
    "odd": "\t\x00\x85\r\n",
    "looks encrypted": "ENC[AES256_GCM,data:YQ==,iv:YQ==,tag:YQ==,type:str]",
    "colon:in:key": "x",
    "empty": "",
}


def test_what_we_wrote_sops_reads(sops: RealSops) -> None:
    body = {**BODY, "data": VALUES, "stringData": TEXTS}
    data = seal(body, [KEY.recipient], now=NOW)
    assert sops.decrypt(data) == body
    assert opened(data) == body


def test_fields_called_data_are_encrypted_wherever_they_are(sops: RealSops) -> None:
    labels = {"data": "x", "app": "web"}
    body = {**BODY, "metadata": {"name": "db", "labels": labels}, "binaryData": {"data": "eA=="}}
    data = seal(body, [KEY.recipient], now=NOW)
    assert sops.decrypt(data) == body
    assert opened(data) == body


def test_each_of_several_recipients_opens_it(sops: RealSops) -> None:
    data = seal(BODY, [KEY.recipient, OTHER.recipient], now=NOW)
    for key in (KEY, OTHER):
        assert opened(data, key.identities) == BODY
        assert sops.decrypt(data, SOPS_AGE_KEY=key.text) == BODY


def test_what_sops_wrote_of_ours_is_read_back(sops: RealSops) -> None:
    file = sops.folder / "db.yaml"
    file.write_bytes(seal(BODY, [KEY.recipient], now=NOW))
    assert sops.run("set", "db.yaml", '["data"]["password"]', '"ZWRpdGVk"').returncode == 0
    body = copy.deepcopy(BODY)
    body["data"]["password"] = "ZWRpdGVk"
    edited = file.read_bytes()
    assert opened(edited) == body
    assert sealed_again(edited, body) == edited
    body["data"]["user"] = "bmV3"
    assert sops.decrypt(sealed_again(edited, body)) == body


def test_an_editor_in_sops_edit(sops: RealSops) -> None:
    file = sops.folder / "db.yaml"
    file.write_bytes(seal(BODY, [KEY.recipient], now=NOW))
    editor = sops.folder / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/^data:/data:\\n    # mine\\n    token: bmV3/" "$1"\n')
    editor.chmod(0o700)
    done = sops.run("edit", "db.yaml", EDITOR=str(editor))
    assert done.returncode == 0, done.stderr
    assert b"token: ENC[" in file.read_bytes()
    assert opened(file.read_bytes()) == {**BODY, "data": {**BODY["data"], "token": "bmV3"}}


def test_updatekeys_and_rotate_of_sops_are_read(sops: RealSops) -> None:
    file = sops.folder / "db.yaml"
    file.write_bytes(seal(BODY, [KEY.recipient], now=NOW))
    assert sops.run("rotate", "-i", "--add-age", OTHER.recipient, "db.yaml").returncode == 0
    assert opened(file.read_bytes(), OTHER.identities) == BODY
    assert opened(file.read_bytes()) == BODY


# -- recipients ---------------------------------------------------------------------------------


def test_rewrap_changes_recipients_and_no_value(sops: RealSops) -> None:
    for data in (seal(BODY, [KEY.recipient], now=NOW), sops.encrypt(THEIRS, KEY.recipient)):
        both = rewrap(read_sealed(data, "x"), [KEY.recipient, OTHER.recipient], KEY.identities)
        one = read_sealed(both, "x")
        assert one.recipients == (KEY.recipient, OTHER.recipient)
        assert one.body == read_sealed(data, "x").body
        assert one.metadata.mac == read_sealed(data, "x").metadata.mac
        assert sops.decrypt(both, SOPS_AGE_KEY=OTHER.text) == BODY
        assert rewrap(one, [OTHER.recipient, KEY.recipient], KEY.identities) == both
        gone = rewrap(one, [OTHER.recipient], KEY.identities)
        assert opened(gone, OTHER.identities) == BODY
        with pytest.raises(SopsRefusedError) as caught:
            sops.decrypt(gone)
        assert caught.value.args[0] == 128
        with pytest.raises(SecretError, match="does not open it"):
            opened(gone)


def test_rotate_changes_the_data_key_and_every_value_and_keeps_comments(sops: RealSops) -> None:
    data = sops.encrypt(THEIRS, KEY.recipient)
    new = rotate(read_sealed(data, "x"), [OTHER.recipient], KEY.identities, NOW)
    secrets = re.compile(rb"ENC\[[^]]+\]")
    assert not set(secrets.findall(data)) & set(secrets.findall(new))
    assert new.count(b"type:comment") == data.count(b"type:comment") == 2
    done = sops.run(
        *("decrypt", "--input-type", "yaml", "--output-type", "yaml", "/dev/stdin"),
        data=new,
        SOPS_AGE_KEY=OTHER.text,
    )
    assert "# about the password\n" in done.stdout.decode()
    assert "# behind the user\n" in done.stdout.decode()
    assert opened(new, OTHER.identities) == BODY
    with pytest.raises(SecretError):
        opened(new)


def test_a_layout_that_cannot_be_kept_is_given_up_and_the_sum_made_anew(
    sops: RealSops, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = sops.encrypt(THEIRS, KEY.recipient)
    monkeypatch.setattr(sops_document, "edited", lambda *_: Edited(b"", "it is odd"))
    both = [KEY.recipient, OTHER.recipient]
    body = {**BODY, "data": {**BODY["data"], "token": "bmV3"}}
    for new, wanted in (
        (rewrap(read_sealed(data, "x"), both, KEY.identities), BODY),
        (rotate(read_sealed(data, "x"), both, KEY.identities, NOW), BODY),
        (sealed_again(data, body, *both), body),
    ):
        assert read_sealed(new, "x").is_ours
        assert opened(new, OTHER.identities) == wanted
        assert sops.decrypt(new) == wanted


# -- refused by both ----------------------------------------------------------------------------


def _swapped(data: bytes, one: bytes, other: bytes) -> bytes:
    """Exchange the values of two keys."""
    found = {key: re.search(rb"%s: (ENC\[[^]]+\])" % key, data)[1] for key in (one, other)}
    return (
        data.replace(found[one], b"#").replace(found[other], found[one]).replace(b"#", found[other])
    )


def _cut(data: bytes, key: bytes) -> bytes:
    return re.sub(rb"\n *%s: [^\n]*" % key, b"", data, count=1)


def _reordered(data: bytes) -> bytes:
    """Put the line of the password behind that of the user."""
    return re.sub(rb"( +password: [^\n]*\n)( +user: [^\n]*\n)", rb"\2\1", data)


def _first_to_last_time(data: bytes) -> bytes:
    return re.sub(rb'lastmodified: "20[0-9-]+T', b'lastmodified: "2020-01-01T', data)


def _other_mac(data: bytes) -> bytes:
    other = seal({**BODY, "data": {"x": "eA=="}}, [KEY.recipient], now=NOW)
    mac = re.search(rb"mac: (ENC\[[^]]+\])", other)[1]
    return re.sub(rb"mac: ENC\[[^]]+\]", b"mac: " + mac, data)


TAMPERED = {
    "moved to another key": (lambda data: _swapped(data, b"password", b"user"), 25),
    "renamed key": (lambda data: data.replace(b"password:", b"passwort:"), 25),
    "another order": (_reordered, 51),
    "a value taken away": (lambda data: _cut(data, b"user"), 51),
    "a value emptied": (
        lambda data: re.sub(rb"user: ENC\[[^]]+\]", b'user: ""', data),
        51,
    ),
    "another time": (_first_to_last_time, 51),
    "the sum of another file": (_other_mac, 51),
    "another type": (lambda data: data.replace(b"type:str", b"type:int", 1), None),
}


@pytest.mark.parametrize(("change", "code"), TAMPERED.values(), ids=TAMPERED)
def test_what_sops_refuses_we_refuse(sops: RealSops, change: Any, code: int | None) -> None:
    good = seal(BODY, [KEY.recipient], now=NOW)
    bad = change(good)
    assert bad != good
    with pytest.raises(SopsRefusedError) as theirs:
        sops.decrypt(bad)
    assert code in (None, theirs.value.args[0])
    with pytest.raises(SecretError) as ours:
        opened(bad)
    assert str(ours.value).startswith("db.yaml: ")
    assert "hunter2" not in str(ours.value)
    assert "aHVudGVyMg" not in str(ours.value)
    with pytest.raises(SecretError):
        sealed_again(bad, BODY)
    with pytest.raises(SecretError):
        rewrap(read_sealed(bad, "x"), [OTHER.recipient], KEY.identities)


def test_a_changed_plain_field_is_refused_where_the_sum_takes_it_in(sops: RealSops) -> None:
    data = sops.encrypt(THEIRS, KEY.recipient, encrypted_regex="^(data|stringData)$")
    with pytest.raises(SecretError, match="MAC"):
        opened(data.replace(b"app: web", b"app: evil"))
    ours = seal(BODY, [KEY.recipient], now=NOW)
    assert opened(ours.replace(b"app: web", b"app: api"))["metadata"]["labels"] == {"app": "api"}


def test_plain_values_among_encrypted_ones_are_refused(sops: RealSops) -> None:
    data = seal(BODY, [KEY.recipient], now=NOW)
    mixed = re.sub(rb"user: ENC\[[^]]+\]", b"user: aHVudGVyMg==", data)
    with pytest.raises(SopsRefusedError):
        sops.decrypt(mixed)
    with pytest.raises(ManifestError) as caught:
        read_sealed(mixed, "db.yaml")
    assert caught.value.line == 1 + mixed[: mixed.index(b"user:")].count(b"\n")
    assert "data.user is not encrypted" in caught.value.message
    assert "aHVudGVyMg" not in caught.value.message


# -- real objects -------------------------------------------------------------------------------


def test_real_objects_come_back(sops: RealSops) -> None:
    count = 0
    with gzip.open(corpus() / "objects.jsonl.gz") as lines:
        for line in lines:
            body = json.loads(line)["object"]
            if body["kind"] not in ("Secret", "ConfigMap"):
                continue
            data = seal(body, [KEY.recipient], now=NOW)
            assert opened(data) == body
            assert sealed_again(data, body) == data
            if count % 20 == 0:
                assert sops.decrypt(data) == body
            count += 1
    assert count > 100
