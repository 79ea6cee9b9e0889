# shellcheck shell=bash
# Stages and hashes that several scripts share.

# Compose replaces a container when a label changes: with these hashes as labels, an update of the code replaces the
# running containers, and nothing else does.
api_source_hash() {
  find "$ROOT/platform" "$ROOT/socket-proxy" "$ROOT/scripts/firewall/after-firewall.sh" -name test -prune -o -type f ! -name '*.test.ts' -print0 | sort -z | xargs -0 -r cat |
    cat - "$ROOT/package-lock.json" | sha256sum | cut -c1-16
}

nginx_source_hash() { cat "$ROOT"/nginx/{nginx.conf,start.sh} | sha256sum | cut -c1-16; }

# The stages that `make up` and `make test` share. Each changes only what is missing or outdated.
setup_stages() {
  one_at_a_time
  run_stage engine stage_engine
  run_stage packages stage_packages
  run_stage base stage_base_images
  load_image_choice
  run_stage images stage_images
  end_one_at_a_time
}
