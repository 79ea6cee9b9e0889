#!/usr/bin/env bash
# Measures the platform against the bare engine, on an instance of its own: `make bench` (docs/performance.md).
# BENCH_ONLY=create,warm,… chooses rows; BENCH_SAMPLES=20, BENCH_MINUTES=2 and BENCH_ENVS=200 set how much is
# measured; ARGS="--json FILE" names the file for the figures.
set -euo pipefail
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"

# Optional: without it the front-door row says so, and the others are measured.
stage_wrk() {
  if have wrk; then
    note 'installed already'
  elif have apt-get; then
    apt_install wrk
    note 'installed'
  else
    note 'missing: install it for the front-door row'
  fi
}

load_settings
engine_answers && engine_was_running=yes || engine_was_running=no
"$ROOT/scripts/setup.sh"
run_stage wrk stage_wrk
load_image_choice
forget_settings

read -r -a args <<<"${ARGS:-}"
status=0
# Ctrl-C ends the bench, which cleans up first, and not this script.
trap : INT
"$(node_package_dir)/bin/node" "$ROOT/bench/bench.ts" "${args[@]}" || status=$?

# A daemon that this run's set-up started is stopped, unless others use it by now.
if [ "$engine_was_running" = no ] && engine_is_ours; then
  echo "Docker engine: $(stop_engine)"
fi
exit "$status"
