# shellcheck shell=bash
# Checks whether this machine can run the platform, before anything is changed on it.

stage_preflight() {
  local -a missing=()
  local node_major=0
  node_arch >/dev/null
  if have node; then node_major="$(node --version | sed -E 's/^v([0-9]+).*/\1/')"; fi
  [ "$node_major" -ge 20 ] || missing+=("Node.js 20 or newer (found: $(node --version 2>/dev/null || echo none))")
  have npm || missing+=("npm")
  # As root on Debian or Ubuntu make up installs the rest; elsewhere it must exist.
  if [ "$(id -u)" -ne 0 ] || ! have apt-get; then
    have docker && have dockerd || missing+=("Docker Engine 20.10 or newer (Debian: docker.io and iptables)")
    compose_tool >/dev/null || missing+=("Docker Compose (Debian: docker-compose)")
  fi
  if [ "$(id -u)" -ne 0 ]; then
    stage_fail "This needs root: it installs, starts and controls Docker. Run it again as root: sudo make up" \
      "$([ "${#missing[@]}" -eq 0 ] || printf 'Not on this machine yet (what Debian packages is installed by make up itself, as root):\n')" \
      "$([ "${#missing[@]}" -eq 0 ] || printf '  - %s\n' "${missing[@]}")"
  fi
  if [ "${#missing[@]}" -gt 0 ]; then
    stage_fail "Install these, then run it again:" "$(printf '  - %s\n' "${missing[@]}")"
  fi
  # shellcheck source=/dev/null
  note "$(. /etc/os-release 2>/dev/null && printf '%s' "${PRETTY_NAME:-Linux}"), root, Node $(node --version), npm $(npm --version)"
}

# port_in_use ADDRESS PORT
port_in_use() {
  local address="$1"
  case "$address" in 0.0.0.0 | '::') address=127.0.0.1 ;; esac
  (exec 3<>"/dev/tcp/$address/$2") 2>/dev/null
}

# port_holder PORT: prints " by program (process N)" where ss can tell.
port_holder() {
  have ss || return 0
  ss -Hltnp "sport = :$1" | sed -nE 's/.*users:\(\("([^"]+)",pid=([0-9]+).*/ by \1 (process \2)/p' | head -n 1
}

# check_port SETTING ADDRESS PORT CONTAINER: fails when another program than our CONTAINER listens there.
check_port() {
  local setting="$1" address="$2" port="$3" container="$4"
  port_in_use "$address" "$port" || return 0
  if [ "$(docker container inspect --format '{{.State.Running}}' "$container" 2>/dev/null)" = true ]; then
    return 0
  fi
  stage_fail "Port $port is taken$(port_holder "$port")." \
    "Stop that, or put another port into .env and run make up again:" "  echo $setting=$((port < 20000 ? port + 20000 : port + 1)) >> .env"
}

stage_ports() {
  check_port PLATFORM_PORT "$PLATFORM_HOST" "$PLATFORM_PORT" "$INSTANCE-api"
  check_port NGINX_PORT "$NGINX_BIND" "$NGINX_PORT" "$INSTANCE-nginx"
  note "API $PLATFORM_HOST:$PLATFORM_PORT, front door $NGINX_BIND:$NGINX_PORT"
}
