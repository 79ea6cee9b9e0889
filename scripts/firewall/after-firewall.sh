#!/bin/sh
# after-firewall.sh STATE SECONDS COMMAND…: runs COMMAND once the firewall's container has had its say since
# this machine started, and after so many seconds in any case. At boot Docker starts the platform's
# containers at once and in no order; environments, which the API starts, shall find the rules in place.
state="$1"
tries="$(($2 * 10))"
shift 2
read -r boot </proc/sys/kernel/random/boot_id
while :; do
  said=''
  { read -r said _ <"$state"; } 2>/dev/null
  [ "$said" != "$boot" ] || exec "$@"
  [ "$tries" -gt 0 ] || break
  tries=$((tries - 1))
  sleep 0.1
done
echo "Starting without word from the firewall ($state)." >&2
exec "$@"
