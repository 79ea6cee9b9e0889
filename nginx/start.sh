#!/bin/sh
# Starts Nginx where nginx.conf finds what it listens on: its address in the platform's own network, which is a setting.
# Not a name in /etc/hosts: Docker empties that file and writes it anew whenever the container joins or leaves a network.
set -eu
mkdir -p /run/front-door
for port in 80 8081; do
  echo "listen ${NGINX_ADDRESS:?}:$port default_server;" >"/run/front-door/$port.conf"
done
exec nginx -g 'daemon off;'
