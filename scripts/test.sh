#!/usr/bin/env bash
# Sets up what the tests need, runs them all, and ends with a line that counts them: `make test`.
# ARGS="…" is passed to vitest.
set -euo pipefail
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"

load_settings
# `make check` passes this, since its own set-up may have started the engine just now.
engine_was_running="${ENGINE_WAS_RUNNING:-}"
[ -n "$engine_was_running" ] || { engine_answers && engine_was_running=yes || engine_was_running=no; }
"$ROOT/scripts/setup.sh" || {
  echo '0 passed, 1 failed'
  exit 1
}
one_at_a_time
run_stage browser stage_browser
end_one_at_a_time
load_image_choice

forget_settings

make_stage_dir
report="$STAGE_DIR/vitest.json"
read -r -a args <<<"${ARGS:-}"
status=0
# Ctrl-C ends vitest and not this script, which still has to clean up.
trap : INT
(cd "$ROOT" && npx vitest run --reporter=default --reporter=json "--outputFile.json=$report" "${args[@]}") || status=$?

# A daemon that this run's set-up started is stopped, unless others use it by now.
if [ "$engine_was_running" = no ] && engine_is_ours; then
  echo "Docker engine: $(stop_engine)"
fi

"$(node_package_dir)/bin/node" "$ROOT/scripts/lib/count-tests.ts" "$report" "$status"
