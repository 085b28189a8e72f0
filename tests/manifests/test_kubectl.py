"""The judge of how a manifest is read is kubectl itself: what we write and what we read."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from yaml_traps import TRAPS

from gitops_dr.lab import assets
from gitops_dr.manifests.emit import canonical
from gitops_dr.manifests.parse import parse, parse_documents

pytestmark = pytest.mark.lab

HEAD = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n"

Kubectl = Callable[[bytes], list[Any]]


@pytest.fixture(scope="module")
def kubectl(kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """What kubectl would send for a file: it asks the server only which kinds there are."""
    folder = tmp_path_factory.mktemp("kubectl")
    program = assets().path("kubectl")

    def read(data: bytes) -> list[Any]:
        file = folder / "manifest.yaml"
        file.write_bytes(data)
        done = subprocess.run(
            [program, "create", "--dry-run=client", "--validate=false", "-o=json", "-f", file],
            env=os.environ | {"KUBECONFIG": str(kubeconfig), "HOME": str(folder)},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        output, bodies = done.stdout.decode(), []
        while output:
            body, end = json.JSONDecoder().raw_decode(output)
            output = output[end:].lstrip()
            assert body["metadata"].pop("namespace", "default") == "default"
            bodies.append(body)
        return bodies

    return read


def _as_text(bodies: list[Any]) -> list[str]:
    """In Python 1 equals 1.0 and True; their JSON does not."""
    return [json.dumps(body, sort_keys=True, indent=0) for body in bodies]


def test_kubectl_reads_every_trap_as_it_was_written(kubectl: Kubectl) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "traps", "annotations": {f"a{i}": t for i, t in enumerate(TRAPS)}},
        "list": list(TRAPS),
        "nested": [[{"deep": trap}] for trap in TRAPS],
        "keys": dict.fromkeys(TRAPS, 1),
        "data": {f"k{i}": trap for i, trap in enumerate(TRAPS)},
        "binaryData": {"bytes": "AAEC/w=="},
        "immutable": True,
        "nothing": [None, {}, [], "", 0, False],
        "numbers": [2**53 + 1, 2**63 - 1, -(2**63), 0.1, 1.5e300, 1e-7, -1],
        "large": "line of text\n" * 100_000,
    }
    assert _as_text(kubectl(canonical(body))) == _as_text([body])


WORDS = (
    "yes y On n OFF yEs true ~ null Null 08 0777 -017 +017 0o17 0x1F +0b11 0b2 1_000 0_7 _1 1e3"
    " 123e4 1.50 3.0 -0.0 .5 .3_8 .3_ 5. 1e+2 9223372036854775807 -9223372036854775808 12:30"
    " 190:20:30 2024-01-01 2024-01-01T00:00:00Z = 1.2.3 . 0x 0o8 1e १ <<"
)
READ_ALIKE = {
    "words": HEAD + "words:\n" + "".join(f"- {word}\n" for word in WORDS.split()),
    "long numbers": HEAD + f"l:\n- 0{'7' * 30}\n- 0b{'1' * 70}\n- {'9' * 5000}\n",
    "plain, folded": HEAD + "data:\n  p: a\n    b\n\n    c\n  f: >\n    a\n    b\n\n     c\n",
    "blocks": HEAD + "data:\n  s: |-\n    a\n\n  k: |+\n    a\n\n  i: |2\n     a\n  e: |\n",
    "quoted": HEAD + "data:\n  s: 'it''s\n    two'\n  d: \"a\\tb\\x41\\U0001F600\\\n    c\\n\"\n",
    "flow": HEAD + "data: {a: [1, b], \"c\": , d: {}, 'e': [], f: x y}\n",
    "block without a final newline": HEAD + "data:\n  k: |\n    text",
    "folded without a final newline": HEAD + "data:\n  k: >\n    text",
    "plain without a final newline": HEAD + "data:\n  k: text",
    "blocks, separators": HEAD + f"d:\n  k: |\n    a\n\n---\n{HEAD}d:\n  k: |+\n    b\n\n---\n",
    "carriage returns": (HEAD + "data:\n  k: |\n    a\n    b\n  j: c\n").replace("\n", "\r\n"),
    "byte-order mark": "\ufeff" + HEAD,
    "separators": f"# c\n---\n{HEAD}--- # d\n---\n{HEAD}x: |\n  ---\n---  \n{HEAD}...\n",
    "aliases": HEAD + "p: &p {a: 1, b: 0755}\nq: &q [*p, yes]\nr: {q: *q}\n",
    "merges": HEAD + "p: &p {a: 1, b: 07}\nq: &q {b: 2}\nm:\n  <<: [*p, *q]\n  c: 3\ns: {<<: *q}\n",
    "merge overridden": HEAD + "p: &p {a: 1, b: 2}\nm:\n  <<: *p\n  a: 3\n",
    "tags": HEAD + "data: !!map\n  k: !!str 0755\n  l: !!seq [!!str yes, !!str ~]\n",
    "JSON": '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"\\u00e9"}}',
    "indented list": HEAD + "l:\n  - a\n  -\n    - b\n  - c: 1\n    d: 2\nm:\n- a\n",
    "comments": HEAD + "data: # here\n  k: a#b # c\n  # end\n",
}


@pytest.mark.parametrize("text", READ_ALIKE.values(), ids=READ_ALIKE)
def test_we_read_what_kubectl_reads(kubectl: Kubectl, text: str) -> None:
    read = parse_documents(text.encode(), "a.yaml")
    assert _as_text(read) == _as_text(kubectl(text.encode()))
    assert [parse(canonical(body), "a.yaml") for body in read] == read
