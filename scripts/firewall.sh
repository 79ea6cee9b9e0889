#!/usr/bin/env bash
# Sets or removes the firewall rules of one instance (INSTANCE, SUBNET_POOL), as `make up` and
# `make down` do: scripts/firewall.sh up|down. Tests use it for instances of their own.
set -euo pipefail
# shellcheck source=scripts/lib/all.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/all.sh"

load_settings
case "${1:-}" in
  up) firewall_up || die "iptables does not take the rules; its words are above. Is Docker running, and this shell root's?" ;;
  down) firewall_down ;;
  *) die "say up or down" ;;
esac
