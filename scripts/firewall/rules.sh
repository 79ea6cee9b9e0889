# shellcheck shell=bash
# What is in the firewall's chain: what it refuses to environments, what it lets through, and how. Sourced by firewall.sh,
# which says where the chain is and keeps it there.
# Settings: SUBNET_POOL, PLATFORM_SUBNET, FIREWALL_RESOLVERS.

POOL="${SUBNET_POOL:-10.172.0.0/16}"
# There as soon as the kernel shows iptables what passes within a bridge (br_netfilter); tests have their own.
BRIDGES="${FIREWALL_BRIDGES:-/proc/sys/net/bridge}"
# Where clouds have their metadata services: most of them, Alibaba's, Oracle's older one, Azure's other one.
METADATA=(169.254.0.0/16 100.100.100.200 192.0.0.192 168.63.129.16)

# The chain as iptables-restore takes it, which replaces a former one in one go.
rules() {
  local place
  echo '*filter'
  echo ":$CHAIN - [0:0]"
  echo ":$CHAIN_WITHIN - [0:0]"
  echo "-A $CHAIN ! -s $POOL -j RETURN"
  echo "-A $CHAIN -j $CHAIN_WITHIN"
  # The machine talks to itself, with the address that it has in the environment's network where it calls that one.
  echo "-A $CHAIN -i lo -j RETURN"
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
  [ -z "$within" ] || short_cut "$within"
}

# Docker has six rules for each network, and every packet between Nginx and an app would pass by all of them, to be
# accepted in the end. Of a connection that they let through the rest is accepted at once; within a bridge alone, as
# Docker's rules end with any later packet what came between two networks in an instant without them.
short_cut() {
  echo '*filter'
  echo ":$CHAIN_WITHIN - [0:0]"
  echo "-A $CHAIN_WITHIN -d $POOL $1 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
  echo COMMIT
}

# What goes out into the world goes with this machine's address, and a port that a container publishes on this machine is
# the machine's, to be refused with the rest. Docker would do both with two rules for each network, that it sets and takes
# away one by one; taking one away costs it 10 to 20 ms, while everybody's networks wait (docs/performance.md).
address_rules() {
  echo '*nat'
  echo ":$CHAIN - [0:0]"
  echo "-A $CHAIN ! -s $POOL -j RETURN"
  echo "-A $CHAIN -d $POOL -j RETURN"
  echo "-A $CHAIN -m addrtype --dst-type BROADCAST,MULTICAST -j RETURN"
  echo "-A $CHAIN -j MASQUERADE"
  echo ":$CHAIN_IN - [0:0]"
  echo "-A $CHAIN_IN -s $POOL -m addrtype --dst-type LOCAL -j ACCEPT"
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
