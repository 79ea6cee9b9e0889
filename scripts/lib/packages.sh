# shellcheck shell=bash
# npm packages, Node 24 among them.

node_arch() {
  case "$(uname -m)" in
    x86_64) printf x64 ;;
    aarch64 | arm64) printf arm64 ;;
    *) stage_fail "This machine's processor ($(uname -m)) is not supported: x86_64 and arm64 are." ;;
  esac
}

node_package_dir() { printf '%s/node_modules/node-linux-%s' "$ROOT" "$(node_arch)"; }

stage_packages() {
  local stamp="$ROOT/node_modules/.sandbox-stamp" wanted
  [ -f "$ROOT/package-lock.json" ] || stage_fail "package-lock.json is missing; restore it: git checkout package-lock.json"
  wanted="$(cat "$ROOT/package.json" "$ROOT/package-lock.json" | sha256sum | cut -c1-16) $(node_arch)"
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && [ -x "$(node_package_dir)/bin/node" ]; then
    note "unchanged"
  else
    # Not `npm ci`, which refuses a lock file without the binaries of other systems. This too installs the versions of
    # the lock file, checks their hashes, removes other packages and leaves the file as it is.
    (cd "$ROOT" && npm install --no-save --no-audit --no-fund --no-progress --loglevel=error) ||
      stage_fail "Cannot install the npm packages. Check that npm reaches its registry, then run make up again."
    [ -x "$(node_package_dir)/bin/node" ] ||
      stage_fail "npm left out the optional package node-linux-$(node_arch), which carries Node 24." \
        "Check that npm's configuration does not omit optional packages: npm config get omit"
    printf '%s' "$wanted" >"$stamp"
    note "installed, Node $("$(node_package_dir)/bin/node" --version)"
  fi
}
