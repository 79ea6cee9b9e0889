#!/usr/bin/env bash
# The gate: types, lint, format, import boundaries, dead code, then every test. `make check`.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
"$root/scripts/setup.sh"
npm --prefix "$root" run --silent check
exec "$root/scripts/test.sh"
