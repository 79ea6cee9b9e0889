# Ends every stress-ng process of this container. Runs under the dash that lies beside it, in a
# container that may have nothing else: shell builtins only. Exits 0 also when there is none.

# The processes whose name begins with stress-ng, as "PID PID …" in $found. A zombie keeps its name
# until its parent reads its status, which a careless PID 1 never does; it uses nothing, so it does
# not count. The kernel threads' and our own names differ (see the Dockerfile).
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

# signal_until NAME SECONDS: sends the signal to whatever is there until nothing is, or time is up.
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
