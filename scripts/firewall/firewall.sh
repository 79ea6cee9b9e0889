#!/usr/bin/env bash
# What Docker does not keep environments from: this machine's own services (through their network's
# gateway and every other address of the machine, the API and the published front door included) and
# clouds' metadata services. One chain of ours holds the rules; INPUT and DOCKER-USER jump to it.
# And each other, in the instants in which Docker does not: see isolation_rules.
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
POOL="${SUBNET_POOL:-10.172.0.0/16}"
STATE_FILE="${FIREWALL_STATE:-/run/sandbox/state}"
LOOK_EVERY_SECONDS="${FIREWALL_LOOK_EVERY:-2}" # tests are in a hurry
# There as soon as the kernel shows iptables what passes within a bridge (br_netfilter); tests have their own.
BRIDGES="${FIREWALL_BRIDGES:-/proc/sys/net/bridge}"
# Seconds to wait for somebody else who is changing rules.
PATIENCE=10
# Chain names are short and instance names need not be.
CHAIN="SANDBOX-$(printf '%s' "$INSTANCE" | sha256sum | cut -c1-12)"
JUMP=(-m comment --comment "sandbox $INSTANCE" -j "$CHAIN")
# Where clouds have their metadata services: most of them, Alibaba's, Oracle's older one, Azure's other one.
METADATA=(169.254.0.0/16 100.100.100.200 192.0.0.192 168.63.129.16)
# Docker's own jump, without which DOCKER-USER is a chain that no packet passes through.
DOCKER_JUMP='-A FORWARD -j DOCKER-USER'

# The kernel has two places for rules, and a machine uses the one that its iptables command is made for.
# The older one is asked only where it is in use, since asking brings it into being.
tools() {
  local found=''
  if grep -qsx filter /proc/net/ip_tables_names && command -v iptables-legacy; then found=yes; fi
  if command -v iptables-nft; then found=yes; fi
  [ -n "$found" ] || command -v iptables
}

# Reads the rules as they are into $TABLE and $MANGLE, and into $TOOL the command for the place where Docker
# has its own, to which ours belong; where Docker has none (it may be told to), for any place that works.
read_tables() {
  local tool table
  TOOL='' TABLE='' MANGLE=''
  for tool in $(tools); do
    table="$("$tool" -w "$PATIENCE" -S)" || continue
    TOOL="$tool" TABLE="$table"
    case "$table" in *'-N DOCKER-USER'*) break ;; esac
  done
  [ -n "$TOOL" ] || { echo 'no iptables that works here' >&2 && return 1; }
  MANGLE="$("$TOOL" -w "$PATIENCE" -t mangle -S 2>/dev/null | sed 's/^/mangle /')" || MANGLE=''
}

# The lines of both tables that we care about.
our_lines() { printf '%s\n' "$TABLE" "$MANGLE" | grep -F -e "$CHAIN" -e "$DOCKER_JUMP" || true; }

table_has() { [[ $'\n'"$TABLE"$'\n' == *$'\n'"$1"$'\n'* ]]; }

# What our_lines are now, and what they are to be made for.
look() { read_tables && our_lines && within_a_bridge; }

# The chain as iptables-restore takes it, which replaces a former one in one go.
rules() {
  local place
  echo '*filter'
  echo ":$CHAIN - [0:0]"
  echo "-A $CHAIN ! -s $POOL -j RETURN"
  echo "-A $CHAIN -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
  # Docker asks the machine's resolvers from within the container's network. One may be this machine
  # itself, or the very address of the metadata service (Google's).
  let_resolvers_through
  echo "-A $CHAIN -p icmp -j RETURN"
  for place in "${METADATA[@]}"; do refuse "$CHAIN -d $place"; done
  # As packets pass through DOCKER-USER on their way elsewhere, only those for the machine are meant here.
  refuse "$CHAIN -m addrtype --dst-type LOCAL,BROADCAST,MULTICAST"
  echo COMMIT
}

# Docker keeps environments from each other in the table "filter", behind jumps that it takes away and puts back
# whenever a network comes: for an instant nothing is between them, nor between them and DOCKER-USER's rules.
# So the same once more in "mangle", where Docker has nothing to change, and on packets' way out, so that those
# which can be refused have been by then: a packet can only be dropped there, and who sent it would wait.
isolation_rules() {
  local place within
  echo '*mangle'
  echo ":$CHAIN - [0:0]"
  echo "-A $CHAIN ! -s $POOL -j RETURN"
  # This machine has an address in every environment's network.
  echo "-A $CHAIN -m addrtype --src-type LOCAL -j RETURN"
  echo "-A $CHAIN -d ${PLATFORM_SUBNET:-10.171.0.0/24} -j DROP"
  within="$(within_a_bridge)"
  [ -z "$within" ] || echo "-A $CHAIN $within -j RETURN"
  echo "-A $CHAIN -d $POOL -j DROP"
  let_resolvers_through
  for place in "${METADATA[@]}"; do echo "-A $CHAIN -d $place -j DROP"; done
  echo COMMIT
}

# What tells packets within one environment, as from Nginx to an app, from those between two. Where the kernel
# shows iptables only the latter, the mere mention of this match would make it show all, everybody's (br_netfilter).
within_a_bridge() { [ ! -e "$BRIDGES" ] || echo '-m physdev --physdev-is-bridged'; }

let_resolvers_through() {
  local resolver
  for resolver in $(resolvers); do
    echo "-A $CHAIN -d $resolver -p udp --dport 53 -j RETURN"
    echo "-A $CHAIN -d $resolver -p tcp --dport 53 -j RETURN"
  done
}

# Refused rather than dropped, so that nobody waits; ICMP answers alone are rationed by the kernel.
refuse() {
  echo "-A $1 -p tcp -j REJECT --reject-with tcp-reset"
  echo "-A $1 -j REJECT"
}

# The machine's IPv4 resolvers. A container on the host's network has a copy of /etc/resolv.conf as it was
# at its start. Where that names nothing but systemd's own resolver on loopback, Docker asks those that
# systemd asks, and their list is not to be seen from a container: make up hands it over.
resolvers() {
  local file
  {
    # shellcheck disable=SC2086 # a list
    printf '%s\n' ${FIREWALL_RESOLVERS:-}
    for file in /etc/resolv.conf /run/systemd/resolve/resolv.conf; do
      [ ! -r "$file" ] || sed -nE 's/^nameserver[[:space:]]+([0-9]+(\.[0-9]+){3}).*/\1/p' "$file"
    done
  } | grep -vE '^(127\.|$)' | sort -u || true
}

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
  for from in "${doors[@]}"; do
    has_jump filter "$from" || jump -I filter "$from" || return 1
  done
  [ "${doors[1]}" = FORWARD ] || ! has_jump filter FORWARD || jump -D filter FORWARD
}

set_isolation() {
  read_tables || return 1
  isolation_rules | "$TOOL-restore" -w "$PATIENCE" --noflush || return 1
  has_jump mangle POSTROUTING || jump -I mangle POSTROUTING
}

jump() { "$TOOL" -w "$PATIENCE" -t "$2" "$1" "$3" "${JUMP[@]}"; } # jump -I|-C|-D TABLE FROM
has_jump() { jump -C "$@" 2>/dev/null; }

# remove TABLE FROM…: the chain there, and the jumps to it; absent is fine.
remove() {
  local table="$1" from
  shift
  for from in "$@"; do
    while jump -D "$table" "$from" 2>/dev/null; do :; done
  done
  "$TOOL" -w "$PATIENCE" -t "$table" -F "$CHAIN" 2>/dev/null || true
  "$TOOL" -w "$PATIENCE" -t "$table" -X "$CHAIN" 2>/dev/null || true
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
  read_tables 2>/dev/null && remove mangle POSTROUTING
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
        STANDING="$(look 2>/dev/null)" || STANDING=''
        say "$(describe "$before" "$SEEN")"
        said=''
        write_state "$(fingerprint) $ISOLATION"
      elif [ "$words" != "$said" ]; then
        # Once, and not every time it is tried again.
        say "cannot set the rules: $words"
        said="$words"
        write_state failed
      fi
    elif [ "$ISOLATION" = docker ] && isolate; then
      STANDING="$(look 2>/dev/null)" || STANDING=''
      say "ours keep environments from each other now, too"
      write_state "$(fingerprint) $ISOLATION"
    fi
    sleep "$LOOK_EVERY_SECONDS"
  done
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
# (after-firewall.sh).
write_state() {
  { printf '%s %s\n' "$(boot_id)" "$1" >"$STATE_FILE.new" && mv "$STATE_FILE.new" "$STATE_FILE"; } ||
    say "cannot write $STATE_FILE"
}

boot_id() { cat /proc/sys/kernel/random/boot_id; }

fingerprint() { { rules && isolation_rules; } | sha256sum | cut -c1-16; }

check() {
  local boot which isolation lines
  { read -r boot which isolation <"$STATE_FILE"; } 2>/dev/null || return 1
  [ "$boot $which" = "$(boot_id) $(fingerprint)" ] || return 1
  lines="$(look 2>/dev/null)" || return 1
  [[ "$lines" == *"-A INPUT "*"-j $CHAIN"* ]] || return 1
  [ "$isolation" = docker ] || [[ "$lines" == *"mangle -A POSTROUTING "*"-j $CHAIN"* ]]
}

down() {
  for TOOL in $(tools); do
    remove filter INPUT FORWARD DOCKER-USER
    remove mangle POSTROUTING
  done
}

case "${1:-}" in
  keep | check | down | resolvers | lock) "$1" ;;
  *)
    echo 'firewall.sh keep|check|down|resolvers|lock' >&2
    exit 1
    ;;
esac
