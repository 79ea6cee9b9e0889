#!/usr/bin/env bash
# Destroys every environment and stops the platform: `make down`. Works through the API where it answers; without the
# API or the engine it removes what is left. Touches only objects with this instance's label.
set -euo pipefail
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"

ours() { # ours containers|networks [more filters…]
  local -a filter=(--quiet --filter "label=sandbox.platform=$INSTANCE")
  case "$1" in
    containers) docker ps --all "${filter[@]}" "${@:2}" ;;
    networks) docker network ls "${filter[@]}" "${@:2}" ;;
  esac
}

lines() { wc -l | tr -d ' '; }

stage_environments() {
  local node
  node="$(node_package_dir)/bin/node"
  if [ -x "$node" ] && "$node" "$ROOT/platform/cli/main.ts" destroy-all >&3; then
    note "destroyed through the API"
  else
    # The next stage removes them by their label.
    note "the API does not answer or allow it: removing them without it"
  fi
}

stage_platform() {
  local -a api containers networks
  # The API first: it would repair what is removed below.
  mapfile -t api < <(ours containers --filter label=sandbox.role=api)
  [ "${#api[@]}" -eq 0 ] || docker stop --time 35 "${api[@]}" >/dev/null
  mapfile -t containers < <(ours containers)
  [ "${#containers[@]}" -eq 0 ] || docker rm --force --volumes "${containers[@]}"
  mapfile -t networks < <(ours networks)
  [ "${#networks[@]}" -eq 0 ] || remove_networks "${networks[@]}"
  note "removed: containers ${#containers[@]}, networks ${#networks[@]}"
}

remove_networks() {
  local network guest
  for network in "$@"; do
    # A container of others that joined the network is disconnected, not removed.
    for guest in $(docker network inspect --format '{{range $id, $_ := .Containers}}{{$id}} {{end}}' "$network"); do
      docker network disconnect --force "$network" "$guest"
    done
    docker network rm "$network"
  done
}

# The files of environments that the API did not destroy itself.
stage_files() {
  local envs logs conf file id count=0
  envs="$(in_root "$ENVS_DIR")"
  logs="$(in_root "$LOGS_DIR")"
  conf="$(in_root "$NGINX_CONF_DIR")"
  for file in "$envs"/*.json; do
    [ -f "$file" ] || continue
    id="$(basename "$file" .json)"
    if [ -d "$logs/$id" ] && [ ! -e "$logs/archived/$id" ]; then
      mkdir -p "$logs/archived"
      # The owner, as in platform/store/archive/archive-folder.ts: the state file that names it is removed next.
      sed -nE 's/^  "owner": "([^"\\]+)",$/\1/p' "$file" | tr -d '\n' >"$logs/$id/owner"
      mv "$logs/$id" "$logs/archived/$id"
    fi
    rm -f "$file"
    count=$((count + 1))
  done
  rm -rf "$envs/secrets"
  # Every environment is gone, so the next start may use another state folder and other subnets. The copy goes first: a
  # folder without its sentinel would be refused.
  rm -rf "$CACHE_DIR/state/$INSTANCE"
  rm -f "$envs/.sentinel"
  # Enabled flags and the reload mark too: a later route of the same id would be enabled before its time.
  rm -rf "$conf"/env-*.conf "$conf/00-config-version.conf" "$conf/enabled" "$conf/.reloading"
  rm -rf "$CACHE_DIR/nginx/$INSTANCE"
  note "removed: leftover state files $count"
}

stage_stop_engine() {
  local result
  result="$(stop_engine)"
  note "${result:-not ours, left as it is}"
}

load_settings
exec 3>&1
if engine_answers; then
  run_stage envs stage_environments
  run_stage platform stage_platform
  run_stage files stage_files
  run_stage firewall stage_firewall_down
  run_stage engine stage_stop_engine
else
  echo '  The Docker engine is not running, so no container is; what a stopped engine still holds is'
  echo '  removed when the platform is started the next time.'
  run_stage files stage_files
  run_stage firewall stage_firewall_down
fi
if port_in_use "$PLATFORM_HOST" "$PLATFORM_PORT"; then
  echo "  Something still listens on port $PLATFORM_PORT$(port_holder "$PLATFORM_PORT"): an API started with npm run dev is yours to stop."
fi
