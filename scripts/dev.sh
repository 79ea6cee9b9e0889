#!/usr/bin/env bash
# Runs the API on the host, restarted when its code changes, with Nginx in its container: `make dev`.
set -euo pipefail
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"

stage_nginx_only() {
  mkdir -p "$(in_root "$NGINX_CONF_DIR")" "$CACHE_DIR/nginx/$INSTANCE"
  NGINX_SOURCE_HASH="$(nginx_source_hash)"
  export NGINX_SOURCE_HASH
  compose rm --stop --force api
  compose up -d nginx
  note "$INSTANCE-nginx; the API stops in its container and runs here"
}

load_settings
run_stage preflight stage_preflight
setup_stages
run_stage firewall stage_firewall
run_stage start stage_nginx_only
cd "$ROOT"
exec npm run --silent dev
