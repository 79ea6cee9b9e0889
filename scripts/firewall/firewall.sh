#!/usr/bin/env bash
# Closes what Docker leaves open to environments: this machine's own services (behind their network's gateway and every
# other address of the machine, the API and the published port of Nginx included), clouds' metadata services, and other
# environments in the instants in which Docker does not separate them (isolation_rules). It also gives environments this
# machine's address on their way out (address_rules). INPUT and DOCKER-USER jump to a chain of our own; rules of others
# are never changed.
#
#   firewall.sh keep       sets the rules, and puts back each that goes missing; never ends.
#                          The platform's container "firewall" runs it (docker-compose.yml).
#   firewall.sh check      in that container: exits 0 when the rules stand
#   firewall.sh down       on the machine: removes them; absent is fine
#   firewall.sh resolvers  on the machine: prints the value of FIREWALL_RESOLVERS
#   firewall.sh lock       on the machine: prints the value of FIREWALL_LOCK
#
# Settings: INSTANCE, SUBNET_POOL, PLATFORM_SUBNET, FIREWALL_RESOLVERS; FIREWALL_STATE names the heartbeat's file.
set -euo pipefail
export LC_ALL=C.UTF-8 PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

INSTANCE="${INSTANCE:-sandbox}"
STATE_FILE="${FIREWALL_STATE:-/run/sandbox/state}"
CHECK_EVERY="${FIREWALL_CHECK_EVERY:-2}" # seconds; tests check more often
# Seconds to wait for another program that is changing rules.
LOCK_WAIT=10
# A hash, since chain names are short and instance names need not be.
CHAIN="SANDBOX-$(printf '%s' "$INSTANCE" | sha256sum | cut -c1-12)"
# In the table "nat", for incoming packets: outgoing ones have other rules.
CHAIN_IN="$CHAIN-in"
# Reached from CHAIN, for packets that stay within a bridge; empty where the kernel cannot tell them.
CHAIN_WITHIN="$CHAIN-within"
# our_lines appends this to a jump to our chain that comes before all rules of others.
FIRST=', before all others'
# Docker's own jump; without it no packet passes DOCKER-USER.
DOCKER_JUMP='-A FORWARD -j DOCKER-USER'

# shellcheck source=scripts/firewall/rules.sh
source "$(dirname "${BASH_SOURCE[0]}")/rules.sh"

# The kernel has two places for rules, and a machine uses the one that its iptables command is made for.
# Asking the older one creates it, so it is asked only where it is in use.
iptables_commands() {
  local found=''
  if grep -qsx filter /proc/net/ip_tables_names && command -v iptables-legacy; then found=yes; fi
  if command -v iptables-nft; then found=yes; fi
  [ -n "$found" ] || command -v iptables
}

# Reads the present rules into $FILTER and $OTHERS, and into $IPTABLES the command for the place where Docker has its
# rules, since ours belong there. Where Docker has none (it may be told to), any place that works.
read_tables() {
  local candidate rules table
  IPTABLES='' FILTER='' OTHERS=''
  for candidate in $(iptables_commands); do
    rules="$("$candidate" -w "$LOCK_WAIT" -S)" || continue
    IPTABLES="$candidate" FILTER="$rules"
    case "$rules" in *'-N DOCKER-USER'*) break ;; esac
  done
  [ -n "$IPTABLES" ] || { echo 'no iptables that works here' >&2 && return 1; }
  # A kernel may lack one of them.
  OTHERS="$(for table in mangle nat; do read_table "$table" || true; done)"
}

read_table() { "$IPTABLES" -w "$LOCK_WAIT" -t "$1" -S 2>/dev/null | sed "s/^/$1 /"; }

# The lines of these tables that concern us, with $FIRST at jumps of ours that come first: behind an ACCEPT of others
# they are worth nothing. Jumps of other instances do not count: they let nothing through, and would want to be before
# ours in turn. In POSTROUTING of "nat" Docker puts the rules of each new network first; they concern that network alone.
our_lines() {
  printf '%s\n' "$FILTER" "$OTHERS" | awk -v chain="$CHAIN" -v docker="$DOCKER_JUMP" -v first="$FIRST" '
    match($0, /-A [^ ]+ /) { place = substr($0, 1, RSTART + RLENGTH) }
    index($0, chain) || index($0, docker) { print $0 ($0 ~ "-j " chain "(-in)?$" && !/^nat -A POSTROUTING / && !others[place] ? first : "") }
    !/-j SANDBOX-[0-9a-f]+(-in)?$/ { others[place] = 1 }'
}

# are_complete LINES ISOLATION: whether these have every jump to our chains, before all others where that matters.
are_complete() {
  local from
  local -a jumps=('-A INPUT' '-A (DOCKER-USER|FORWARD)')
  [ "$2" = docker ] || jumps+=('mangle -A POSTROUTING')
  for from in "${jumps[@]}"; do
    grep -qE -e "^$from .*-j $CHAIN$FIRST\$" <<<"$1" || return 1
  done
  grep -qE -e "^nat -A PREROUTING .*-j $CHAIN_IN$FIRST\$" <<<"$1" &&
    grep -qE -e "^nat -A POSTROUTING .*-j $CHAIN\$" <<<"$1"
}

filter_has() { [[ $'\n'"$FILTER"$'\n' == *$'\n'"$1"$'\n'* ]]; }

# The present lines of ours, and the kernel's way of telling packets within a bridge, for which they were made.
snapshot() { read_tables && our_lines && within_a_bridge; }

# iptables commands of the older kind must not run at once: they take turns by means of this file. Elsewhere it does not
# exist, and Docker would create a folder where it is asked to mount an absent file.
lock() {
  if read_tables 2>/dev/null && [[ "$("$IPTABLES" --version)" == *legacy* ]]; then
    echo /run/xtables.lock
  else
    echo /dev/null
  fi
}

# Sets the rules; where they stand already, sets them again.
set_rules() {
  local from
  local -a sources=(INPUT DOCKER-USER)
  read_tables || return 1
  # Docker promises to put nothing before our rules in DOCKER-USER. After `iptables -F` nothing leads there.
  filter_has "$DOCKER_JUMP" || sources=(INPUT FORWARD)
  rules | "$IPTABLES-restore" -w "$LOCK_WAIT" --noflush || return 1
  for from in "${sources[@]}"; do put_jump_first filter "$from" || return 1; done
  [ "${sources[1]}" = FORWARD ] || ! has_jump filter FORWARD || jump -D filter FORWARD || return 1
  # Last, so that the refusals stand also where these cannot be set.
  address_rules | "$IPTABLES-restore" -w "$LOCK_WAIT" --noflush || return 1
  put_jump_first nat PREROUTING "$CHAIN_IN" && put_jump_first nat POSTROUTING
}

set_isolation() {
  read_tables || return 1
  isolation_rules | "$IPTABLES-restore" -w "$LOCK_WAIT" --noflush || return 1
  put_jump_first mangle POSTROUTING
}

# put_jump_first TABLE FROM [CHAIN]: moves the jump in one transaction, so that no packet misses it meanwhile.
put_jump_first() {
  local rule="$2 -m comment --comment \"sandbox $INSTANCE\" -j ${3:-$CHAIN}" former=''
  ! has_jump "$@" || former="-D $rule"
  printf '%s\n' "*$1" "$former" "-I $rule" COMMIT | "$IPTABLES-restore" -w "$LOCK_WAIT" --noflush
}

# jump -C|-D TABLE FROM [CHAIN]
jump() { "$IPTABLES" -w "$LOCK_WAIT" -t "$2" "$1" "$3" -m comment --comment "sandbox $INSTANCE" -j "${4:-$CHAIN}"; }
has_jump() { jump -C "$@" 2>/dev/null; }

# remove TABLE CHAIN FROM…: removes the chain and the jumps to it; absent is fine.
remove() {
  local table="$1" chain="$2" from
  shift 2
  for from in "$@"; do
    while jump -D "$table" "$from" "$chain" 2>/dev/null; do :; done
  done
  "$IPTABLES" -w "$LOCK_WAIT" -t "$table" -F "$chain" 2>/dev/null || true
  "$IPTABLES" -w "$LOCK_WAIT" -t "$table" -X "$chain" 2>/dev/null || true
}

# What keeps environments from each other: Docker and our rules ("ours"), or Docker alone ("docker"), where the kernel
# lacks what ours need.
ISOLATION=''

# Sets the isolation rules, or logs once that the kernel lacks something for them.
isolate() {
  local error
  if error="$(set_isolation 2>&1)"; then
    ISOLATION=ours
    return
  fi
  # Former ones may be for a kernel that did not show packets within a bridge yet.
  read_tables 2>/dev/null && remove mangle "$CHAIN" POSTROUTING
  [ "$ISOLATION" = docker ] ||
    log "Docker alone keeps environments from each other, with gaps of an instant; our rules cannot be set: $error"
  ISOLATION=docker
  return 1
}

# The snapshots taken after the rules were set, and at the last check.
EXPECTED='' ACTUAL=''

# Compares twice: whenever a network comes, Docker takes its jump away for an instant.
rules_stand() {
  [ -n "$EXPECTED" ] || return 1
  ACTUAL="$(snapshot 2>/dev/null)" || ACTUAL=''
  [ "$ACTUAL" != "$EXPECTED" ] || return 0
  sleep 0.2
  ACTUAL="$(snapshot 2>/dev/null)" || ACTUAL=''
  [ "$ACTUAL" = "$EXPECTED" ]
}

keep() {
  local error logged='' former
  while :; do
    if ! rules_stand; then
      former="$EXPECTED"
      if error="$(set_rules 2>&1)"; then
        isolate || true
        log "$(describe "$former" "$ACTUAL")"
        logged=''
        expect_present_rules
      else
        # Logged once, although it is tried at every check.
        [ "$error" = "$logged" ] || log "cannot set the rules: $error"
        logged="$error"
        write_heartbeat failed
      fi
    elif [ "$ISOLATION" = docker ] && isolate; then
      log "our rules keep environments from each other now, too"
      expect_present_rules
    else
      # The API takes an old heartbeat for a firewall that has ended.
      touch -c "$STATE_FILE" && [ -s "$STATE_FILE" ] || write_heartbeat "$(fingerprint) $ISOLATION"
    fi
    sleep "$CHECK_EVERY"
  done
}

# Expects from now on what stands, unless another program has changed it since.
expect_present_rules() {
  EXPECTED="$(snapshot 2>/dev/null)" && are_complete "$EXPECTED" "$ISOLATION" || EXPECTED=''
  write_heartbeat "$(fingerprint) $ISOLATION"
}

# describe FORMER ACTUAL: prints what has just been done, and why.
describe() {
  local missing
  if [ -z "$1" ]; then
    printf 'rules set: chain %s' "$CHAIN"
    return
  fi
  missing="$(printf '%s\n' "$1" | grep -Fxv -f <(printf '%s\n' "$2") | paste -sd';' | sed 's/;/; /g')" || missing=''
  printf 'rules put back; missing: %s' "${missing:-nothing, but there were more than ours}"
}

log() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"; }

# write_heartbeat TEXT: writes "<boot id> <fingerprint of the rules> <isolation>", or "<boot id> failed". The API's
# container waits for it (after-firewall.sh), and the API reads it for /healthz. Every check touches the file.
write_heartbeat() {
  { printf '%s %s\n' "$(boot_id)" "$1" >"$STATE_FILE.new" && mv "$STATE_FILE.new" "$STATE_FILE"; } ||
    log "cannot write $STATE_FILE"
}

boot_id() { cat /proc/sys/kernel/random/boot_id; }

fingerprint() { { rules && isolation_rules && address_rules; } | sha256sum | cut -c1-16; }

check() {
  local boot which isolation lines
  { read -r boot which isolation <"$STATE_FILE"; } 2>/dev/null || return 1
  [ "$boot $which" = "$(boot_id) $(fingerprint)" ] || return 1
  lines="$(snapshot 2>/dev/null)" || return 1
  are_complete "$lines" "$isolation"
}

down() {
  for IPTABLES in $(iptables_commands); do
    remove filter "$CHAIN" INPUT FORWARD DOCKER-USER
    remove filter "$CHAIN_WITHIN"
    remove mangle "$CHAIN" POSTROUTING
    remove nat "$CHAIN" POSTROUTING
    remove nat "$CHAIN_IN" PREROUTING
  done
}

case "${1:-}" in
  keep | check | down | resolvers | lock) "$1" ;;
  *)
    echo 'firewall.sh keep|check|down|resolvers|lock' >&2
    exit 1
    ;;
esac
