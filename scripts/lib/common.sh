# shellcheck shell=bash
# What every script needs: where the project is, stages with one line of output each, and a log
# file for everything else. Sourced, never run.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
LOG_FILE="$ROOT/logs/setup.log"
CACHE_DIR="$ROOT/.cache"
# Debian's admin tools live in sbin, which is missing from the PATH of `su` without a dash.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
# One locale for parsing: a decimal comma in EPOCHREALTIME would break the arithmetic below.
export LC_ALL=C.UTF-8

# What set-up makes, packages and folders, is read in containers by others, whatever the caller's umask.
umask 022

have() { command -v "$1" >/dev/null 2>&1; }

die() {
  printf 'Error: %s\n' "$*" >&2
  exit 1
}

now_ms() { printf '%s' "$((${EPOCHREALTIME/./} / 1000))"; }

# A folder for this run's notes; made on first use. Stages report through files in it because each
# runs in a subshell (see run_stage).
STAGE_DIR=''
make_stage_dir() {
  [ -z "$STAGE_DIR" ] || return 0
  STAGE_DIR="$(mktemp -d)"
  trap 'rm -rf "$STAGE_DIR"' EXIT
}

# note TEXT: what this stage's line says.
note() { printf '%s' "$*" >"$STAGE_DIR/note"; }

# stage_fail LINE…: ends the stage; the lines say what is wrong and what to do.
stage_fail() {
  printf '%s\n' "$@" | sed '/^$/d' >"$STAGE_DIR/hint"
  exit 1
}

stage_line() { # mark, name, text, milliseconds
  printf '%s  %-3s %-10s %-58s %4d.%d s\n' "${TTY_CLEAR:-}" "$1" "$2" "$3" $(($4 / 1000)) $(($4 % 1000 / 100))
}

# run_stage NAME FUNCTION [ARG…]: runs FUNCTION with its output in the log and prints one line with
# its note and time. On failure prints the log's tail and the hint, and exits 1.
run_stage() {
  local name="$1" fn="$2" started log_from status=0
  shift 2
  make_stage_dir
  # Without the right to write here there is still something to say (that it needs root).
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
  # Bash ignores `set -e` inside a function that is tested by if or ||, so the stage runs as a
  # plain command in a subshell, and only its status is looked at afterwards.
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

# one_at_a_time: a second set-up on this machine (a test run beside `make up`) waits for the first,
# since both would install the same packages and tag the same images. That is the whole machine's
# business, so it is one lock for all checkouts, where the machine has a place for it.
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
