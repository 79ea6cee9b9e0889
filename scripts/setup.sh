#!/usr/bin/env bash
# Everything that must be there before the platform or its tests can run: the engine, npm packages,
# images. Starts nothing of the platform itself.
set -euo pipefail
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"

load_settings
run_stage preflight stage_preflight
setup_stages
