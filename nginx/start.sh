#!/bin/sh
# Starts Nginx on its address in the platform's own network, which is a setting; with -t it tests the configuration instead.
# Not on a name in /etc/hosts: Docker empties that file and writes it anew whenever the container joins or leaves a network.
set -eu
mkdir -p /run/edge /var/log/front-door
for port in 80 8081; do
  echo "listen ${NGINX_ADDRESS:?}:$port default_server;" >"/run/edge/$port.conf"
done
[ "${1:-}" != -t ] || exec nginx -t

# Keeps the access log at 10 MB, and the former one. Nginx opens its files anew on SIGUSR1 (nginx.org/en/docs/control.html);
# while it is only just starting the signal is lost, and sent again.
log=/var/log/front-door/access.log
while sleep 1 || true; do
  [ -z "$(find "$log" -size +10240k 2>/dev/null)" ] || mv "$log" "$log.1"
  [ -e "$log" ] || kill -USR1 1
done &

# Half of the processors: the applications behind it run on the same ones, and a worker for each made them wait for one another
# (docs/performance.md, "front door").
exec nginx -g "daemon off; worker_processes $((($(nproc) + 1) / 2));"
