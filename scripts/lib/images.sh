# shellcheck shell=bash
# Chooses the base images and builds ours on them: the official ones where a registry answers, else local ones from
# Debian's packages (base-image.sh), under our own tag.

OFFICIAL_NODE=node:24-slim
OFFICIAL_NGINX=nginx:1.30
LOCAL_DEBIAN=sandbox-local/debian:bookworm
LOCAL_NODE=sandbox-local/node:24
LOCAL_NGINX=sandbox-local/nginx:bookworm

image_id() { docker image inspect --format '{{.Id}}' "$1" 2>/dev/null; }

image_inputs() {
  docker image inspect --format '{{index .Config.Labels "sandbox.inputs"}}' "$1" 2>/dev/null
}

stage_base_images() {
  local node nginx
  node="$(choose_image "$USER_NODE_IMAGE" "${NODE_IMAGE:-}" "$OFFICIAL_NODE" "$LOCAL_NODE" NODE_IMAGE)"
  nginx="$(choose_image "$USER_NGINX_IMAGE" "${NGINX_IMAGE:-}" "$OFFICIAL_NGINX" "$LOCAL_NGINX" NGINX_IMAGE)"
  # Always called, since this also rebuilds a local image whose recipe has changed.
  [ "$node" != "$LOCAL_NODE" ] || build_local_node
  [ "$nginx" != "$LOCAL_NGINX" ] || build_local_nginx
  mkdir -p "$CACHE_DIR"
  printf '# Written by scripts/setup.sh; delete it to have the registry asked again.\nNODE_IMAGE=%s\nNGINX_IMAGE=%s\n' \
    "$node" "$nginx" >"$IMAGES_ENV.new"
  mv "$IMAGES_ENV.new" "$IMAGES_ENV"
  note "$(describe_image "$node"), $(describe_image "$nginx")"
}

describe_image() {
  case "$1" in
    sandbox-local/*) printf '%s (local)' "${1#sandbox-local/}" ;;
    "$OFFICIAL_NODE" | "$OFFICIAL_NGINX") printf '%s (official)' "$1" ;;
    *) printf '%s (yours)' "$1" ;;
  esac
}

# choose_image USER REMEMBERED OFFICIAL LOCAL KEY: prints the image to use. It exists afterwards, unless it is the local
# one, which the caller builds.
choose_image() {
  local user="$1" remembered="$2" official="$3" local_tag="$4" key="$5"
  if [ -n "$user" ] && [ "$user" != "$local_tag" ]; then
    image_id "$user" >/dev/null || docker pull --quiet "$user" >&2 ||
      stage_fail "Cannot pull $user, which $key asks for." \
        "Correct or remove $key in .env (or the environment), then run make up again."
    printf '%s' "$user"
  elif [ "$user" = "$local_tag" ] || [ "$remembered" = "$local_tag" ]; then
    printf '%s' "$local_tag"
  elif image_id "$official" >/dev/null || docker pull --quiet "$official" >&2; then
    printf '%s' "$official"
  else
    printf '%s' "$local_tag"
  fi
}

build_local_node() {
  local bin version
  build_local_debian
  bin="$(node_package_dir)/bin"
  version="$("$bin/node" --version)"
  build_image "$LOCAL_NODE" "$bin" "$ROOT/scripts/images/node.Dockerfile" node \
    "$version $(image_id "$LOCAL_DEBIAN")" --build-arg "BASE_IMAGE=$LOCAL_DEBIAN"
}

build_local_nginx() {
  build_local_debian
  # The base has nginx already; a tag of its own keeps NGINX_IMAGE readable.
  docker tag "$LOCAL_DEBIAN" "$LOCAL_NGINX"
}

# build_image TAG CONTEXT DOCKERFILE KIND EXTRA [docker build argument…]: builds the image, unless its label says that it
# was built from the same files and the same EXTRA.
build_image() {
  local tag="$1" context="$2" dockerfile="$3" kind="$4" extra="$5" inputs
  shift 5
  inputs="$(hash_inputs "$context" "$dockerfile" "$extra")"
  if [ "$(image_inputs "$tag")" = "$inputs" ]; then
    return
  fi
  docker build --tag "$tag" --file "$dockerfile" --label "sandbox.inputs=$inputs" "$@" "$context" ||
    stage_fail "Cannot build $tag. See the log; then run make up again."
  # The replaced image and the build's stages are untagged now, but still take disk space.
  docker image prune --force --filter "label=sandbox.image=$kind" >/dev/null
  docker image prune --force --filter "label=sandbox.image=$kind-build" >/dev/null
  echo "$kind" >>"$STAGE_DIR/built"
}

hash_inputs() {
  local context="$1" dockerfile="$2" extra="$3"
  # EXTRA has the version of large binaries, which are not read each time.
  find "$context" -type f -size -1000k -print0 | sort -z | xargs -0 -r cat |
    cat "$dockerfile" - <(printf '%s' "$extra") | sha256sum | cut -c1-16
}

stage_images() {
  local base
  base="$(image_id "$NODE_IMAGE")"
  : >"$STAGE_DIR/built"
  build_image sandbox-demo-app:latest "$ROOT/demo-app" "$ROOT/demo-app/Dockerfile" demo-app \
    "$base" --build-arg "NODE_IMAGE=$NODE_IMAGE"
  build_image sandbox-stress-ng:latest "$ROOT/scripts/images" "$ROOT/scripts/images/stress-ng.Dockerfile" \
    stress-ng "$base" --build-arg "NODE_IMAGE=$NODE_IMAGE"
  build_image sandbox-firewall:latest "$ROOT/scripts/images" "$ROOT/scripts/images/firewall.Dockerfile" \
    firewall "$base" --build-arg "NODE_IMAGE=$NODE_IMAGE"
  if [ -s "$STAGE_DIR/built" ]; then
    note "$(paste -sd, "$STAGE_DIR/built" | sed 's/,/, /g') built"
  else
    note 'demo-app, stress-ng, firewall unchanged'
  fi
}
