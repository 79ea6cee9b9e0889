# shellcheck shell=bash
# The firewall's container, which keeps the rules in place as long as the platform is up, also after a
# reboot or somebody's flush. What the rules are is in scripts/firewall/rules.sh.

FIREWALL="$ROOT/scripts/firewall/firewall.sh"

firewall_source_hash() { cat "$ROOT"/scripts/firewall/{firewall,rules}.sh | sha256sum | cut -c1-16; }

# What the container is told of the machine, for compose.
export_firewall_facts() {
  FIREWALL_SOURCE_HASH="$(firewall_source_hash)"
  FIREWALL_RESOLVERS="$("$FIREWALL" resolvers | paste -sd' ')"
  FIREWALL_LOCK="$("$FIREWALL" lock)"
  export FIREWALL_SOURCE_HASH FIREWALL_RESOLVERS FIREWALL_LOCK
}

# Without the rules the platform starts all the same: its own machine may not need them, and /healthz says so.
stage_firewall() {
  export_firewall_facts
  mkdir -p "$CACHE_DIR/firewall/$INSTANCE"
  # One that is paused, or whose folder was removed under it, is well after a restart.
  if compose up -d firewall && { wait_for_rules || { docker restart "$INSTANCE-firewall" && wait_for_rules; }; }; then
    note "environments reach neither this machine nor a cloud's metadata$(who_isolates)"
  else
    docker logs --tail 12 "$INSTANCE-firewall" 2>&1 || true
    note "NOT SET (docker logs $INSTANCE-firewall): environments reach this machine"
  fi
}

# What there is to add where a kernel lacks what our own rules between environments take.
who_isolates() {
  local isolation
  read -r _ _ isolation <"$CACHE_DIR/firewall/$INSTANCE/state"
  [ "$isolation" != docker ] || printf '; from each other Docker alone keeps them (docker logs %s-firewall)' "$INSTANCE"
}

wait_for_rules() {
  local deadline=$(($(now_ms) + 10000))
  until docker exec "$INSTANCE-firewall" bash /sandbox/firewall.sh check 2>/dev/null; do
    [ "$(now_ms)" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

# From outside its container, which is gone by now, so that it works without an engine too.
stage_firewall_down() {
  "$FIREWALL" down
  rm -rf "$CACHE_DIR/firewall/$INSTANCE"
  note "rules removed"
}
