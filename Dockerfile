# The image holds Node and dist/, hardly more: the bundle carries every dependency.
#
#   docker build -t latchkey .
#   docker run --rm -p 8080:8080 --read-only --cap-drop=ALL \
#     -e LATCHKEY_UPSTREAM=http://host.docker.internal:3000 \
#     -v ./latchkey:/etc/latchkey:ro latchkey
#
# For several architectures, and why each flag: docs/image.md.
# Bases are arguments, so that a mirror or a digest can be put in their place without an edit.
ARG NODE_IMAGE=docker.io/library/node:26-bookworm-slim
# Distroless, since nothing here needs a shell, a package manager or npm, and what is not there
# cannot be used by an intruder nor turn up in a scan. Its `nonroot` user is 65532. The slim image
# works too: --build-arg RUNTIME_IMAGE=docker.io/library/node:26-bookworm-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/nodejs26-debian13:nonroot

# The bundle is the same for every architecture, so it is built once, on the builder's own.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No dependency's install script runs: esbuild needs none, and the `node` package is for tests only.
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json ./
COPY scripts ./scripts
COPY config/systems ./config/systems
COPY src ./src
RUN node scripts/build.ts && mkdir compiled
# A bill of materials of what the bundle holds, since a scanner finds no packages in it.
RUN npm sbom --sbom-format=cyclonedx --sbom-type=application | node scripts/bill.ts > dist/sbom.cdx.json

FROM ${RUNTIME_IMAGE} AS cold
ARG RUNTIME_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="latchkey" \
      org.opencontainers.image.description="API-key reverse-proxy sidecar: keys, scopes, IP allowlists and limits in front of an unmodified HTTP app" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${RUNTIME_IMAGE}"

WORKDIR /app
# Owned by root and not writable by the user that runs it.
COPY --from=build /build/package.json ./
COPY LICENSE ./
COPY --from=build /build/dist ./dist

# The listen and admin addresses are not set here: a variable beats the file, so one in the image
# would silence what the file says. The listener's default is every address. The admin port's is
# loopback, which the check below reaches; LATCHKEY_ADMIN=0.0.0.0:9090 publishes it.
# Both base images keep node in another place, and exec forms look it up in PATH.
# One heap of glibc's for all threads: what V8's compiler threads leave free in heaps of their own nobody else uses.
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=1 \
    LATCHKEY_CONFIG=/etc/latchkey/latchkey.yaml \
    PATH=/nodejs/bin:/usr/local/bin:/usr/bin:/bin

# By number, so that Kubernetes can prove runAsNonRoot.
USER 65532:65532
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "/app/dist/main.js", "healthcheck"]
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["serve"]

# What V8 compiled for a start and a few requests, so that no container has to compile it again. It is
# made by the image's own Node: another version or another architecture starts as well, only slower. A
# program that does not start, answer, reload and end fails the build here. For an architecture that the
# builder can neither run nor emulate: --target cold
FROM cold AS warm
COPY --from=build --chown=65532:65532 /build/compiled ./dist/compiled
COPY scripts/warm-start.ts scripts/keep-compiled.ts ./scripts/
COPY src/app/engine.ts ./src/app/
RUN ["node", "scripts/warm-start.ts"]

FROM cold
COPY --from=warm --chown=0:0 /app/dist/compiled ./dist/compiled
