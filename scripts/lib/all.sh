# shellcheck shell=bash
# Loads every part. The first lines must run in an old bash on another system too.
if [ "$(uname -s)" != Linux ]; then
  printf 'Error: this platform needs Linux (Debian 12 is what it is tried on), and this is %s.\n' "$(uname -s)" >&2
  printf 'Run it on a Linux machine or in a Linux virtual machine, as root, with Node.js 20 or newer and npm.\n' >&2
  exit 1
fi
set -euo pipefail
# A failure inside $(…) ends the stage as well.
shopt -s inherit_errexit

SCRIPTS_LIB="$(dirname "${BASH_SOURCE[0]}")"
for part in common settings apt preflight engine packages base-image images firewall extra-conf browser stages; do
  # shellcheck source=/dev/null
  source "$SCRIPTS_LIB/$part.sh"
done
