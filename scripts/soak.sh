#!/usr/bin/env bash
# The long soak test: random operations and random kills of the API, on the real engine: `make soak`.
# The seed is fixed, so that runs can be compared; SOAK_SEED= sets another, SOAK_OPERATIONS= (default 400) the length.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export SOAK_OPERATIONS="${SOAK_OPERATIONS:-400}" SOAK_SEED="${SOAK_SEED:-31415}"
ARGS="platform/test/integration/soak.integration.test.ts" exec scripts/test.sh
