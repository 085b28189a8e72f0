#!/usr/bin/env bash
# One comparison, its report in a file, its comment on the pull request. What it reads stands in
# action.yaml, under env; it writes the outputs exit-code, report and name.
set -euo pipefail

die() {
  printf '::error::%s\n' "$1" >&2
  exit 2
}

# A fork may have written anything into the file, so its number counts only if the pull request's
# head is the commit that the first workflow ran for. Nothing of it is checked out or run: the
# objects lie in .git, and gitops-dr reads manifests from there.
fetch_request() {
  local number credentials commit
  number="$(head -c 20 -- "$REQUEST")"
  [[ "$number" =~ ^[1-9][0-9]{0,9}$ ]] || die 'request: the file holds no number'
  [[ "$HEAD_COMMIT" =~ ^[0-9a-f]{40,64}$ ]] || die 'request: is for workflow_run only'
  credentials="$(printf 'x-access-token:%s' "$GITHUB_TOKEN" | base64 | tr -d '\n')"
  # By variables, because whoever looks at the list of processes would see an argument.
  GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="http.$GITHUB_SERVER_URL/.extraheader" \
    GIT_CONFIG_VALUE_0="Authorization: basic $credentials" \
    git -C "$REPOSITORY" fetch --quiet --no-tags --no-recurse-submodules \
    origin "refs/pull/$number/merge" \
    || die "request: pull request $number has no merge commit; does it conflict?"
  commit="$(git -C "$REPOSITORY" rev-parse --verify --quiet 'FETCH_HEAD^{commit}')"
  [ "$(git -C "$REPOSITORY" rev-parse --verify --quiet "$commit^2")" = "$HEAD_COMMIT" ] \
    || die "request: pull request $number is not the one that the run was for, or has moved on"
  AT="$commit"
  AGAINST="$commit^1"
  arguments+=("--pull-request=$number")
}

# With an equals sign, so that no value can pass for an option.
arguments=("--repo=$REPOSITORY" "--output=$FORMAT")
if [ -n "$REQUEST" ]; then fetch_request; fi
if [ -n "$CLUSTER" ]; then arguments+=("--cluster=$CLUSTER"); fi
if [ -n "$CONTEXT" ]; then arguments+=("--context=$CONTEXT"); fi
if [ -n "$AT" ]; then arguments+=("--at=$AT"); fi
if [ -n "$AGAINST" ]; then arguments+=("--against=$AGAINST"); fi
if [ "$POST" = true ]; then arguments+=(--post=github "--post-detail=$DETAIL"); fi

source "$(dirname "${BASH_SOURCE[0]}")/../kubeconfig.sh"

name="drift-${CLUSTER:-cluster}"
mkdir -p "${RUNNER_TEMP:?}/gitops-dr-reports"
report="$RUNNER_TEMP/gitops-dr-reports/$name.$FORMAT"
code=0
"$RUNNER_TEMP/gitops-dr-environment/bin/gitops-dr" drift "${arguments[@]}" > "$report" || code=$?
{
  printf 'exit-code=%s\n' "$code"
  if [ -s "$report" ]; then printf 'report=%s\nname=%s\n' "$report" "$name"; fi
} >> "$GITHUB_OUTPUT"
if [ "$POST" != true ] && [ "$FORMAT" = markdown ]; then
  cat -- "$report" >> "${GITHUB_STEP_SUMMARY:-/dev/null}"
fi
if [ "$code" = 1 ] && [ "$FAIL_ON_DRIFT" != true ]; then exit 0; fi
exit "$code"
