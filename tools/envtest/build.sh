#!/usr/bin/env bash
# A real control plane for tests: builds kube-apiserver, kube-controller-manager and etcd from their Go modules.
#
# Prints the folder with the three programs on stdout, everything else on stderr. The versions are those of the two
# go.mod files beside this script (two, because etcd 3.6 and Kubernetes disagree about shared dependencies).
# The folder is ${XDG_CACHE_HOME:-~/.cache}/apinetlet/envtest/<kubernetes>-<etcd>-<checksum of what decides the result>;
# the link `current` beside it leads to what was asked for last, and is where reconcile.testing looks.
# A folder appears whole or not at all, so a second call finds it and does nothing.
# KUBEBUILDER_ASSETS wins: then nothing is built.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
say() { printf 'envtest: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
    for program in kube-apiserver etcd; do
        [[ -x $KUBEBUILDER_ASSETS/$program ]] || fail "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS has no program $program;" \
            "correct the variable, or unset it to build from source"
    done
    printf '%s\n' "$KUBEBUILDER_ASSETS"
    exit
fi

required() { # the version of module $2 in module folder $1, without its v
    awk -v module="$2" '$1 == "require" { $1 = ""; $0 = $0 } $1 == module { print substr($2, 2); exit }' "$here/$1/go.mod"
}
kubernetes=$(required kubernetes k8s.io/kubernetes)
etcd=$(required etcd go.etcd.io/etcd/server/v3)
checksum=$(cat "$here"/{kubernetes,etcd}/go.{mod,sum} "$here/build.sh" | cksum | cut -d' ' -f1)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/apinetlet/envtest
name=$kubernetes-$etcd-$checksum

deliver() {
    ln -s "$name" "$cache/current.$$" && mv -fT "$cache/current.$$" "$cache/current"
    printf '%s\n' "$cache/$name"
    exit
}

mkdir -p "$cache" || fail "cannot create $cache; set XDG_CACHE_HOME to a folder you can write to"
[[ -d $cache/$name ]] && deliver
command -v go >/dev/null || fail "building needs Go 1.26 or newer on PATH (https://go.dev/dl/);" \
    "or set KUBEBUILDER_ASSETS to a folder with kube-apiserver and etcd"
if command -v flock >/dev/null; then # only saves work: without it two builds race, and one of two equal results stays
    exec 9>"$cache/lock"
    flock -n 9 || { say "waiting for another build"; flock 9; }
    [[ -d $cache/$name ]] && deliver
fi

work=$(mktemp -d "$cache/.building.XXXXXX")
trap 'rm -rf "$work"' EXIT
build() { # $1: module folder, $2: program, $3: package, then linker flags
    local module=$1 program=$2 package=$3
    shift 3
    say "building $program"
    CGO_ENABLED=0 go build -C "$here/$module" -mod=readonly -buildvcs=false -trimpath -p 2 \
        -ldflags "-s -w $*" -o "$work/$program" "$package" >&2 || fail "building $program failed, see above"
}
stamp=() # a module carries no version of its own in its binaries: /version and component defaults read these
IFS=. read -r major minor _ <<<"$kubernetes"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    for fact in "gitVersion=v$kubernetes" "gitMajor=$major" "gitMinor=$minor" gitCommit= gitTreeState=archive; do
        stamp+=(-X "$package.$fact")
    done
done

say "Kubernetes $kubernetes and etcd $etcd, once, for about six minutes on two cores"
build etcd etcd go.etcd.io/etcd/server/v3
build kubernetes kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver "${stamp[@]}"
build kubernetes kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager "${stamp[@]}"
chmod 755 "$work"
mv -T "$work" "$cache/$name" || [[ -d $cache/$name ]] || fail "cannot move the result to $cache/$name"
deliver
