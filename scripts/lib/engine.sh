# shellcheck shell=bash
# The Docker engine: installs and starts it where needed, and stops a daemon that it started.

# Beside Docker's own pid file: exists when these scripts started the daemon.
ENGINE_PID_FILE="${ENGINE_PID_FILE:-/run/sandbox-dockerd.pid}"
ENGINE_LOG="${ENGINE_LOG:-/var/log/sandbox-dockerd.log}"
# Extra arguments for a daemon that these scripts start, such as another data folder.
read -r -a ENGINE_ARGS <<<"${ENGINE_ARGS:-}"

engine_version() { docker version --format '{{.Server.Version}}' 2>/dev/null; }

engine_answers() { have docker && [ -n "$(engine_version)" ]; }

has_service_manager() { [ -d /run/systemd/system ]; }

# compose_tool: prints the command that works here.
compose_tool() {
  if docker compose version >/dev/null 2>&1; then
    printf 'docker compose'
  elif docker-compose version >/dev/null 2>&1; then
    printf 'docker-compose'
  else
    return 1
  fi
}

# platform_cgroup_parent: prints the parent of the platform's containers among the processor groups: the top, beside the
# engine. An engine with the systemd driver needs none, since it has no common group for all containers.
platform_cgroup_parent() {
  local driver
  driver="$(docker info --format '{{.CgroupDriver}}')" || return
  [ "$driver" != cgroupfs ] || printf '/'
}

compose() {
  local -a tool
  export PLATFORM_CGROUP_PARENT="${PLATFORM_CGROUP_PARENT:-}"
  [ -n "$PLATFORM_CGROUP_PARENT" ] || PLATFORM_CGROUP_PARENT="$(platform_cgroup_parent)" || return
  read -r -a tool <<<"$(compose_tool)"
  local -a files=(-f "$ROOT/docker-compose.yml")
  [ "${SOCKET_FILTER:-off}" != on ] || files+=(-f "$ROOT/docker-compose.filtered.yml")
  "${tool[@]}" -p "$INSTANCE" --project-directory "$ROOT" "${files[@]}" "$@"
}

stage_engine() {
  local what=running tool
  if ! engine_answers; then
    if ! have docker || ! have dockerd; then
      need_apt "Docker Engine"
      apt_install docker.io iptables
      what=installed
    fi
    engine_answers || start_engine
    [ "$what" = installed ] || what=started
  fi
  if ! tool="$(compose_tool)"; then
    need_apt "Docker Compose"
    apt_install docker-compose
    tool="$(compose_tool)" || stage_fail "docker-compose was installed and does not run:" "  docker-compose version"
    what="$what, compose installed"
  fi
  note "Docker $(engine_version) $what, $tool"
}

need_apt() {
  have apt-get || stage_fail "$1 is missing, and this is not a Debian system." \
    "Install it as your distribution describes, start it, then run make up again."
}

start_engine() {
  # A daemon started here would not listen on DOCKER_SOCKET, and one may run elsewhere.
  if [ "$DOCKER_SOCKET" != /var/run/docker.sock ] && [ -z "${ENGINE_ARGS[*]}" ]; then
    stage_fail "No Docker engine answers on $DOCKER_SOCKET, which DOCKER_SOCKET asks for." \
      "Start it, or remove DOCKER_SOCKET from .env (or the environment)."
  fi
  if has_service_manager; then
    systemctl start docker ||
      stage_fail "systemd could not start Docker. Why:" "  journalctl -u docker --no-pager | tail -n 30"
    wait_for_engine ''
    return
  fi
  mount_cgroups
  rm -f "$ENGINE_PID_FILE"
  # After a crash Docker's pid file may name another process by now, and dockerd would refuse to start.
  if [ -f /run/docker.pid ] && [ "$(cat "/proc/$(cat /run/docker.pid)/comm" 2>/dev/null)" != dockerd ]; then
    rm -f /run/docker.pid
  fi
  # In a session of its own, so that Ctrl-C here or a closed terminal does not end it; without this script's open files
  # (9 is the set-up lock, which it would hold for ever). Containers inherit its limit of open files.
  # shellcheck disable=SC2016
  setsid bash -c '
    echo $$ >"$1"; shift
    ulimit -n "$(ulimit -Hn)"
    exec dockerd "$@"
  ' start-dockerd "$ENGINE_PID_FILE" "${ENGINE_ARGS[@]}" >>"$ENGINE_LOG" 2>&1 </dev/null 3>&- 9>&- &
  # The file may take a moment to appear.
  for _ in {1..50}; do
    [ ! -s "$ENGINE_PID_FILE" ] || break
    sleep 0.1
  done
  wait_for_engine "$(cat "$ENGINE_PID_FILE")"
}

# wait_for_engine PID: waits until the engine answers, and fails as soon as the process PID, where known, has ended.
wait_for_engine() {
  local deadline=$(($(now_ms) + 60000))
  until engine_answers; do
    if [ -n "$1" ] && ! kill -0 "$1" 2>/dev/null; then
      rm -f "$ENGINE_PID_FILE"
      tail -n 10 "$ENGINE_LOG"
      stage_fail "The Docker daemon ended at once. Its log is below and in $ENGINE_LOG." \
        "If it names iptables or cgroups, this machine (a container?) does not let Docker run."
    fi
    [ "$(now_ms)" -lt "$deadline" ] ||
      stage_fail "The Docker daemon did not answer on $DOCKER_SOCKET within 60 s. Its log: $ENGINE_LOG"
    sleep 0.2
  done
}

# Service managers mount these; a machine without one may lack them.
mount_cgroups() {
  if ! grep -q ' /sys/fs/cgroup' /proc/mounts; then
    mount -t cgroup2 none /sys/fs/cgroup || true
  fi
}

# engine_is_ours: whether the running daemon is the one that start_engine started.
engine_is_ours() {
  local pid
  ! has_service_manager || return 1
  pid="$(cat "$ENGINE_PID_FILE" 2>/dev/null)" || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ]
}

# stop_engine: stops a daemon that start_engine started, unless containers run in it. Prints the result.
stop_engine() {
  local pid
  engine_is_ours || return 0
  if [ -n "$(docker ps --quiet 2>/dev/null)" ]; then
    echo 'left running: other containers use it'
    return
  fi
  pid="$(cat "$ENGINE_PID_FILE")"
  kill -TERM "$pid"
  for _ in {1..150}; do
    if ! kill -0 "$pid" 2>/dev/null; then
      rm -f "$ENGINE_PID_FILE"
      echo 'stopped'
      return
    fi
    sleep 0.2
  done
  echo "still stopping (process $pid)"
}
