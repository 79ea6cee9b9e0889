#!/usr/bin/env bash
# Sets up what the platform and its tests need: the engine, npm packages, images. Starts nothing of the platform.
set -euo pipefail
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"

load_settings
run_stage preflight stage_preflight
setup_stages
