# What the firewall's container runs scripts/firewall/firewall.sh with: bash and iptables, in both its
# kinds (nf_tables and legacy), since the rules go where this machine's Docker has its own.
ARG NODE_IMAGE=node:24-slim
# This base is on the machine already, so that the image takes only a few MB more.
FROM ${NODE_IMAGE}
USER 0
RUN command -v iptables >/dev/null \
  || (apt-get update && apt-get install -y --no-install-recommends iptables && rm -rf /var/lib/apt/lists/*)
RUN command -v bash && command -v iptables-nft-restore && command -v iptables-legacy-restore
LABEL sandbox.image=firewall
CMD ["bash"]
