#!/usr/bin/env bash
# The README's walkthrough, run line by line against a platform that is up (make up). Every line
# shown after "$" is what is executed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/lib/all.sh
source scripts/lib/all.sh
load_settings
door=$BASE_DOMAIN
[ "$NGINX_PORT" = 80 ] || door="$door:$NGINX_PORT"

run() {
  printf '$ %s\n' "$1"
  eval "$1"
  printf '\n'
}

run "API=$(api_url) DOOR=$door JSON='content-type: application/json'"
run "ENV=\$(curl -s -X POST \$API/envs -H \"\$JSON\" -d '{\"name\":\"hello\",\"ttl\":600}' | sed 's/.*\"id\":\"\\([^\"]*\\).*/\\1/'); echo \$ENV"
run "curl -s http://\$ENV.\$DOOR/health"
run "curl -s \$API/envs/\$ENV"
run "curl -s \$API/envs/\$ENV/logs -H 'accept: text/plain'"

run "curl -s -X POST \$API/envs/\$ENV/outage -H \"\$JSON\" -d '{\"mode\":\"crash\"}' | grep -o '\"outage\":.*'"
run "curl -s -o /dev/null -w '%{http_code}\\n' http://\$ENV.\$DOOR/health"
run "until curl -s \$API/envs/\$ENV | grep -o '\"status\":\"degraded\"'; do sleep 1; done"
run "make health ENV=\$ENV"
run "curl -s -X POST \$API/envs/\$ENV/outage -H \"\$JSON\" -d '{\"mode\":\"recover\"}' | grep -o '\"status\":\"[a-z]*\"'"
run "curl -s -o /dev/null -w '%{http_code}\\n' http://\$ENV.\$DOOR/health"

run "make simulate ENV=\$ENV MODE=pause DURATION=5"
run "make simulate ENV=\$ENV MODE=recover"
run "make simulate ENV=\$ENV MODE=network"
run "make simulate ENV=\$ENV MODE=recover"
run "make simulate ENV=\$ENV MODE=stress DURATION=20"
run "make simulate ENV=\$ENV MODE=recover"
run "make health ENV=\$ENV"

run "curl -s -X DELETE \$API/envs/\$ENV"
run "curl -s http://\$ENV.\$DOOR/"
run "curl -s \"\$API/envs/\$ENV/logs?lines=2\" -H 'accept: text/plain'"

run "ENV=\$(curl -s -X POST \$API/envs -H \"\$JSON\" -d '{\"name\":\"brief\",\"ttl\":10}' | sed 's/.*\"id\":\"\\([^\"]*\\).*/\\1/'); echo \$ENV"
run "while curl -s \$API/envs/\$ENV | grep -q '\"ttl_remaining\"'; do sleep 1; done; tail -n 2 logs/cleanup.log"
