#!/usr/bin/env bash
# Sets everything up and starts the platform: `make up`. A second run changes nothing.
set -euo pipefail
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"

stage_start() {
  API_SOURCE_HASH="$(api_source_hash)"
  NGINX_SOURCE_HASH="$(nginx_source_hash)"
  export API_SOURCE_HASH NGINX_SOURCE_HASH
  mkdir -p "$(in_root "$NGINX_CONF_DIR")" "$(in_root "$ENVS_DIR")" "$(in_root "$LOGS_DIR")" "$CACHE_DIR/state/$INSTANCE"
  # Nginx's workers read it as the user nobody, also after a checkout with a strict umask.
  chmod a+rx "$(in_root "$NGINX_CONF_DIR")"
  clear_outdated_routes
  remove_stopped_nginx
  # Nginx first: the API connects it to the environments' networks as it starts, and an Nginx that is replaced after
  # that would be on none of them until the next reconcile.
  { compose up -d nginx && compose up -d api; } || stage_fail "Compose could not start the platform; its message is below." \
    "If it says that a network or address overlaps: set PLATFORM_SUBNET and NGINX_ADDRESS in .env to a" \
    "range that is free on this machine. If it says that something exists with other settings or labels" \
    "(the settings or the compose tool have changed): run make down. Then run make up again."
  note "$INSTANCE-nginx, $INSTANCE-api"
}

# Removes the routes that were generated for another version of Nginx's configuration. The API writes them again as it
# starts.
clear_outdated_routes() {
  local label='{{index .Config.Labels "sandbox.source"}}' conf
  [ "$(docker inspect --format "$label" "$INSTANCE-nginx" 2>/dev/null)" != "$NGINX_SOURCE_HASH" ] || return 0
  conf="$(in_root "$NGINX_CONF_DIR")"
  rm -rf "$conf"/env-*.conf "$conf"/00-*.conf "$conf/enabled"
}

# A stopped Nginx may wait for networks that are gone and would not start; a new one is connected to all that exist.
remove_stopped_nginx() {
  docker ps --all --quiet --filter status=exited --filter "label=sandbox.platform=$INSTANCE" \
    --filter label=sandbox.role=nginx | xargs --no-run-if-empty docker rm >/dev/null
}

# Without this check a platform that refuses its settings would restart for ever.
stage_settings() {
  cd "$ROOT"
  "$(node_package_dir)/bin/node" scripts/check-settings.ts || stage_fail "Do as it says, then run make up again."
  note "the platform accepts them"
}

stage_health() {
  if ! "$(node_package_dir)/bin/node" "$ROOT/platform/cli/main.ts" wait; then
    printf '\nThe API container (%s-api) says:\n' "$INSTANCE"
    docker logs --tail 12 "$INSTANCE-api" 2>&1 || true
    stage_fail "The platform started but is not healthy. Its answer is below; for more:" \
      "  curl -s $(api_url)/healthz" "  docker logs $INSTANCE-api"
  fi
  note "$(api_url)/healthz is 200"
}

load_settings
run_stage preflight stage_preflight
run_stage ports stage_ports
setup_stages
run_stage settings stage_settings
run_stage firewall stage_firewall
run_stage extra.d stage_extra_conf
run_stage start stage_start
run_stage healthz stage_health

site="http://<id>.$BASE_DOMAIN"
[ "$NGINX_PORT" = 80 ] || site="$site:$NGINX_PORT"
cat <<END

  API          $(api_url)
  Front door   $site

  Try          curl -sX POST $(api_url)/envs -H 'content-type: application/json' -d '{"name":"hello"}'
               make help
END
