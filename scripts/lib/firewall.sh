# shellcheck shell=bash
# The firewall's container, which keeps the rules of scripts/firewall/rules.sh in place as long as the platform is up,
# also after a reboot or a flush.

FIREWALL="$ROOT/scripts/firewall/firewall.sh"

firewall_source_hash() { cat "$ROOT"/scripts/firewall/{firewall,rules}.sh | sha256sum | cut -c1-16; }

# Exports the facts of the machine that compose hands to the container.
export_firewall_facts() {
  FIREWALL_SOURCE_HASH="$(firewall_source_hash)"
  FIREWALL_RESOLVERS="$("$FIREWALL" resolvers | paste -sd' ')"
  FIREWALL_LOCK="$("$FIREWALL" lock)"
  export FIREWALL_SOURCE_HASH FIREWALL_RESOLVERS FIREWALL_LOCK
}

# The platform starts also without the rules, which its machine may not need: /healthz says so.
stage_firewall() {
  export_firewall_facts
  mkdir -p "$CACHE_DIR/firewall/$INSTANCE"
  # A restart repairs a container that is paused or lost its folder.
  if compose up -d firewall && { wait_for_rules || { docker restart "$INSTANCE-firewall" && wait_for_rules; }; }; then
    note "environments reach neither this machine nor a cloud's metadata$(isolation_note)"
  else
    docker logs --tail 12 "$INSTANCE-firewall" 2>&1 || true
    note "NOT SET (docker logs $INSTANCE-firewall): environments reach this machine"
  fi
}

# What to add where the kernel lacks something for our rules between environments.
isolation_note() {
  local isolation
  read -r _ _ isolation <"$CACHE_DIR/firewall/$INSTANCE/state"
  [ "$isolation" != docker ] || printf '; Docker alone keeps them from each other (docker logs %s-firewall)' "$INSTANCE"
}

wait_for_rules() {
  local deadline=$(($(now_ms) + 10000))
  until docker exec "$INSTANCE-firewall" bash /sandbox/firewall.sh check 2>/dev/null; do
    [ "$(now_ms)" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

# Outside of the container, which is gone by now: this works also without an engine.
stage_firewall_down() {
  "$FIREWALL" down
  rm -rf "$CACHE_DIR/firewall/$INSTANCE"
  note "rules removed"
}
