#!/bin/sh
# after-firewall.sh STATE SECONDS COMMAND…: runs COMMAND after the firewall's first heartbeat since this machine's start,
# and after so many seconds without one. At boot Docker starts the platform's containers at once and in no order, and the
# API starts environments, which need the rules.
state="$1"
tries="$(($2 * 10))"
shift 2
read -r boot </proc/sys/kernel/random/boot_id
while :; do
  heartbeat=''
  { read -r heartbeat _ <"$state"; } 2>/dev/null
  [ "$heartbeat" != "$boot" ] || exec "$@"
  [ "$tries" -gt 0 ] || break
  tries=$((tries - 1))
  sleep 0.1
done
echo "Starting without a heartbeat from the firewall ($state)." >&2
exec "$@"
