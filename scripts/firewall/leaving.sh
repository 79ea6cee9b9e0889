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

# Opens it, anew where it is not there any more. For root alone, as what is asked here is done: one that somebody
# else has made is not taken over.
listen() {
  [ -z "$REQUESTS" ] || [ ! "$LEAVING" -ef "/proc/self/fd/$REQUESTS" ] || return 0
  stop_listening
  # To write as well: thus there is no end of it when somebody has written.
  rm -rf "$LEAVING" && mkfifo -m 600 "$LEAVING" && exec {REQUESTS}<>"$LEAVING"
}

stop_listening() {
  [ -z "$REQUESTS" ] || exec {REQUESTS}<&-
  REQUESTS=''
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

# drop_rules BRIDGE: takes them away, of every chain at once or of none: where Docker is at it already it goes on. Only
# if the bridge has an address of the pool.
drop_rules() {
  local tool rules
  [[ "$1" =~ ^br-[0-9a-f]{12}$ ]] && is_in_pool "$1" || return 0
  for tool in $(tools); do
    rules="$("$tool" -w "$PATIENCE" -S | dockers_about "$1")" || continue
    printf '*filter\n%s\nCOMMIT\n' "$rules" | sed 's/^-A /-D /' |
      "$tool-restore" -w "$PATIENCE" --noflush 2>/dev/null || true
  done
}

# Those of FORWARD, which is everybody's, that name an address or a protocol, or say what they are for, are not Docker's.
dockers_about() {
  grep -E -e "^-A ($DOCKERS_CHAINS) (.* )?-[io] $1( |$)" | grep -vE -e '^-A FORWARD (.* )?(-[sdp]|--comment) '
}

is_in_pool() { [ -n "$(ip -4 route show root "$POOL" dev "$1" 2>/dev/null)" ]; }

# Into $UPTIME_MS, whatever somebody does to the clock.
uptime_ms() {
  read -r UPTIME_MS _ </proc/uptime
  UPTIME_MS=$((10#${UPTIME_MS/./} * 10))
}
