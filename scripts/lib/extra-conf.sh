# shellcheck shell=bash
# The operator's own Nginx configuration, nginx/extra.d: Nginx's container reads a copy of what Nginx accepts.

stage_extra_conf() {
  local copy="$CACHE_DIR/nginx/$INSTANCE/extra.d" refused name count
  local new="$copy.new"
  rm -rf "$new"
  mkdir -p "$new" "$copy"
  # With their modes, since keys may be among them; links are followed, since the container would not find their targets.
  find "$ROOT/nginx/extra.d" -mindepth 1 -maxdepth 1 ! -name README.md -exec cp -RLp {} "$new" \;
  refused="$(refused_extra_conf "$new")"
  while IFS= read -r name; do [ -z "$name" ] || rm "$new/$name"; done <<<"$refused"
  if ! diff -r "$new" "$copy" >/dev/null; then
    # The folder itself stays: Nginx's container has it mounted.
    find "$copy" -mindepth 1 -delete
    find "$new" -mindepth 1 -maxdepth 1 -exec mv {} "$copy" \;
    docker ps --quiet --filter "name=^$INSTANCE-nginx\$" --filter "label=sandbox.platform=$INSTANCE" |
      xargs --no-run-if-empty docker kill --signal HUP
  fi
  rm -rf "$new"
  count="$(find "$copy" -maxdepth 1 -name '*.conf' | wc -l)"
  note "$count in use${refused:+; Nginx refuses ${refused//$'\n'/, }: see logs/setup.log}"
}

# refused_extra_conf FOLDER: prints the names of the *.conf files there that Nginx refuses, and why into the log.
refused_extra_conf() {
  [ -n "$(find "$1" -maxdepth 1 -name '*.conf' -print -quit)" ] || return 0
  docker run --rm --sysctl net.ipv4.ip_nonlocal_bind=1 --env NGINX_ADDRESS="${NGINX_ADDRESS:-10.171.0.2}" \
    --label "sandbox.platform=$INSTANCE" --volume "$ROOT/nginx/nginx.conf:/etc/nginx/nginx.conf:ro" \
    --volume "$ROOT/nginx/start.sh:/etc/nginx/start.sh:ro" --volume "$1:/new:ro" "$NGINX_IMAGE" sh -euc '
      cp -R /new /etc/nginx/extra.d
      rm /etc/nginx/extra.d/*.conf
      for file in /new/*.conf; do
        cp "$file" /etc/nginx/extra.d
        sh /etc/nginx/start.sh -t >&2 && continue
        rm "/etc/nginx/extra.d/${file##*/}"
        echo "${file##*/}"
      done'
}
