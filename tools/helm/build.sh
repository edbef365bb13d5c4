#!/usr/bin/env bash
# Helm for tests: builds it from its Go module, once, and prints the program's path on stdout, everything else on stderr.
#
# The version is that of the go.mod beside this script. It appears whole or not at all in
# ${XDG_CACHE_HOME:-~/.cache}/apinetlet/helm/<checksum of what decides the result>. HELM wins: then nothing is built.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { printf 'helm: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

if [[ -n ${HELM:-} ]]; then
    [[ -x $HELM ]] || fail "HELM=$HELM is no program; correct the variable, or unset it to build from source"
    printf '%s\n' "$HELM"
    exit
fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/apinetlet/helm
folder=$cache/$(cat "$here"/go.{mod,sum} "$here/build.sh" | cksum | cut -d' ' -f1)
if [[ ! -x $folder/helm ]]; then
    command -v go >/dev/null || fail "building needs Go 1.26 or newer on PATH; or set HELM to a program"
    mkdir -p "$folder" || fail "cannot create $folder; set XDG_CACHE_HOME to a folder you can write to"
    say "building, once, for about three minutes on two cores"
    # it claims to render for some version of Kubernetes, and by default for a very old one
    version=helm.sh/helm/v3/pkg/chartutil.k8sVersion
    CGO_ENABLED=0 go build -C "$here" -mod=readonly -buildvcs=false -trimpath -p 2 \
        -ldflags "-s -w -X ${version}Major=1 -X ${version}Minor=36" \
        -o "$folder/helm.$$" helm.sh/helm/v3/cmd/helm >&2 || fail "building failed, see above"
    mv -fT "$folder/helm.$$" "$folder/helm"
fi
printf '%s\n' "$folder/helm"
