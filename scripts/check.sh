#!/usr/bin/env bash
# The gate: types, lint, format, import boundaries, dead code, then every test. `make check`.
set -euo pipefail
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"

load_settings
engine_answers && ENGINE_WAS_RUNNING=yes || ENGINE_WAS_RUNNING=no
export ENGINE_WAS_RUNNING
"$ROOT/scripts/setup.sh"
npm --prefix "$ROOT" run --silent check
exec "$ROOT/scripts/test.sh"
