# The image of apinetlet: a Python, its libraries, certificates of authorities, and nothing else. No shell, no compiler, no installer.
#
#   docker build --build-arg REVISION="$(git rev-parse HEAD)" -t apinetlet .
#
# The root can be read-only: the daemon writes no file (a store of client certificates, if it is told to keep one in a
# file, needs a volume). All that is done at the build is one script, which the project's tests run without Docker, too.
ARG DEBIAN=debian:bookworm-slim

FROM ${DEBIAN} AS build
ARG REVISION=unknown
WORKDIR /source
COPY pyproject.toml hatch_build.py README.md LICENSE NOTICE constraints.txt ./
COPY provider provider
COPY reconcile reconcile
COPY apinetlet apinetlet
COPY tools/image tools/image
RUN tools/image/build-tree.sh /source /tree

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="apinetlet" \
      org.opencontainers.image.description="Maps networking objects of a source cluster into an api-net cluster" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /tree /
USER 65532:65532
WORKDIR /
EXPOSE 8080 8081
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["/usr/local/bin/apinetlet-health"]
ENTRYPOINT ["/usr/local/bin/apinetlet"]
