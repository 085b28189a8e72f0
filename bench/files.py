"""Turns a repository's files into input for the floors. Reads files, writes to stdout.

    python bench/files.py stream REPOSITORY > import.stream     for git fast-import
    python bench/files.py lines REPOSITORY > objects.jsonl      for bare.py create
    python bench/files.py paths REPOSITORY > paths.txt          for bare.py list

``lines`` has the world's own objects only; what a lab has by itself would be in the way there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yamlrocks
from world import LABEL

_FIRST = {"CustomResourceDefinition", "Namespace"}


def stream(repository: Path) -> Iterator[bytes]:
    """One commit with the same files, for ``git fast-import``."""
    yield b"commit refs/heads/main\ncommitter bench <bench@localhost> 0 +0000\ndata 1\n.\n"
    for file in sorted(repository.rglob("*")):
        path = file.relative_to(repository)
        if file.is_file() and path.parts[0] != ".git":
            data = file.read_bytes()
            yield b"M 100644 inline %b\ndata %d\n%b\n" % (str(path).encode(), len(data), data)


def lines(repository: Path) -> list[tuple[int, str, Any]]:
    """Wave, URL path of the collection, and body of each object, as ``world.py`` writes them."""
    found = []
    for file in sorted(repository.glob("clusters/*/*/**/*.yaml")):
        if file.relative_to(repository).parts[2] == "recovery":
            continue
        body = yamlrocks.loads(file.read_bytes())
        if LABEL in body["metadata"].get("labels", {}):
            plural = file.parent.name.partition(".")[0]
            wave = 0 if body["kind"] in _FIRST else 1
            namespace = body["metadata"].get("namespace", "")
            path = _collection(body["apiVersion"], namespace, plural)
            found.append((wave, path, body))
    return sorted(found, key=lambda each: each[0])


def paths(repository: Path) -> list[str]:
    """The URL path of the collection of every kind that the export listed, in its order."""
    coverage = next(repository.glob("clusters/*/recovery/coverage.yaml"))
    return [
        _collection("/".join(filter(None, (kind["group"], kind["version"]))), "", kind["resource"])
        for kind in yamlrocks.loads(coverage.read_bytes())["kinds"]
    ]


def _collection(api_version: str, namespace: str, plural: str) -> str:
    root = "apis" if "/" in api_version else "api"
    middle = f"/namespaces/{namespace}" if namespace else ""
    return f"/{root}/{api_version}{middle}/{plural}"


def main() -> None:
    """Write one of them."""
    what, repository = sys.argv[1], Path(sys.argv[2])
    if what == "stream":
        sys.stdout.buffer.writelines(stream(repository))
    elif what == "lines":
        for each in lines(repository):
            print(json.dumps(each, separators=(",", ":")))
    else:
        print("\n".join(paths(repository)))


if __name__ == "__main__":
    main()
