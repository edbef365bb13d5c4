#!/usr/bin/env bash
# Makes the root of the image: build-tree.sh SOURCE TREE, as root of a Debian bookworm with its package sources.
#
# SOURCE is a copy of this project, TREE does not exist yet. What comes in: the Debian packages listed below, unpacked
# without their install scripts; the wheels of constraints.txt; the certificates of authorities in one file; one user.
# What does not: a shell, an installer, a compiler, documentation other than licences.
# REVISION, if set, is the commit that `apinetlet version` names.
set -euo pipefail

source=$1 tree=$2
here=$source/tools/image
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { printf 'image: %s\n' "$*" >&2; }

# -- Debian's part ------------------------------------------------------------------------------------------------------
packages=(
    base-files netbase
    libc6 libgcc-s1 libstdc++6
    python3.11-minimal libpython3.11-minimal libpython3.11-stdlib
    libbz2-1.0 libcrypt1 libexpat1 libffi8 liblzma5 libsqlite3-0 libssl3 libuuid1 zlib1g
    ca-certificates
)
say "installing what builds"
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >&2
apt-get install -y -q --no-install-recommends python3-venv python3.11 ca-certificates >&2

say "unpacking ${#packages[@]} packages"
mkdir -p "$tree" "$work/packages"
(cd "$work/packages" && apt-get download -q "${packages[@]}" >&2)
mkdir -p "$tree/var/lib/dpkg/status.d"
for package in "$work"/packages/*.deb; do
    dpkg-deb --extract "$package" "$tree"
    # scanners look for packages here where there is no dpkg
    dpkg-deb --field "$package" >"$tree/var/lib/dpkg/status.d/$(dpkg-deb --field "$package" Package)"
done
triplet=$(basename "$tree"/usr/lib/*-linux-gnu*)
find "$tree/usr/share/doc" ! -type d ! -name copyright -delete
rm -rf "$tree"/usr/share/{man,info,locale,lintian,bug,bash-completion,applications,pixmaps,binfmts,menu} \
    "$tree"/usr/{include,games,src} "$tree"/usr/lib/"$triplet"/gconv "$tree"/{boot,home,media,mnt,opt,srv,root} \
    "$tree"/usr/lib/python3.11/{idlelib,lib2to3,tkinter,turtledemo,ensurepip,pydoc_data,unittest,distutils}
# modules of Python whose libraries are left out: a terminal and databases of Unix
rm -f "$tree"/usr/lib/python3.11/lib-dynload/{readline,_curses,_curses_panel,nis,_dbm,_gdbm,_tkinter}.*.so

cat "$tree"/usr/share/ca-certificates/*/*.crt >"$work/authorities"
mkdir -p "$tree/etc/ssl/certs" "$tree/tmp" "$tree/etc/apinetlet"
mv "$work/authorities" "$tree/etc/ssl/certs/ca-certificates.crt"
rm -rf "$tree/usr/share/ca-certificates" "$tree"/etc/{ca-certificates,cron*,default,init.d,logrotate*,update-motd.d} \
    "$tree"/usr/sbin/update-ca-certificates "$tree"/etc/{issue,issue.net,debian_version}
printf 'root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n' >"$tree/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$tree/etc/group"
printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$tree/etc/nsswitch.conf"

# -- Python's part ------------------------------------------------------------------------------------------------------
say "installing the wheels"
libraries=$tree/usr/local/lib/python3.11/dist-packages
/usr/bin/python3.11 -m venv "$work/venv"
pip() { PIP_CONSTRAINT=$source/constraints.txt "$work/venv/bin/pip" --quiet --disable-pip-version-check "$@" >&2; }
[[ ${REVISION:-unknown} == unknown ]] || export SOURCE_COMMIT=$REVISION
pip wheel --no-deps --wheel-dir "$work/wheel" "$source"
wheel=$(echo "$work"/wheel/*.whl)
pip install --no-compile --only-binary :all: --target "$libraries" "apinetlet[fast,metrics,bootstrap,tui] @ file://$wheel"
# the bridge to kubernetes_asyncio is for users of the framework who have it; the daemon never loads it, and it is as
# large as all the rest; the others come in only with it
for left_out in kubernetes_asyncio dateutil six urllib3 certifi durationpy; do
    rm -rf "$libraries/$left_out" "$libraries/$left_out.py"
done
rm -rf "$libraries"/{kubernetes_asyncio,python_dateutil,six,urllib3,certifi,durationpy}-*.dist-info "$libraries/bin"
find "$libraries" \( -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.c' -o -name '*.h' \) -delete

mkdir -p "$tree/usr/local/bin"
for program in apinetlet apinetlet-health; do
    install -m 755 "$here/$program" "$tree/usr/local/bin/$program"
done
# the command in the Deployments of the Go daemon, where nothing but the image changes when this one takes over
ln -s usr/local/bin/apinetlet "$tree/manager"
# nobody can write byte code at run time, and file times mean nothing in a layer of an image
/usr/bin/python3.11 -m compileall -q --invalidation-mode unchecked-hash -s "$tree" -p / \
    "$tree/usr/lib/python3.11" "$libraries"

# -- what must hold -----------------------------------------------------------------------------------------------------
loader=$(cd "$tree" && echo /lib*/ld-linux*.so.*)
[[ -e $tree$loader ]] || loader=$(cd "$tree" && find . -name 'ld-linux*.so.*' | head -1 | cut -c2-)
while read -r library; do
    if missing=$(chroot "$tree" "$loader" --list "$library" | grep 'not found'); then
        say "$library lacks $missing"
        exit 1
    fi
done < <(cd "$tree" && find usr -name '*.so' -printf '/%p\n')
if privileged=$(find "$tree" -perm /6000 -type f | grep .); then
    say "programs with rights of their owner: $privileged"
    exit 1
fi
chroot "$tree" /usr/local/bin/apinetlet version -o json >&2
say "$(du -sm "$tree" | cut -f1) MB"
