#!/usr/bin/env bash
# What Docker does not keep environments from: this machine's own services (through their network's
# gateway and every other address of the machine, the API and the published front door included) and
# clouds' metadata services. One chain of ours holds the rules; INPUT and DOCKER-USER jump to it.
# And each other, in the instants in which Docker does not: see isolation_rules. And it has them reach the world, which
# is left to us: see address_rules.
#
#   firewall.sh keep       sets the rules, and puts back whatever of them goes missing; never ends.
#                          The platform's container "firewall" runs it (docker-compose.yml).
#   firewall.sh check      in that container: exits 0 when the rules stand
#   firewall.sh down       on the machine: removes them; absent is fine
#   firewall.sh resolvers  on the machine: what FIREWALL_RESOLVERS is to be
#   firewall.sh lock       on the machine: what FIREWALL_LOCK is to be
#
# Settings: INSTANCE, SUBNET_POOL, PLATFORM_SUBNET, FIREWALL_RESOLVERS; FIREWALL_STATE names the file that
# says how it went.
set -euo pipefail
export LC_ALL=C.UTF-8 PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

INSTANCE="${INSTANCE:-sandbox}"
STATE_FILE="${FIREWALL_STATE:-/run/sandbox/state}"
LOOK_EVERY="${FIREWALL_LOOK_EVERY:-2}" # seconds; tests look more often
# Seconds to wait for somebody else who is changing rules.
PATIENCE=10
# Chain names are short and instance names need not be.
CHAIN="SANDBOX-$(printf '%s' "$INSTANCE" | sha256sum | cut -c1-12)"
# The one for what comes in, in "nat", where what goes out cannot share it.
CHAIN_IN="$CHAIN-in"
# The one for what stays within a bridge, to which ours leads; empty where the kernel cannot tell.
CHAIN_WITHIN="$CHAIN-within"
# What look adds to a jump to our chain that comes before everybody else's rules.
FIRST=', before all others'
# Docker's own jump, without which DOCKER-USER is a chain that no packet passes through.
DOCKER_JUMP='-A FORWARD -j DOCKER-USER'

# shellcheck source=scripts/firewall/rules.sh
source "$(dirname "${BASH_SOURCE[0]}")/rules.sh"

# The kernel has two places for rules, and a machine uses the one that its iptables command is made for.
# The older one is asked only where it is in use, since asking brings it into being.
tools() {
  local found=''
  if grep -qsx filter /proc/net/ip_tables_names && command -v iptables-legacy; then found=yes; fi
  if command -v iptables-nft; then found=yes; fi
  [ -n "$found" ] || command -v iptables
}

# Reads the rules as they are into $TABLE and $OTHERS, and into $TOOL the command for the place where Docker
# has its own, to which ours belong; where Docker has none (it may be told to), for any place that works.
read_tables() {
  local tool table
  TOOL='' TABLE='' OTHERS=''
  for tool in $(tools); do
    table="$("$tool" -w "$PATIENCE" -S)" || continue
    TOOL="$tool" TABLE="$table"
    case "$table" in *'-N DOCKER-USER'*) break ;; esac
  done
  [ -n "$TOOL" ] || { echo 'no iptables that works here' >&2 && return 1; }
  # A kernel may lack one of them.
  OTHERS="$(for table in mangle nat; do read_table "$table" || true; done)"
}

read_table() { "$TOOL" -w "$PATIENCE" -t "$1" -S 2>/dev/null | sed "s/^/$1 /"; }

# The lines of these tables that we care about, and which of our jumps come first: behind an ACCEPT of somebody's
# they are worth nothing. Jumps of other instances let nothing through, and would be before ours in turn. On the
# way out Docker puts its own in "nat" first whenever a network comes; they are about that network alone.
our_lines() {
  printf '%s\n' "$TABLE" "$OTHERS" | awk -v chain="$CHAIN" -v docker="$DOCKER_JUMP" -v first="$FIRST" '
    match($0, /-A [^ ]+ /) { place = substr($0, 1, RSTART + RLENGTH) }
    index($0, chain) || index($0, docker) { print $0 ($0 ~ "-j " chain "(-in)?$" && !/^nat -A POSTROUTING / && !others[place] ? first : "") }
    !/-j SANDBOX-[0-9a-f]+(-in)?$/ { others[place] = 1 }'
}

# whole LINES ISOLATION: whether these lead to our chain from everywhere, before all others where that matters.
whole() {
  local from
  local -a doors=('-A INPUT' '-A (DOCKER-USER|FORWARD)')
  [ "$2" = docker ] || doors+=('mangle -A POSTROUTING')
  for from in "${doors[@]}"; do
    grep -qE -e "^$from .*-j $CHAIN$FIRST\$" <<<"$1" || return 1
  done
  grep -qE -e "^nat -A PREROUTING .*-j $CHAIN_IN$FIRST\$" <<<"$1" &&
    grep -qE -e "^nat -A POSTROUTING .*-j $CHAIN\$" <<<"$1"
}

table_has() { [[ $'\n'"$TABLE"$'\n' == *$'\n'"$1"$'\n'* ]]; }

# What our_lines are now, and what they are to be made for.
look() { read_tables && our_lines && within_a_bridge; }

# Those of the machine's iptables commands that may not work at once (the older kind) take turns by means of
# a file. Elsewhere it does not exist, and Docker must not be asked to mount what does not exist.
lock() {
  if read_tables 2>/dev/null && [[ "$("$TOOL" --version)" == *legacy* ]]; then
    echo /run/xtables.lock
  else
    echo /dev/null
  fi
}

# set_rules: sets them, anew where they are there already.
set_rules() {
  local from
  local -a doors=(INPUT DOCKER-USER)
  read_tables || return 1
  # DOCKER-USER is where Docker promises not to put its own before ours. After `iptables -F` nothing leads there.
  table_has "$DOCKER_JUMP" || doors=(INPUT FORWARD)
  rules | "$TOOL-restore" -w "$PATIENCE" --noflush || return 1
  for from in "${doors[@]}"; do lead filter "$from" || return 1; done
  [ "${doors[1]}" = FORWARD ] || ! has_jump filter FORWARD || jump -D filter FORWARD || return 1
  # Last, and what refuses stands even where this cannot be.
  address_rules | "$TOOL-restore" -w "$PATIENCE" --noflush || return 1
  lead nat PREROUTING "$CHAIN_IN" && lead nat POSTROUTING
}

set_isolation() {
  read_tables || return 1
  isolation_rules | "$TOOL-restore" -w "$PATIENCE" --noflush || return 1
  lead mangle POSTROUTING
}

# lead TABLE FROM [CHAIN]: jumps from there before all others; in one go, so that a jump further down is not missed meanwhile.
lead() {
  local rule="$2 -m comment --comment \"sandbox $INSTANCE\" -j ${3:-$CHAIN}" former=''
  ! has_jump "$@" || former="-D $rule"
  printf '%s\n' "*$1" "$former" "-I $rule" COMMIT | "$TOOL-restore" -w "$PATIENCE" --noflush
}

# jump -C|-D TABLE FROM [CHAIN]
jump() { "$TOOL" -w "$PATIENCE" -t "$2" "$1" "$3" -m comment --comment "sandbox $INSTANCE" -j "${4:-$CHAIN}"; }
has_jump() { jump -C "$@" 2>/dev/null; }

# remove TABLE CHAIN FROM…: the chain there, and the jumps to it; absent is fine.
remove() {
  local table="$1" chain="$2" from
  shift 2
  for from in "$@"; do
    while jump -D "$table" "$from" "$chain" 2>/dev/null; do :; done
  done
  "$TOOL" -w "$PATIENCE" -t "$table" -F "$chain" 2>/dev/null || true
  "$TOOL" -w "$PATIENCE" -t "$table" -X "$chain" 2>/dev/null || true
}

# Who keeps environments from each other: Docker and we ("ours"), or, where the kernel lacks what ours take,
# Docker alone ("docker").
ISOLATION=''

# Sets ours as well, or says once that it cannot be done.
isolate() {
  local words
  if words="$(set_isolation 2>&1)"; then
    ISOLATION=ours
    return
  fi
  # What stands of it may be for a kernel that has since begun to show packets within a bridge.
  read_tables 2>/dev/null && remove mangle "$CHAIN" POSTROUTING
  [ "$ISOLATION" = docker ] ||
    say "Docker alone keeps environments from each other, not in every instant; ours cannot be set: $words"
  ISOLATION=docker
  return 1
}

# The lines as they were when the rules had been set, and as they are now.
STANDING='' SEEN=''

# They are looked at twice: whenever a network comes, Docker takes its jump away for an instant.
still_stand() {
  [ -n "$STANDING" ] || return 1
  SEEN="$(look 2>/dev/null)" || SEEN=''
  [ "$SEEN" != "$STANDING" ] || return 0
  sleep 0.2
  SEEN="$(look 2>/dev/null)" || SEEN=''
  [ "$SEEN" = "$STANDING" ]
}

keep() {
  local words said='' before
  while :; do
    if ! still_stand; then
      before="$STANDING"
      if words="$(set_rules 2>&1)"; then
        isolate || true
        say "$(describe "$before" "$SEEN")"
        said=''
        stand
      else
        # Once, and not every time it is tried again.
        [ "$words" = "$said" ] || say "cannot set the rules: $words"
        said="$words"
        write_state failed
      fi
    elif [ "$ISOLATION" = docker ] && isolate; then
      say "ours keep environments from each other now, too"
      stand
    else
      # The API takes silence for an end.
      touch -c "$STATE_FILE" && [ -s "$STATE_FILE" ] || write_state "$(fingerprint) $ISOLATION"
    fi
    sleep "$LOOK_EVERY"
  done
}

# What has just been set is what is to stand, unless somebody was faster.
stand() {
  STANDING="$(look 2>/dev/null)" && whole "$STANDING" "$ISOLATION" || STANDING=''
  write_state "$(fingerprint) $ISOLATION"
}

# describe BEFORE SEEN: what has just been done, and why.
describe() {
  local missing
  if [ -z "$1" ]; then
    printf 'rules set: chain %s' "$CHAIN"
    return
  fi
  missing="$(printf '%s\n' "$1" | grep -Fxv -f <(printf '%s\n' "$2") | paste -sd';' | sed 's/;/; /g')" || missing=''
  printf 'rules put back; missing: %s' "${missing:-nothing, but there was more than ours}"
}

say() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"; }

# "<this boot> <which rules> <isolation>", or "<this boot> failed". The API's container waits for it
# (after-firewall.sh), and the API reads it for /healthz: it is touched at every look.
write_state() {
  { printf '%s %s\n' "$(boot_id)" "$1" >"$STATE_FILE.new" && mv "$STATE_FILE.new" "$STATE_FILE"; } ||
    say "cannot write $STATE_FILE"
}

boot_id() { cat /proc/sys/kernel/random/boot_id; }

fingerprint() { { rules && isolation_rules && address_rules; } | sha256sum | cut -c1-16; }

check() {
  local boot which isolation lines
  { read -r boot which isolation <"$STATE_FILE"; } 2>/dev/null || return 1
  [ "$boot $which" = "$(boot_id) $(fingerprint)" ] || return 1
  lines="$(look 2>/dev/null)" || return 1
  whole "$lines" "$isolation"
}

down() {
  for TOOL in $(tools); do
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
