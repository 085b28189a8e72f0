#!/usr/bin/env bash
# Installs gitops-dr into a folder of its own: the code of the very commit by which the action is
# pinned, and packages that are checked against the hashes in that commit's requirements/dev.txt.
# Reads PYTHON (default: python3) and RUNNER_TEMP.
set -euo pipefail

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
pins="$root/requirements/dev.txt"
place="${RUNNER_TEMP:?}/gitops-dr-environment"

"${PYTHON:-python3}" -m venv --clear "$place"
python="$place/bin/python"
# pip knows hashes, but not for the other packages that a folder asks for; uv does.
awk '/^uv==/ { on = 1 } on { print } on && !/\\$/ { exit }' "$pins" > "$place/uv.txt"
"$python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
  --require-hashes --requirement "$place/uv.txt"
"$python" -m uv pip install --quiet --python "$python" \
  --constraint "$pins" --build-constraint "$pins" "$root"
"$place/bin/gitops-dr" --version
