#!/usr/bin/env bash
# Runs a command of platform/cli/main.ts, or make-token.ts, with the project's Node 24 and the settings of .env.
set -euo pipefail
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"

load_settings
node="$(node_package_dir)/bin/node"
[ -x "$node" ] || die "Node 24 is not installed yet. Start the platform first: make up"
if [ "${1:-}" = token ]; then
  exec "$node" "$ROOT/scripts/make-token.ts"
elif [ "${1:-}" = logs ] && [ -t 0 ]; then
  # In a process group of its own, so that Ctrl-C ends the command without an error of make.
  set -m
  "$node" "$ROOT/platform/cli/main.ts" "$@"
else
  exec "$node" "$ROOT/platform/cli/main.ts" "$@"
fi
