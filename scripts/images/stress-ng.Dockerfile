# A folder, /sandbox-tools, with stress-ng, a shell, their libraries and the loader. Copied into any container (Alpine,
# scratch), it runs there without a file of that container.
ARG NODE_IMAGE=node:24-slim
FROM ${NODE_IMAGE} AS collect
USER 0
RUN command -v stress-ng >/dev/null \
  || (apt-get update && apt-get install -y --no-install-recommends stress-ng)
COPY stop.sh /sandbox-tools/stop.sh
# The loader has two names because a process that it starts gets its name: stop.sh finds processes by names that begin
# with stress-ng, and must not find itself.
RUN set -eu; \
  cd /sandbox-tools; \
  mkdir lib; \
  cp "$(command -v stress-ng)" stress-ng; \
  cp "$(readlink -f /bin/dash)" sh; \
  ldd stress-ng sh | sed -n 's/^.* => \(\/[^ ]*\) .*$/\1/p' | sort -u | xargs -I{} cp -L {} lib/; \
  loader="$(ldd sh | sed -n 's/^[[:space:]]*\(\/[^ ]*ld-[^ ]*\) .*$/\1/p')"; \
  cp -L "$loader" stress-ng-ld; \
  cp -L "$loader" sh-ld; \
  chmod 755 stress-ng-ld sh-ld stress-ng sh; \
  ./stress-ng-ld --library-path /sandbox-tools/lib /sandbox-tools/stress-ng --version
LABEL sandbox.image=stress-ng-build

FROM scratch
COPY --from=collect /sandbox-tools /sandbox-tools
# Never started: the platform creates a container from this image only to copy the folder from it.
CMD ["/sandbox-tools/sh-ld", "--library-path", "/sandbox-tools/lib", "/sandbox-tools/sh"]
LABEL sandbox.image=stress-ng
