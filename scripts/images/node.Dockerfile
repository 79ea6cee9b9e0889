# Replaces node:24-slim where no registry answers. The build context is the folder of the npm package that has the Node
# binary.
ARG BASE_IMAGE=sandbox-local/debian:bookworm
FROM ${BASE_IMAGE}
COPY node /usr/local/bin/node
RUN node --version
CMD ["node"]
LABEL sandbox.image=node
