#!/usr/bin/env bash
# The long soak: random operations among random kills of the API, on the real engine: `make soak`.
# SOAK_SEED= repeats a run, SOAK_OPERATIONS= (default 400) sets its length.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export SOAK_OPERATIONS="${SOAK_OPERATIONS:-400}" SOAK_SEED="${SOAK_SEED:-$RANDOM$RANDOM}"
ARGS="--project integration platform/test/integration/soak.integration.test.ts" exec scripts/test.sh
