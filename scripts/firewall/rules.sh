# shellcheck shell=bash
# The rules in the firewall's chains, as iptables-restore takes them: each block replaces a chain in one transaction.
# Sourced by firewall.sh, which jumps to the chains and keeps them in place.
# Settings: SUBNET_POOL, PLATFORM_SUBNET, FIREWALL_RESOLVERS.

POOL="${SUBNET_POOL:-10.172.0.0/16}"
# Exists once the kernel shows iptables the packets within a bridge (br_netfilter); tests have their own.
BRIDGES="${FIREWALL_BRIDGES:-/proc/sys/net/bridge}"
# The metadata services of clouds: most of them, Alibaba's, Oracle's older one, Azure's other one.
METADATA=(169.254.0.0/16 100.100.100.200 192.0.0.192 168.63.129.16)

# What environments are refused.
rules() {
  local place
  echo '*filter'
  echo ":$CHAIN - [0:0]"
  echo ":$CHAIN_WITHIN - [0:0]"
  echo "-A $CHAIN ! -s $POOL -j RETURN"
  echo "-A $CHAIN -j $CHAIN_WITHIN"
  # The machine calls itself from its address in an environment's network when it calls that address.
  echo "-A $CHAIN -i lo -j RETURN"
  echo "-A $CHAIN -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
  # Docker asks the machine's resolvers from within the container's network. A resolver may be this machine
  # itself, or have the very address of the metadata service (Google's).
  let_resolvers_through
  echo "-A $CHAIN -p icmp -j RETURN"
  for place in "${METADATA[@]}"; do refuse "$CHAIN -d $place"; done
  # DOCKER-USER also sees packets for other places, so only those for the machine are meant here.
  refuse "$CHAIN -m addrtype --dst-type LOCAL,BROADCAST,MULTICAST"
  echo COMMIT
}

# Docker separates environments in the table "filter", behind jumps that it takes away and puts back whenever a network
# comes: for an instant neither these nor DOCKER-USER's rules hold. So the same stands in "mangle", where Docker changes
# nothing. It stands on the packets' way out, behind "filter": "mangle" can drop but not refuse, and a sender of dropped
# packets waits.
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
  [ -z "$within" ] || fast_path "$within"
}

# Docker has six rules a network, and every packet between Nginx and an app passes all of them. So the rest of a
# connection is accepted at once after they let its first packet through. Only within a bridge: between networks Docker's
# rules must see every packet, to end a connection that was opened in an instant without them.
fast_path() {
  echo '*filter'
  echo ":$CHAIN_WITHIN - [0:0]"
  echo "-A $CHAIN_WITHIN -d $POOL $1 -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT"
  echo COMMIT
}

# Gives outgoing packets this machine's address, and keeps a port that a container publishes on this machine the
# machine's own, which is refused with the rest. Docker would need two rules a network for both, and removes rules one by
# one while the changes of all other networks wait.
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

# Prints the match for packets within one bridge, as from Nginx to an app. Prints nothing where the kernel hides such
# packets from iptables: the match would load br_netfilter and show those of the whole machine.
within_a_bridge() { [ ! -e "$BRIDGES" ] || echo '-m physdev --physdev-is-bridged'; }

let_resolvers_through() {
  local resolver
  for resolver in $(resolvers); do
    echo "-A $CHAIN -d $resolver -p udp --dport 53 -j RETURN"
    echo "-A $CHAIN -d $resolver -p tcp --dport 53 -j RETURN"
  done
}

# Rejects instead of dropping, so that the sender does not wait; TCP has an answer of its own, since the kernel limits
# the rate of ICMP answers.
refuse() {
  echo "-A $1 -p tcp -j REJECT --reject-with tcp-reset"
  echo "-A $1 -j REJECT"
}

# Prints the machine's IPv4 resolvers. A container on the host's network has a copy of /etc/resolv.conf as of its start.
# Where that names only systemd's resolver on loopback, Docker asks the resolvers that systemd asks; a container cannot
# see their list, so make up hands it over.
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
