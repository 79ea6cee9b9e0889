# shellcheck shell=bash
# What several of the scripts do in the same way.

# Compose replaces a container whose labels change: these hashes, as labels, make an update of the
# code reach the running platform, and leave everything alone otherwise.
api_source_hash() {
  find "$ROOT/platform" "$ROOT/socket-proxy" "$ROOT/scripts/firewall/after-firewall.sh" -name test -prune -o -type f ! -name '*.test.ts' -print0 | sort -z | xargs -0 -r cat |
    cat - "$ROOT/package-lock.json" | sha256sum | cut -c1-16
}

nginx_source_hash() { cat "$ROOT"/nginx/{nginx.conf,start.sh,desk.sh} | sha256sum | cut -c1-16; }

# The stages that `make up` and `make test` share. Each leaves alone what is in place already.
setup_stages() {
  one_at_a_time
  run_stage engine stage_engine
  run_stage packages stage_packages
  run_stage base stage_base_images
  load_image_choice
  run_stage images stage_images
  end_one_at_a_time
}
