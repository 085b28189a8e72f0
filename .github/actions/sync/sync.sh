#!/usr/bin/env bash
# One sync. What it reads stands in action.yaml, under env; it writes the output exit-code. The key is
# handed on in the environment and never written to a file.
set -euo pipefail

arguments=(--repo=. --yes)
if [ -n "$CLUSTER" ]; then arguments+=("--cluster=$CLUSTER"); fi
if [ -n "$CONTEXT" ]; then arguments+=("--context=$CONTEXT"); fi
if [ -n "$TARGET" ]; then arguments+=("--target=$TARGET"); fi
if [ "$REPLACE_CLAIMS" = true ]; then arguments+=(--replace-claims); fi
if [ "$DROP_REPLACED" = true ]; then arguments+=(--drop-replaced); fi
if [ -n "$SIGNERS" ]; then arguments+=("--trusted-signers=$(realpath -- "$SIGNERS")"); fi

source "$(dirname "${BASH_SOURCE[0]}")/../kubeconfig.sh"
if [ -n "$AGE_KEY" ]; then export SOPS_AGE_KEY="$AGE_KEY"; fi
unset AGE_KEY
cd -- "$REPOSITORY"

code=0
"${RUNNER_TEMP:?}/gitops-dr-environment/bin/gitops-dr" sync "${arguments[@]}" || code=$?
printf 'exit-code=%s\n' "$code" >> "$GITHUB_OUTPUT"
exit "$code"
