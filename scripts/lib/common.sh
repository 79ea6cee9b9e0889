# shellcheck shell=bash
# What every script needs: the project's folders, stages with one line of output each, and a log file for the rest.
# Sourced, never run.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
LOG_FILE="$ROOT/logs/setup.log"
CACHE_DIR="$ROOT/.cache"
# Debian's admin tools live in sbin, which is missing from the PATH of `su` without a dash.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
# One locale for parsing: a decimal comma in EPOCHREALTIME would break the arithmetic below.
export LC_ALL=C.UTF-8

# Other users read the packages and folders of set-up in containers, also when the caller has a strict umask.
umask 022

have() { command -v "$1" >/dev/null 2>&1; }

die() {
  printf 'Error: %s\n' "$*" >&2
  exit 1
}

now_ms() { printf '%s' "$((${EPOCHREALTIME/./} / 1000))"; }

# A folder for this run, created on first use. Each stage runs in a subshell (see run_stage), so that it reports through
# files in this folder.
STAGE_DIR=''
make_stage_dir() {
  [ -z "$STAGE_DIR" ] || return 0
  STAGE_DIR="$(mktemp -d)"
  trap 'rm -rf "$STAGE_DIR"' EXIT
}

# note TEXT: sets the text of this stage's line.
note() { printf '%s' "$*" >"$STAGE_DIR/note"; }

# stage_fail LINE…: ends the stage with a hint: what is wrong and what to do.
stage_fail() {
  printf '%s\n' "$@" | sed '/^$/d' >"$STAGE_DIR/hint"
  exit 1
}

stage_line() { # mark, name, text, milliseconds
  printf '%s  %-3s %-10s %-58s %4d.%d s\n' "${TTY_CLEAR:-}" "$1" "$2" "$3" $(($4 / 1000)) $(($4 % 1000 / 100))
}

# run_stage NAME FUNCTION [ARG…]: runs FUNCTION with its output in the log, and prints one line with its note and time.
# On failure it prints the hint and the log's tail, and exits 1.
run_stage() {
  local name="$1" fn="$2" started log_from status=0
  shift 2
  make_stage_dir
  # A user without write permission still gets the message that this needs root.
  { mkdir -p "$(dirname "$LOG_FILE")" && : >>"$LOG_FILE"; } 2>/dev/null || LOG_FILE="$STAGE_DIR/log"
  : >"$STAGE_DIR/note"
  : >"$STAGE_DIR/hint"
  if [ -t 1 ]; then
    printf '  ..  %s' "$name"
    TTY_CLEAR=$'\r\e[K'
  fi
  printf '\n=== %s %s\n' "$(date --iso-8601=seconds)" "$name" >>"$LOG_FILE"
  log_from=$(($(wc -l <"$LOG_FILE") + 1))
  started="$(now_ms)"
  # Bash ignores `set -e` inside a function that is tested by if or ||, so the stage runs as a plain command in a
  # subshell, and its status is tested afterwards.
  set +e
  (set -e && "$fn" "$@") >>"$LOG_FILE" 2>&1 </dev/null
  status=$?
  set -e
  if [ "$status" -eq 0 ]; then
    stage_line ok "$name" "$(cat "$STAGE_DIR/note")" $(($(now_ms) - started))
    return
  fi
  stage_line '!!' "$name" failed $(($(now_ms) - started))
  {
    if [ -s "$STAGE_DIR/hint" ]; then
      printf '\n'
      sed 's/^/      /' "$STAGE_DIR/hint"
    fi
    if [ "$(tail -n "+$log_from" "$LOG_FILE" | wc -l)" -gt 0 ]; then
      printf '\n      The last lines of %s:\n' "$LOG_FILE"
      tail -n "+$log_from" "$LOG_FILE" | tail -n 15 | sed 's/^/      | /'
    fi
  } >&2
  exit 1
}

# one_at_a_time: makes a second set-up on this machine (a test run beside `make up`) wait for the first, since both would
# install the same packages and tag the same images. One lock serves all checkouts, where /run/lock exists.
one_at_a_time() {
  local place=/run/lock
  mkdir -p "$CACHE_DIR"
  [ -w "$place" ] || place="$CACHE_DIR"
  exec 9>"$place/sandbox-setup.lock"
  if ! flock -n 9; then
    printf '  ..  waiting for another set-up to finish\n'
    flock 9
  fi
}

end_one_at_a_time() { exec 9>&-; }
