# Ends every stress-ng process of this container; exits 0 also without any. Runs under the dash in the same folder and
# uses shell builtins only, since the container may have nothing else.

# Sets $found to "PID PID …" of the processes whose names begin with stress-ng. Zombies do not count: they use nothing,
# and some PID 1 never reaps them. This script's own process has another name (see the Dockerfile).
find_stress() {
  found=''
  for dir in /proc/[0-9]*; do
    comm=''
    { read -r comm <"$dir/comm"; } 2>/dev/null || continue
    case "$comm" in stress-ng*) ;; *) continue ;; esac
    state=''
    while read -r key value _; do
      if [ "$key" = State: ]; then
        state="$value"
        break
      fi
    done 2>/dev/null <"$dir/status"
    [ "$state" = Z ] || found="$found ${dir#/proc/}"
  done
}

uptime_seconds() {
  read -r seconds _ </proc/uptime
  seconds="${seconds%.*}"
}

# signal_until NAME SECONDS: sends the signal to all of them until none is left or the time is up.
signal_until() {
  uptime_seconds
  deadline=$((seconds + $2))
  while :; do
    find_stress
    [ -n "$found" ] || return 0
    for pid in $found; do
      kill -s "$1" "$pid" 2>/dev/null
    done
    uptime_seconds
    [ "$seconds" -lt "$deadline" ] || return 1
  done
}

signal_until TERM 2 || signal_until KILL 5
