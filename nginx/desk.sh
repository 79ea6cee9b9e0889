#!/bin/sh
# Does what the API would else have the engine do in this container, at twice the price of the work itself
# (docs/adr/0011). Run by start.sh: desk.sh FOLDER MASTER, the folder that is shared with the API and Nginx's own process.
#
# The API writes a line into the pipe `ask`, "test MARK UNTIL" or "reload MARK UNTIL", and reads from the pipe `answer`:
# "begin MARK", what was said, and "end MARK EXIT-CODE" on a line of its own. What nobody has read is read by
# whoever comes next, and told apart by its mark. After UNTIL (seconds since the epoch) nobody waits for it any more.
set -u
cd "${1:?}" && master=${2:?} || exit
# For root alone, as what is asked here is done: pipes that somebody else has made are not taken over.
rm -rf ask answer
mkfifo -m 600 ask answer || exit
# Both ends of both: there is no end of the one when somebody has asked, and the other takes an answer at any time.
exec 3<>ask 4<>answer
while read -r verb mark until <&3; do
  [ "$(date +%s)" -le "$until" ] || continue
  printf 'begin %s\n' "$mark"
  case "$verb" in
    # It may wait for ever for a file, or for the address of a name. Less than the API waits.
    test) timeout 25 nginx -t 2>&1 ;;
    reload) kill -HUP "$master" 2>&1 ;;
    *) false ;;
  esac
  printf '\nend %s %s\n' "$mark" "$?"
done >&4
