# shellcheck shell=bash
# What Docker does not keep environments from: this machine's own services (through their network's
# gateway and every other address of the machine, the API and the published front door included) and
# the cloud's metadata service. One chain of ours holds the rules; INPUT and DOCKER-USER jump to it.
# Rules do not survive a reboot: `make up` puts them back.

# Chain names are short and instance names need not be.
firewall_chain() { printf 'SANDBOX-%s' "$(printf '%s' "$INSTANCE" | sha256sum | cut -c1-12)"; }

# The chain as iptables-restore takes it, which replaces a former one in one go.
firewall_rules() {
  local chain resolver
  chain="$(firewall_chain)"
  echo '*filter'
  echo ":$chain - [0:0]"
  echo "-A $chain ! -s ${SUBNET_POOL:-10.172.0.0/16} -j RETURN"
  echo "-A $chain -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"
  # Docker asks the machine's resolvers from within the container's network. One may be this machine
  # itself, or the very address of the metadata service (Google's).
  for resolver in $(machine_resolvers); do
    echo "-A $chain -d $resolver -p udp --dport 53 -j RETURN"
    echo "-A $chain -d $resolver -p tcp --dport 53 -j RETURN"
  done
  echo "-A $chain -p icmp -j RETURN"
  firewall_refuse "$chain -d 169.254.0.0/16"
  # As packets pass through DOCKER-USER on their way elsewhere, only those for the machine are meant here.
  firewall_refuse "$chain -m addrtype --dst-type LOCAL,BROADCAST,MULTICAST"
  echo COMMIT
}

# Refused rather than dropped, so that nobody waits; ICMP answers alone are rationed by the kernel.
firewall_refuse() {
  echo "-A $1 -p tcp -j REJECT --reject-with tcp-reset"
  echo "-A $1 -j REJECT"
}

machine_resolvers() { sed -nE 's/^nameserver[[:space:]]+([0-9]+(\.[0-9]+){3}).*/\1/p' /etc/resolv.conf | grep -v '^127\.' || true; }

# firewall_up: sets the rules, anew where they are there already. Fails where the machine does not let us.
firewall_up() {
  local from
  local -a jump
  jump=(-m comment --comment "sandbox $INSTANCE" -j "$(firewall_chain)")
  firewall_rules | iptables-restore -w --noflush || return 1
  for from in INPUT DOCKER-USER; do
    iptables -w -C "$from" "${jump[@]}" 2>/dev/null || iptables -w -I "$from" "${jump[@]}" || return 1
  done
}

# firewall_down: removes them; absent is fine.
firewall_down() {
  local chain from
  local -a jump
  chain="$(firewall_chain)"
  jump=(-m comment --comment "sandbox $INSTANCE" -j "$chain")
  for from in INPUT DOCKER-USER; do
    iptables -w -D "$from" "${jump[@]}" 2>/dev/null || true
  done
  iptables -w -F "$chain" 2>/dev/null || true
  iptables -w -X "$chain" 2>/dev/null || true
}

stage_firewall() {
  have iptables || ! have apt-get || apt_install iptables
  if firewall_up; then
    note "environments reach neither this machine nor 169.254.0.0/16"
  else
    note "NOT SET (iptables?): environments reach this machine"
  fi
}

stage_firewall_down() {
  firewall_down
  note "rules removed"
}
