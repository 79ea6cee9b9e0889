# shellcheck shell=bash
# The local base image, for machines that reach no image registry: Debian bookworm with nginx, stress-ng and iptables,
# built by debootstrap from the archive that this machine's apt uses.

BASE_PACKAGES=nginx-light,stress-ng,iptables,ca-certificates
BASE_SUITE=bookworm
# Increase it when the steps below change the image's content, so that machines build it again.
BASE_RECIPE=1

# apt_archive SUITE: prints "URL|SOURCES_ENTRY" of the archive that has the suite's main component. apt itself parses its
# sources, in every format (.list, .sources, suite names).
apt_archive() {
  # shellcheck disable=SC2016 # the fields are apt's, not the shell's
  apt-get indextargets --format '$(CODENAME)|$(COMPONENT)|$(LABEL)|$(REPO_URI)|$(SOURCESENTRY)' 'Identifier: Packages' |
    awk -F'|' -v suite="$1" '$1 == suite && $2 == "main" && $3 == "Debian" { print $4 "|" $5; exit }'
}

# A source "mirror+file:/path" (in Debian's cloud images) names a file that lists the real addresses.
resolve_archive_url() {
  case "$1" in
    mirror+file:*) awk '/^[a-z]+:/ { print $1; exit }' "$(sed 's#^mirror+file:/*#/#; s#/$##' <<<"$1")" ;;
    *) printf '%s' "$1" ;;
  esac
}

# archive_keyring SOURCES_ENTRY: prints the keyring file that the apt source ("file:line") names; else Debian's own.
archive_keyring() {
  local file="${1%:*}" named=''
  if [ -f "$file" ]; then
    named="$(sed -nE 's/^[Ss]igned-[Bb]y:[[:space:]]*(\/[^[:space:]]+).*/\1/p; s/^deb .*\[.*signed-by=(\/[^] ,]+).*/\1/p' "$file" | head -n 1)"
  fi
  if [ -r "$named" ]; then
    printf '%s' "$named"
  else
    printf '/usr/share/keyrings/debian-archive-keyring.gpg'
  fi
}

# Passes apt's own proxy setting to debootstrap, whose downloads read the environment.
use_apt_proxy() {
  local proxy=''
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  if [ -n "$proxy" ] && [ "$proxy" != DIRECT ]; then
    export http_proxy="${http_proxy:-$proxy}"
  fi
}

build_local_debian() {
  local inputs archive url keyring work
  inputs="$BASE_SUITE/$BASE_RECIPE/$BASE_PACKAGES"
  if [ "$(image_inputs "$LOCAL_DEBIAN")" = "$inputs" ]; then
    return
  fi
  have debootstrap || apt_install debootstrap
  archive="$(apt_archive "$BASE_SUITE")"
  if [ -z "$archive" ]; then
    # apt knows the details of an archive only once it has read its index.
    apt_update
    archive="$(apt_archive "$BASE_SUITE")"
  fi
  [ -n "$archive" ] || stage_fail "No image registry answers, and apt has no source for Debian $BASE_SUITE (main)." \
    "Add Debian's archive to /etc/apt/sources.list.d, or load $OFFICIAL_NODE and $OFFICIAL_NGINX" \
    "with docker load, then run make up again."
  url="$(resolve_archive_url "${archive%%|*}")"
  keyring="$(archive_keyring "${archive#*|}")"
  use_apt_proxy
  work="$(mktemp -d /var/tmp/sandbox-base.XXXXXX)"
  # shellcheck disable=SC2064 # the folder's name now, not at exit, when the variable is gone
  trap "rm -rf --one-file-system '$work'" EXIT
  debootstrap --variant=minbase --keyring="$keyring" --include="$BASE_PACKAGES" "$BASE_SUITE" "$work/root" "$url" ||
    stage_fail "Cannot make the local base image: debootstrap failed." \
      "Check that apt-get update works on this machine, then run make up again."
  rm -rf "$work"/root/var/cache/apt/* "$work"/root/var/lib/apt/lists/* "$work"/root/var/log/* \
    "$work"/root/usr/share/{doc,man,info,locale,lintian}/*
  # nginx needs this folder for configurations that log to files.
  mkdir -p "$work/root/var/log/nginx"
  tar -C "$work/root" --numeric-owner --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -c . |
    docker import --change "LABEL sandbox.image=base sandbox.inputs=$inputs" --change 'CMD ["bash"]' - "$LOCAL_DEBIAN"
  docker image prune --force --filter label=sandbox.image=base >/dev/null
}
