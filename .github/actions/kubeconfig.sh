# Sourced. Puts the kubeconfig that KUBECONFIG_CONTENT holds into a file that only this user can
# read, for as long as the script runs. Without one, KUBECONFIG stays as an earlier step left it.
if [ -n "${KUBECONFIG_CONTENT:-}" ]; then
  kubeconfig_place="$(mktemp -d "${RUNNER_TEMP:?}/kubeconfig.XXXXXX")"
  trap 'rm -rf -- "$kubeconfig_place"' EXIT
  (umask 077 && printf '%s\n' "$KUBECONFIG_CONTENT" > "$kubeconfig_place/kubeconfig")
  export KUBECONFIG="$kubeconfig_place/kubeconfig"
fi
unset KUBECONFIG_CONTENT
