#!/usr/bin/env bash
# One export and its push. Who pushed meanwhile is not overwritten, and an export is not rebased,
# because then it would no longer be what the cluster was: it is made again. What it reads stands in
# action.yaml, under env; it writes the outputs exit-code and commit.
set -euo pipefail

die() {
  printf '::error::%s\n' "$1" >&2
  exit 5
}

finish() {
  printf 'exit-code=%s\ncommit=%s\n' "$1" "$(git rev-parse HEAD)" >> "$GITHUB_OUTPUT"
  if [ "$1" = 3 ] && [ "$FAIL_ON_GAPS" != true ]; then exit 0; fi
  exit "$1"
}

arguments=(--repo=.)
if [ -n "$CLUSTER" ]; then arguments+=("--cluster=$CLUSTER"); fi
if [ -n "$CONTEXT" ]; then arguments+=("--context=$CONTEXT"); fi

source "$(dirname "${BASH_SOURCE[0]}")/../kubeconfig.sh"
cd -- "$REPOSITORY"

for _ in 1 2 3; do
  before="$(git rev-parse HEAD)"
  code=0
  "${RUNNER_TEMP:?}/gitops-dr-environment/bin/gitops-dr" export "${arguments[@]}" || code=$?
  # Gaps and conflicts are committed too: what could be read is worth keeping.
  if [ "$code" != 0 ] && [ "$code" != 3 ]; then finish "$code"; fi
  if [ "$(git rev-parse HEAD)" = "$before" ]; then finish "$code"; fi
  if git push --quiet origin "HEAD:refs/heads/$BRANCH"; then finish "$code"; fi
  git fetch --quiet --no-tags origin "refs/heads/$BRANCH"
  if [ "$(git rev-parse FETCH_HEAD)" = "$before" ]; then
    die "$BRANCH: the push was refused; is the branch protected, or may the token only read?"
  fi
  git reset --quiet --hard FETCH_HEAD
done
die "$BRANCH: others pushed each time before the export could be"
