import { REGISTRY_NAME } from "./registry.ts";
import { ownAuthority } from "./setup.ts";

/** What the stand-in needs to know of the test that it runs in. */
export interface Surroundings {
  readonly registryAddress: string;
  /** The id of the base for arm64. */
  readonly foreignBase: string;
}

/** All containers of the stand-in have it, so that a test can remove them. */
export const LABEL = "latchkey.docs";

/**
 * A `docker` that is buildah and podman. Builds have the machine's network, for npm. Containers have that of whoever
 * calls, in place of published ports and of a name for the host; one that publishes a port goes on in the background
 * once it is ready, and ends before the next.
 */
export function createDocker({ registryAddress, foreignBase }: Surroundings): string {
  return `#!/usr/bin/env bash
set -euo pipefail
build() {
  nsenter --net=/proc/${process.pid}/ns/net \\
    buildah bud --pull-never --format docker --layers ${ownAuthority().join(" ")} "$@"
}
case "$1" in
build) shift; build "$@" ;;
buildx)
  shift 2
  rest=() platforms= tag= push=
  while (($#)); do
    case "$1" in
    --platform) platforms=$2; shift ;;
    -t) tag=$2; shift ;;
    --push) push=yes ;;
    *) rest+=("$1") ;;
    esac
    shift
  done
  # Not under its tag, which an image has that was pulled in an earlier run.
  list=localhost/latchkey-list:test
  buildah manifest rm "$list" >/dev/null 2>&1 || true
  buildah manifest create "$list"
  for platform in \${platforms//,/ }; do
    # This buildah (1.28) looks for every base on the platform of the first stage: the other one is named by its id.
    base=()
    [ "$platform" = linux/amd64 ] || base=(--build-arg RUNTIME_IMAGE=${foreignBase})
    build --platform "$platform" --build-arg BUILDPLATFORM=linux/amd64 "\${base[@]}" --tag "built-\${platform#*/}" "\${rest[@]}"
    buildah manifest add "$list" "localhost/built-\${platform#*/}"
  done
  [ -z "$push" ] || buildah manifest push --all --tls-verify=false --format v2s2 "$list" \\
    "docker://\${tag/${REGISTRY_NAME}/${registryAddress}}"
  ;;
run)
  shift
  rest=(--network host --add-host host.docker.internal:127.0.0.1 --label ${LABEL}) serves=
  while (($#)); do
    # After the image's name it may be an option of the program.
    if [[ "$1" = -p && "$2" =~ ^[0-9.:]+$ ]]; then serves=yes; shift; else rest+=("$1"); fi
    shift
  done
  [ -n "$serves" ] || exec podman run "\${rest[@]}"
  podman ps --quiet --filter label=${LABEL} | xargs --no-run-if-empty podman stop
  id=$(podman run --detach "\${rest[@]}")
  timeout 20 grep --max-count 1 '"msg":"ready"' < <(exec podman logs --follow "$id" 2>&1)
  ;;
*) echo "no docker $1 here" >&2; exit 1 ;;
esac
`;
}
