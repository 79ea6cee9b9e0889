# shellcheck shell=bash
# Installing what is missing, quietly and without questions.

export DEBIAN_FRONTEND=noninteractive

apt_update() { apt-get update -q; }

# apt_install PACKAGE…: without recommendations, which for Docker would change the machine's own
# set-up (kernel security modules, mounts). Where no service manager runs, RUNLEVEL=1 keeps package
# scripts from starting services: Docker's init script fails there and would fail the installation.
apt_install() {
  local -a env=(env)
  have systemctl && [ -d /run/systemd/system ] || env+=(RUNLEVEL=1)
  apt_has "$@" || apt_update
  "${env[@]}" apt-get install -q -y --no-install-recommends "$@" ||
    stage_fail "Cannot install: $*" "Check that this works, then run make up again:" \
      "  apt-get update && apt-get install $*"
}

# apt_has PACKAGE…: whether apt knows a version of each; it knows none before its first update.
apt_has() {
  local package
  for package in "$@"; do
    apt-cache show "$package" >/dev/null 2>&1 || return 1
  done
}
