#!/usr/bin/env bash
# Wipes state, routes, logs and archives: `make clean`. Refuses while containers of this instance exist, which use
# these files.
set -euo pipefail
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"

# wipe SETTING FOLDER: removes everything in it but .gitkeep, which keeps the folder in git.
wipe() {
  local folder
  folder="$(in_root "$2")"
  [ -d "$folder" ] || return 0
  # A setting that names the project's folder or one above it must not empty it.
  case "$ROOT/" in "$(realpath "$folder")"/*) die "$1 ($2) holds the project itself: not wiping it." ;; esac
  printf '  ok  %-14s %s entries\n' "$2" "$(find "$folder" -mindepth 1 -maxdepth 1 ! -name .gitkeep | wc -l)"
  find "$folder" -mindepth 1 -maxdepth 1 ! -name .gitkeep -exec rm -rf {} +
}

load_settings
if engine_answers && [ -n "$(docker ps --all --quiet --filter "label=sandbox.platform=$INSTANCE")" ]; then
  die "the platform or its environments are up. Run make down first."
fi
if port_in_use "$PLATFORM_HOST" "$PLATFORM_PORT"; then
  die "port $PLATFORM_PORT is in use$(port_holder "$PLATFORM_PORT"): an API may still be running. Stop it first."
fi
# The id of the state folder first: without its sentinel the folder would be refused.
rm -rf "$CACHE_DIR/state/$INSTANCE"
wipe ENVS_DIR "$ENVS_DIR"
wipe NGINX_CONF_DIR "$NGINX_CONF_DIR"
wipe LOGS_DIR "$LOGS_DIR"
