# shellcheck shell=bash
# Installs missing packages, without questions.

export DEBIAN_FRONTEND=noninteractive

apt_update() { apt-get update -q; }

# apt_install PACKAGE…: without recommended packages, which for Docker would change the machine itself (kernel security
# modules, mounts). Without a service manager, RUNLEVEL=1 keeps package scripts from starting services: Docker's init
# script would fail there, and the installation with it.
apt_install() {
  local -a env=(env)
  have systemctl && [ -d /run/systemd/system ] || env+=(RUNLEVEL=1)
  apt_has "$@" || apt_update
  "${env[@]}" apt-get install -q -y --no-install-recommends "$@" ||
    stage_fail "Cannot install: $*" "Check that this works, then run make up again:" \
      "  apt-get update && apt-get install $*"
}

# apt_has PACKAGE…: whether apt knows a version of each package; before its first update it knows none.
apt_has() {
  local package
  for package in "$@"; do
    apt-cache show "$package" >/dev/null 2>&1 || return 1
  done
}
