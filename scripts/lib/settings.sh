# shellcheck shell=bash
# Settings, in this order: the environment, .env, the images that set-up chose (.cache/images.env), the defaults. All are
# exported, so that compose and the API see the same values.

IMAGES_ENV="$CACHE_DIR/images.env"

# load_env_file FILE: exports KEY=value lines for keys that are unset or empty. The file is parsed, not sourced: a value
# such as "* * * * *" must stay as it is.
load_env_file() {
  local line key value
  [ -f "$1" ] || return 0
  while IFS= read -r line || [ -n "$line" ]; do
    [[ "$line" =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || continue
    key="${BASH_REMATCH[2]}"
    value="${BASH_REMATCH[3]}"
    if [[ "$value" =~ ^\"([^\"]*)\" || "$value" =~ ^\'([^\']*)\' ]]; then
      value="${BASH_REMATCH[1]}"
    else
      value="${value%%[[:space:]]#*}"
      value="${value%"${value##*[![:space:]]}"}"
    fi
    if [ -z "${!key:-}" ] && [ -n "$value" ]; then
      export "$key=$value"
    fi
  done <"$1"
}

# load_image_choice: exports the images that set-up chose, unless the user chose others. Called again after set-up, which
# may have chosen others.
load_image_choice() {
  export NODE_IMAGE="$USER_NODE_IMAGE" NGINX_IMAGE="$USER_NGINX_IMAGE"
  load_env_file "$IMAGES_ENV"
}

load_settings() {
  load_env_file "$ROOT/.env"
  # Saved before the cache is read: an image that the user chose is used as it is.
  USER_NODE_IMAGE="${NODE_IMAGE:-}"
  USER_NGINX_IMAGE="${NGINX_IMAGE:-}"
  load_image_choice
  export INSTANCE="${INSTANCE:-sandbox}"
  export PLATFORM_HOST="${PLATFORM_HOST:-127.0.0.1}" PLATFORM_PORT="${PLATFORM_PORT:-8080}"
  export NGINX_BIND="${NGINX_BIND:-127.0.0.1}" NGINX_PORT="${NGINX_PORT:-80}"
  export BASE_DOMAIN="${BASE_DOMAIN:-localhost}"
  export DOCKER_SOCKET="${DOCKER_SOCKET:-/var/run/docker.sock}"
  export ENVS_DIR="${ENVS_DIR:-envs}" LOGS_DIR="${LOGS_DIR:-logs}"
  export NGINX_CONF_DIR="${NGINX_CONF_DIR:-./nginx/conf.d}"
  # Compose takes a mount without a leading ./ or / for the name of a volume.
  case "$NGINX_CONF_DIR" in /* | ./*) ;; *) NGINX_CONF_DIR="./$NGINX_CONF_DIR" ;; esac
  case "${SOCKET_FILTER:=off}" in on | off) ;; *) die "SOCKET_FILTER is on or off, not $SOCKET_FILTER." ;; esac
  # The docker client follows the same socket as the API, whatever context the user has chosen.
  export DOCKER_HOST="unix://$DOCKER_SOCKET"
}

# forget_settings: unsets all settings, for tests and the bench, which start instances with settings of their own.
forget_settings() {
  local key
  while IFS='=' read -r key _; do
    case "$key" in NODE_IMAGE | NGINX_IMAGE | DOCKER_SOCKET) ;; *) unset "$key" ;; esac
  done < <(grep -E '^[A-Z_]+=' "$ROOT/.env.example")
}

# in_root PATH: prints a setting's path as an absolute one.
in_root() {
  case "$1" in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$ROOT" "${1#./}" ;; esac
}

# Prints the API's address on this machine: an API that listens everywhere listens on loopback too.
api_url() {
  local host="$PLATFORM_HOST"
  case "$host" in 0.0.0.0 | '::' | '') host=127.0.0.1 ;; esac
  printf '%s' "${PLATFORM_URL:-http://$host:$PLATFORM_PORT}"
}
