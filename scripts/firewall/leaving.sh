# shellcheck shell=bash
# Docker's own rules about the bridge of a network that is about to be removed. Docker takes them away one after the
# other, every time waiting for the kernel, and everybody's networks wait for that; here they go in one (docs/adr/0010).
# The API asks for it, through a pipe, when what ran in the network has ended. Sourced by firewall.sh.
# Settings: SUBNET_POOL, FIREWALL_STATE, in whose folder the pipe is.

LEAVING="$(dirname "$STATE_FILE")/leaving"
# Docker's, those for rules of the machine's owner (DOCKER-USER) apart.
DOCKERS_CHAINS='FORWARD|DOCKER(-(ISOLATION-STAGE-[12]|FORWARD|BRIDGE|CT|INTERNAL))?'

# The end of the pipe that is read; empty where there is none, and Docker then does it all itself.
REQUESTS=''

# For root alone, as what is asked here is done.
listen() {
  if [ ! -p "$LEAVING" ]; then
    rm -rf "$LEAVING" && mkfifo -m 600 "$LEAVING" || return 1
  fi
  # To write as well: thus there is no end of it when somebody has written.
  exec {REQUESTS}<>"$LEAVING"
}

# serve MS: does what is asked for so long.
serve() {
  local end left wait bridge
  uptime_ms && end=$((UPTIME_MS + $1))
  while uptime_ms && left=$((end - UPTIME_MS)) && [ "$left" -gt 0 ]; do
    printf -v wait '%d.%03d' $((left / 1000)) $((left % 1000))
    if [ -z "$REQUESTS" ]; then
      sleep "$wait"
    elif read -r -t "$wait" -u "$REQUESTS" bridge; then
      drop_rules "$bridge"
    fi
  done
}

# drop_rules BRIDGE: takes them away, of every chain at once or of none: where Docker is at it already it goes on. Not
# if the bridge is that of a network which is not the platform's to make.
drop_rules() {
  local tool rules
  [[ "$1" =~ ^br-[0-9a-f]{12}$ ]] && is_in_pool "$1" || return 0
  for tool in $(tools); do
    rules="$("$tool" -w "$PATIENCE" -S | grep -E -e "^-A ($DOCKERS_CHAINS) (.* )?-[io] $1( |$)")" || continue
    printf '*filter\n%s\nCOMMIT\n' "$rules" | sed 's/^-A /-D /' |
      "$tool-restore" -w "$PATIENCE" --noflush 2>/dev/null || true
  done
}

is_in_pool() { [ -n "$(ip -4 route show root "$POOL" dev "$1" 2>/dev/null)" ]; }

# Into $UPTIME_MS, whatever somebody does to the clock.
uptime_ms() {
  read -r UPTIME_MS _ </proc/uptime
  UPTIME_MS=$((10#${UPTIME_MS/./} * 10))
}
